"""Who waits is woken: in these workers nobody looks by himself, so a wait that nobody ends lasts until the test fails."""

import pytest
from celery import Celery
from celery.result import AsyncResult

from firexkit.result import hearing
from firexkit.revoke import revoke_result
from worker.apps import waking as tasks
from worker.apps.waking import hear, say
from worker.rig import BACKEND, BROKER, wait_until

APP = "worker.apps.waking"
ONLY_WOKEN = {tasks.ONLY_WOKEN: "yes"}

pytestmark = pytest.mark.timeout(60)
only_prefork = pytest.mark.parametrize("pool", ["prefork"], scope="module")


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=10, env=ONLY_WOKEN)


@pytest.fixture
def only_woken(monkeypatch):
    """The waits of this process are only woken, too."""
    monkeypatch.setattr(hearing, "_FIRST_SAFEGUARD", tasks.NEVER)


def result_of(task_id):
    return AsyncResult(task_id, app=tasks.app)


def seen(task, *args, **kwargs):
    """What a parent has seen when it was woken."""
    return task.delay(*args, **kwargs).get(timeout=15)["seen"]


# ── children that it sent ────────────────────────────────────────────────────────────────

INTERRUPTED, REVOKED, NOT_RUN = "ChainInterruptedException", "ChainRevokedException", "ChainRevokedPreRunException"


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (tasks.of_one.s(), [1]),
        (tasks.of_one_that_was_early.s(), 1),
        (tasks.of_large_ones.s(), [10_000, 10_000]),
        (tasks.of_many.s(), [*range(8)]),
        (tasks.of_any.s("any"), [3, 2, 1, 0]),
        (tasks.of_a_chain.s(), [1]),
        (tasks.of_a_chain_that_was_early.s(), 1),
        (tasks.of_a_broken_chain.s(), [INTERRUPTED, "broken"]),
        (tasks.of_a_broken_chain.s(early=True), [INTERRUPTED, "broken"]),
        (tasks.of_one_it_revokes.s(), [[NOT_RUN, "quick"]] * 2),
        (tasks.of_a_retried_one.s(), [2]),
        (tasks.of_a_retried_one.s(countdown=0), [2]),
        (tasks.of_a_replaced_one.s(), 1),
        (tasks.of_a_replaced_one.s(by_chain=True), 1),
        (tasks.of_a_replaced_one.s(before=[1], after=[1]), 1),
        (tasks.of_a_replaced_one.s(before=[1], by_chain=True), 1),
        (tasks.of_a_silent_one.s(), True),
        (tasks.of_a_silent_early_one.s(), True),
        (tasks.of_a_group.s(), 3),
        (tasks.of_a_group.s(after_one=True), 3),
        (tasks.of_a_plain_one.s(), 1),
        (tasks.of_a_plain_one.s(in_chain=True), 1),
        (tasks.of_one_enqueued_once_twice.s("twice"), True),
        (tasks.of_one_within_another_wait.s("within"), [0, "third", 1]),
        (tasks.of_one_whose_news_another_wait_took.s(), 10_000),
        (tasks.of_two_results_of_one.s(), True),
    ],
    ids=lambda value: str(value.task.rpartition(".")[2] if hasattr(value, "task") else ""),
)
def test_a_parent_is_woken(worker, parent, expected):
    """The parent is told of the end of what it waits for, whatever that is and however it ends."""
    assert parent.delay().get(timeout=15)["seen"] == expected


@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
@pytest.mark.parametrize("member", [0, 1], ids=["head", "middle"])
def test_a_revoked_member_that_never_starts(worker, member, early):
    """Nobody takes what waits in that queue; that it was revoked is told all the same, before the wait or within it."""
    parent = tasks.of_a_revoked_one.delay("k", member=member, early=early)
    victim = result_of(hear("k.id"))
    wait_until(lambda: tasks.app.backend.client.hget(victim.id, "sent"), what="it to be sent")
    revoke_result(victim)
    say("k.revoked")

    assert parent.get(timeout=15)["seen"] == [NOT_RUN, "quick"]


@only_prefork
@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
@pytest.mark.parametrize("member", [0, 1], ids=["head", "middle"])
def test_a_revoked_member_that_runs(worker, member, early):
    """The parent goes on when the body of the member has ended, whether it waits then or not yet."""
    parent = tasks.of_a_revoked_one.delay("k", member=member, early=early, terminate=True)
    victim = hear("k.id")
    hear("k.started")
    revoke_result(result_of(victim))
    hear("k.ended")
    tasks.until_stored(victim, "REVOKED")
    say("k.revoked")

    assert parent.get(timeout=15)["seen"] == [REVOKED, "endless"]


# ── what others have sent ────────────────────────────────────────────────────────────────


def test_guests_of_a_task_enqueued_once(worker):
    """Whoever asks for the key is told of the end of the one task, which only the first has sent."""
    parents = [tasks.of_one_enqueued_once.delay("once") for _ in range(3)]

    assert [parent.get(timeout=15)["seen"] for parent in parents] == [[1]] * 3


@pytest.mark.parametrize("word", ["before", "meanwhile"])
def test_a_task_that_somebody_else_sent(worker, word):
    """A parent that only has an id is told of the end, or finds it at its first look."""
    foreign = tasks.told_to.delay("k", 7)
    if word == "before":
        say("k")
        tasks.until_stored(foreign.id)
    parent = tasks.of_a_foreign_one.delay(foreign.id)
    hear("k.started")
    say("k")

    assert parent.get(timeout=15)["seen"] == 7
