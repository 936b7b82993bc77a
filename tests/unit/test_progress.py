"""Events of a run, folded into its tasks."""

from firexkit.runtime.progress import Progress

RUN = "FireX-ada-261122-160000-0123456789abcdef0123456789abcdef"


def event(kind: str, uuid: str, timestamp: float = 0.0, **fields) -> dict:
    return {"type": kind, "uuid": uuid, "timestamp": timestamp, "hostname": "mc@here", **fields}


def received(uuid: str, parent: str | None = None, root: str = RUN, name: str = "tasks.greet") -> dict:
    return event("task-received", uuid, name=name, root_id=root, parent_id=parent)


def told(*events: dict) -> Progress:
    progress = Progress(RUN)
    for one in events:
        progress.tell(one)
    return progress


def test_a_task_from_its_message_to_its_end():
    progress = told(
        received(RUN),
        event("task-started", RUN, 1.0),
        event("task-started-info", RUN, long_name="tasks.greet", log_filepath="/log", from_plugin=True),
        event("task-blocked", RUN),
        event("task-unblocked", RUN),
        event("task-succeeded", RUN, 3.5),
    )
    (task,) = progress

    assert (task.short_name, task.state, task.runtime, task.log) == ("greet", "succeeded", 2.5, "/log")
    assert task.from_plugin
    assert progress.unfinished() == []


def test_only_a_new_state_is_news():
    progress = Progress(RUN)
    news = [
        progress.tell(one)
        for one in (
            received(RUN),
            event("task-started", RUN),
            event("task-started-info", RUN),
            event("task-send-flame", RUN),
            event("task-started-info", RUN),
        )
    ]

    assert [one is not None for one in news] == [True, False, True, False, False]


def test_tasks_of_other_runs_on_the_broker_are_not_ours():
    progress = told(received("x", root="FireX-other"), event("task-started", "x"), {"type": "worker-online"})

    assert list(progress) == []
    assert progress.tell(event("task-succeeded", "x")) is None


def test_a_task_of_another_run_whose_first_event_does_not_tell_the_run():
    progress = told(event("task-started-info", "other", task_parent_id=None), received("other", root="other"))
    news = progress.tell(event("task-started-info", "child", task_parent_id="other", long_name="x"))

    assert news is None
    assert list(progress) == []


def test_what_is_told_before_the_message_counts():
    """A process of the pool may be quicker than its main process."""
    progress = told(event("task-started-info", "c", long_name="tasks.child", task_parent_id=RUN), received("c", RUN))

    assert [task.name for task in progress] == ["tasks.greet"]


def test_an_end_is_not_undone_by_what_comes_late():
    progress = told(received(RUN), event("task-failed", RUN, 2.0, exception="X()"), event("task-started", RUN, 1.0))

    assert [task.state for task in progress] == ["failed"]


def test_a_retry_begins_anew():
    progress = told(received(RUN), event("task-started", RUN), event("task-retried", RUN), received(RUN))

    assert [task.state for task in progress] == ["received"]


def test_children_come_before_their_parents_when_a_run_is_stopped():
    progress = told(
        received(RUN), received("a", RUN), received("b", "a"), received("c", "a"), event("task-succeeded", "c")
    )

    assert [task.uuid for task in progress.unfinished()] == ["b", "a", RUN]
    assert progress.depth("b") == 2


def test_a_chain_is_no_ladder():
    """To Celery, the parent of a chain's second task is its first."""
    progress = told(
        received(RUN),
        *(received("second", RUN), event("task-started-info", "second", chain_depth=1, task_parent_id=RUN)),
        *(received("child", "second"), event("task-started-info", "child", chain_depth=0, task_parent_id="second")),
    )

    assert [progress.depth(uuid) for uuid in (RUN, "second", "child")] == [0, 0, 1]


def test_failures_are_those_with_no_other_task_to_blame():
    progress = told(
        received(RUN),
        received("child", RUN),
        event("task-failed", "child", 1.0, exception="ValueError('no')", traceback="…"),
        event("task-exception-cause", RUN, exception_cause_uuid="child"),
        event("task-failed", RUN, 2.0),
    )

    assert [(task.uuid, task.exception) for task in progress.failures()] == [("child", "ValueError('no')")]


def test_a_message_that_is_told_of_after_its_task_began_or_ended_changes_nothing():
    """The main process of a worker may be slower than the processes of its pool."""
    late = {**received("c", RUN), "timestamp": 1.0}
    begun = (event("task-started", "c", 2.0), event("task-started-info", "c", task_parent_id=RUN, retries=1))
    running = told(received(RUN), *begun, late)
    over = told(received(RUN), *begun, event("task-succeeded", "c", 3.0), late)

    assert [(task.state, task.name, task.retries) for task in running][1:] == [("running", "tasks.greet", 1)]
    assert [(task.state, task.ended) for task in over][1:] == [("succeeded", 3.0)]


def test_a_task_that_was_sent_is_known_before_a_worker_has_it():
    sent = event("task-sent", "c", name="tasks.child", root_id=RUN, parent_id=RUN)
    progress = told(received(RUN))
    news = [progress.tell(one) for one in (sent, received("c", RUN, name="tasks.child"), event("task-started", "c", 1))]
    progress.tell(event("task-started-info", "c", 1))
    again = progress.tell({**sent, "timestamp": 2.0})

    assert [one and (one.short_name, one.state, one.parent) for one in news] == [("child", "received", RUN), None, None]
    assert again is None
    assert [task.state for task in progress] == ["received", "running"]
