"""What monitors hear, in order (spec of tasks, section 9), from a worker that sends events."""

import pytest
from celery.result import AsyncResult

from firexkit.revoke import revoke_result
from worker.apps import behaviours as tasks
from worker.apps.behaviours import hear, say
from worker.ear import Ear
from worker.rig import wait_until

APP = "worker.apps.behaviours"
START, SHOW, RESULTS, CAUSE = "task-started-info", "task-send-flame", "task-results", "task-exception-cause"
WAITED = ["task-blocked", "task-unblocked"]

pytestmark = pytest.mark.timeout(60)
only_prefork = pytest.mark.parametrize("pool", ["prefork"], scope="module")
"""For Celery's own events (its pool of threads loses them), and for ending a task that runs."""


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def ear(worker_for, pool):
    worker = worker_for(APP, pool=pool, concurrency=10, options=("-E",))
    with Ear(worker.app) as ear:
        yield ear


def result_of(task_id):
    return AsyncResult(task_id, app=tasks.app)


def test_success(ear):
    """Started, shown, results, shown again."""
    result = tasks.convert.delay("3")

    assert ear.told_by(result) == [START, SHOW, RESULTS, SHOW]
    (started,), (told,) = ear.of_type(START, result.id), ear.of_type(RESULTS, result.id)
    assert (started["firex_bound_args"], started["firex_default_bound_args"]) == ({"side": 3}, {"unit": "m"})
    assert (started["log_filepath"], started["retries"], started["task_parent_id"]) == (None, 0, None)
    assert (started["long_name"], started["called_as_orig"]) == (tasks.convert.name, False)
    assert told["firex_result"] == {"area": "9 square metres"}


def test_flame_data(ear):
    """Values are told by key, type and order; what is shown on the next occasion is told once."""
    result = tasks.show.delay(5)
    ear.told_by(result)
    told = [event["flame_data"] for event in ear.of_type(SHOW, result.id)]

    assert [{key: (entry["type"], entry["value"]) for key, entry in data.items()} for data in told] == [
        {"size": ("html", "show has 5"), "progress": ("html", "begun")},
        {"progress": ("html", "half")},
        {"page": ("html", "<b>done</b>")},
        {"size": ("html", "show has 5")},
    ]


def test_a_parent_that_waits(ear):
    """Blocked and unblocked stand around the wait of the body; children name their parent."""
    result = tasks.nest.delay(levels=2)

    assert ear.told_by(result) == [START, *WAITED, RESULTS]
    (child,) = ear.of_type(START, result.children[0].id)
    assert child["task_parent_id"] == result.id


def test_a_parent_that_waits_at_its_end(ear):
    """The results are told before the implicit wait."""
    result = tasks.await_child_at_end.delay("k")
    hear("k.started")
    wait_until(lambda: ear.of_type("task-blocked"), what="the parent to wait")
    say("k")

    assert ear.told_by(result) == [START, RESULTS, *WAITED]


def test_failure(ear):
    """A failure by a child names the child that caused it, and no results are told."""
    result = tasks.failing_parent.delay()

    assert ear.told_by(result) == [START, *WAITED, CAUSE]
    (child,) = result.children
    assert [event["exception_cause_uuid"] for event in ear.of_type(CAUSE)] == [child.id]
    assert ear.told_by(child) == [START]


def test_retry(ear):
    """Each attempt is told with its number; a root is never its own parent."""
    result = tasks.succeed_at_third.delay(box=1)

    assert ear.told_by(result) == [START, START, START, RESULTS]
    begun = [(event["retries"], event["task_parent_id"]) for event in ear.of_type(START, result.id)]
    assert begun == [(0, None), (1, None), (2, None)]


def test_cached(ear):
    """An answer from the cache is told like a run, and names the task that ran."""
    result = (tasks.square.s(2, "k") | tasks.square.s()).delay()

    assert ear.told_by(result) == [START, RESULTS]
    (told,), (first,) = ear.of_type(RESULTS, result.id), ear.of_type(RESULTS, result.parent.id)
    assert (told["cached_result_from"], told["firex_result"]) == (result.parent.id, {"square": 4})
    assert "cached_result_from" not in first


def test_once_with_two_callers(ear):
    """The task runs once, and the caller that did not send it tells the extra edge before it waits."""
    ear.told_by(tasks.ask_once_together.delay("k", 2))
    (only,) = ear.task_ids("only_one")
    told = [ear.told_by(result_of(caller)) for caller in ear.task_ids("ask_once")]
    # The task may have ended before a caller comes to wait for it: then nothing is blocked.
    waits = [WAITED if "task-blocked" in types else [] for types in told]
    edges = [[SHOW] if SHOW in types else [] for types in told]

    assert [event["additional_children"] for event in ear.of_type(SHOW)] == [[only]]
    assert told == [[START, *edge, *wait, RESULTS] for edge, wait in zip(edges, waits, strict=True)]


def test_continue(ear):
    """A parent that leaves its child tells nothing of it; the child tells its results later."""
    told = ear.told_by(tasks.leave_child.delay("k"))
    child = result_of(hear("k.id"))
    early = ear.of_type(RESULTS, child.id)
    say("k")

    assert told == [START, RESULTS]
    assert not early
    assert ear.told_by(child) == [START, RESULTS]


@only_prefork
def test_revoke_of_a_parent_with_grandchildren(ear):
    """Whoever is ended tells that its wait is over; all three are told as revoked, and no results come."""
    parent = tasks.wait_for_grandchild.delay("k")
    child_id, grandchild_id = hear("k.child"), hear("k.id")
    hear("k.started")
    revoke_result(parent)

    for task_id, waits in ((parent.id, WAITED), (child_id, WAITED), (grandchild_id, [])):
        story = ear.whole_story(task_id, "task-revoked")
        wait_until(result_of(task_id).ready, what=f"end of {task_id}")
        assert ear.told_by(result_of(task_id)) == [START, *waits]
        assert story.count("task-revoked") == 1
    assert hear("k.ended", timeout=5)


@only_prefork
@pytest.mark.parametrize(
    ("task", "arguments", "last"),
    [
        (tasks.await_child_at_end, {"key": "k"}, [*WAITED, "task-succeeded"]),
        (tasks.failing_parent, {}, [CAUSE, "task-failed"]),
        (tasks.succeed_at_third, {"box": 1}, [RESULTS, "task-succeeded"]),
    ],
    ids=["success", "failure", "retry"],
)
def test_celery_tells_the_end_last(ear, task, arguments, last):
    """What Celery tells of the end comes after all that the body told, the implicit wait included."""
    say("k")
    story = ear.whole_story(task.delay(**arguments).id, last[-1])

    assert [type_ for type_ in story if type_ != "task-retried"][-len(last) :] == last
