"""Running again, or not: retries, how long they took, and cached results (5.10, 5.15)."""

import pytest
from celery.exceptions import MaxRetriesExceededError, Retry
from celery.signals import task_prerun
from kombu.utils.uuid import uuid

from firexkit.task import FireXTask, get_task_start_time, get_time_from_task_start
from unit.task_support import RK, eager_app, events_of, hearing_class, make_app, next_message, request_of


def failing(app, **options):
    """A task that asks for another attempt each time."""

    @app.task(bind=True, shared=False, name="m.failing", **options)
    def task(self, x, fails=9):
        if self.request.retries < fails:
            self.retry(countdown=0)
        return self.request.retries

    return task


def test_a_retry_runs_the_whole_call_again():
    """The third attempt's result is the task's."""
    result = failing(eager_app(), returns="y").apply((1,), {"fails": 2})

    assert result.get() == {"x": 1, "fails": 2, "y": 2, RK: ("y",)}


def test_each_attempt_is_told():
    """Every attempt has a started event of its own with a growing number, under one id."""
    hearing, heard = hearing_class()
    failing(eager_app(hearing)).apply((1,), {"fails": 2})

    assert [fields["retries"] for fields in events_of(heard, "task-started-info")] == [0, 1, 2]


def test_the_message_of_a_retry_has_the_arguments_as_they_came():
    """What is sent again is the raw message: previous result and chain depth included, no converted value."""
    app = make_app()
    task = failing(app)
    args, kwargs = [{"y": 2}], {"x": 7, "chain_depth": 1}
    with request_of(task, id="i-1", args=args, kwargs=kwargs), pytest.raises(Retry):
        task(*args, **kwargs)
    message = next_message(app)

    assert (message.payload[0], message.payload[1]) == (args, kwargs)
    assert (message.headers["id"], message.headers["retries"]) == ("i-1", 1)


@pytest.mark.parametrize(("retries", "level"), [(0, "WARNING"), (1, "WARNING"), (2, "ERROR")])
def test_an_attempt_that_failed_is_logged(retries, level, caplog):
    """A warning while attempts are left, an error after the last."""
    app = make_app()
    task = failing(app, max_retries=2)
    with request_of(task, retries=retries, args=[1], kwargs={}), pytest.raises((Retry, MaxRetriesExceededError)):
        task(1)

    assert caplog.records[0].levelname == level


def test_a_limit_of_zero_makes_the_first_attempt_the_last(caplog):
    """The limit that the call itself gives is the one that counts, zero too."""
    task = make_app().task(lambda self: self.retry(max_retries=0), shared=False, name="m.never_again", bind=True)
    with request_of(task, args=[], kwargs={}), pytest.raises(MaxRetriesExceededError):
        task()

    assert caplog.records[0].levelname == "ERROR"


def test_the_warning_has_the_attempts_number(caplog):
    """The log tells which attempt it was."""
    task = failing(make_app(), max_retries=7)
    with request_of(task, retries=4, args=[1], kwargs={}), pytest.raises(Retry):
        task(1)
    warning = next(record.getMessage() for record in caplog.records if record.levelname == "WARNING")

    assert any(number in warning for number in ("4", "5"))


def test_a_direct_call_does_not_retry():
    """Called as a function, a task raises what it was given."""

    @make_app().task(bind=True, shared=False, name="m.direct")
    def task(self):
        self.retry(exc=ValueError("bad"))

    with pytest.raises(ValueError, match="bad"):
        task()


def test_a_retry_asks_for_a_child_once_more():
    """What an attempt enqueues once, the next attempt enqueues again, once."""
    app, attempts = eager_app(), []
    child = app.task(lambda: None, shared=False, name="m.child")

    @app.task(bind=True, shared=False, name="m.parent")
    def parent(self):
        attempts.append({self.enqueue_child_once(child.s(), enqueue_once_key="k").id for _ in range(2)})
        if len(attempts) < 2:
            self.retry(countdown=0)

    parent.apply()

    assert [len(ids) for ids in attempts] == [1, 1]
    assert attempts[0] != attempts[1]


# ── time ─────────────────────────────────────────────────────────────────────────────────


def test_the_first_start_counts():
    """Every attempt that a worker makes sees the start of the first, and anyone who knows the id finds it."""
    task, task_id, seen = make_app().task(lambda: None, shared=False, name="m.timed"), uuid(), []
    for retries in range(3):
        with request_of(task, id=task_id, retries=retries):
            task_prerun.send(sender=task, task_id=task_id, task=task, args=(), kwargs={})
            seen.append((task.start_time(), task.duration()))
    start = get_task_start_time(task_id, task.backend)

    assert [first for first, _ in seen] == [start] * 3
    assert 0 <= seen[0][1] <= seen[-1][1] <= get_time_from_task_start(task_id, task.backend)


@pytest.mark.parametrize("backend", [make_app().backend, object(), None])
def test_an_unknown_start_is_none(backend):
    """On any problem there is no start and no duration."""
    assert get_task_start_time("never-ran", backend) is None
    assert get_time_from_task_start("never-ran", backend) is None


def test_a_direct_call_has_no_start():
    """Without an id nothing is known."""
    task = make_app().task(lambda: None, shared=False, name="m.untimed")

    assert (task.start_time(), task.duration()) == (None, None)


# ── caching ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("use_cache", [None, True, False])
def test_caching_is_on_when_the_task_says_so(use_cache):
    """Checklist 35: undefined, True and False give a bool, False for undefined."""
    options = {} if use_cache is None else {"use_cache": use_cache}
    task = make_app().task(lambda: None, shared=False, name="m.cached", **options)

    assert task.default_use_cache is use_cache
    assert task.is_cache_enabled() is bool(use_cache)


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize(
    ("properties", "enabled"),
    [({"use_cache": True}, True), ({"use_cache": False}, False), ({"use_cache": None}, None), ({}, None), (None, None)],
)
def test_a_message_may_switch_caching(default, properties, enabled):
    """Checklist 35: in a worker the message's property wins, unless there is none."""
    task = make_app().task(lambda: None, shared=False, name="m.cached", use_cache=default)
    with request_of(task, properties=properties):
        found = task.is_cache_enabled()

    assert found is (default if enabled is None else enabled)


def cached_runs(calls, *, hearing=FireXTask):
    """A cached task of an eager app; it appends its arguments to the list."""
    app = eager_app(hearing)
    task = app.task(shared=False, name="m.cached_runs", use_cache=True, returns="y")
    return task(lambda a, b="b": calls.append((a, b)) or len(calls))


def run_in(task, root, *args, **kwargs):
    """The task's answer in one run, with its result stored as a worker stores it."""
    with request_of(task, root_id=root) as request:
        answer = task(*args, **kwargs)
        task.app.backend.store_result(request.id, answer, "SUCCESS")
    return answer


def test_equal_arguments_run_once():
    """Explicit or by default, the same values are the same entry; other values are not."""
    calls = []
    task = cached_runs(calls)
    answers = [run_in(task, "run-1", *args)["y"] for args in [("a",), ("a",), ("a", "b"), ("c",)]]

    assert (calls, answers) == ([("a", "b"), ("c", "b")], [1, 1, 1, 2])


def test_a_cached_answer_keeps_the_callers_own_bag():
    """Only the named results come from the earlier run."""
    task = cached_runs([])
    run_in(task, "run-2", "a", other="first")

    assert run_in(task, "run-2", "a", more="second") == {"a": "a", "more": "second", "y": 1, RK: ("y",)}


def test_a_cached_answer_tells_where_it_comes_from():
    """The results event names the task that really ran, also at the second level."""
    hearing, heard = hearing_class()
    task = cached_runs([], hearing=hearing)
    for number in range(3):
        with request_of(task, root_id="run-3", id=f"run-3-{number}"):
            task.app.backend.store_result(f"run-3-{number}", task("a"), "SUCCESS")

    sources = [fields.get("cached_result_from") for fields in events_of(heard, "task-results")]

    assert sources == [None, "run-3-0", "run-3-0"]
    assert len(events_of(heard, "task-started-info")) == 3
