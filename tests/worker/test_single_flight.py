"""Single flight: of all who ask for a key, or call with equal arguments, one does it; whoever dies is stood in for."""

import json
import os
import signal
import time
from contextlib import contextmanager

import pytest

from firexkit import _wire
from worker.apps import single_flight as tasks
from worker.apps.single_flight import DOOMED, app, bodies, hear, say
from worker.rig import wait_until

APP = "worker.apps.single_flight"
LEASE = 1.0
"""Seconds; the app's."""

pytestmark = pytest.mark.timeout(90)
client = app.backend.client


@pytest.fixture
def worker(start_worker):
    """One for each test: a shared one would take what others are to be killed with."""
    return start_worker(APP, concurrency=8)


@pytest.fixture
def start_doomed(start_worker):
    """A worker that takes what is to be killed."""

    def start(**options):
        return start_worker(APP, concurrency=2, options=("-Q", DOOMED), **options)

    return start


@pytest.fixture
def crashing(start_worker, tmp_path):
    """A worker one of whose processes dies at a point of the code, and a function that tells whether it has died."""

    def start(point, concurrency=4):
        token = tmp_path / "token"
        env = {_wire.CRASH_POINT_VARIABLE: point, _wire.CRASH_TOKEN_VARIABLE: str(token)}
        start_worker(APP, concurrency=concurrency, env=env)
        return token.exists

    return start


def got(result, timeout=40):
    return result.get(timeout=timeout)["got"]


def followers(task_id):
    """How many hear when a result is stored."""
    ((_, count),) = client.pubsub_numsub(app.backend.get_key_for_task(task_id))
    return count


def outlast_a_lease():
    """Wait for longer than anybody may say nothing."""
    until = time.monotonic() + 2.5 * LEASE
    wait_until(lambda: time.monotonic() > until, what="more than two lease times")


# ── once ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("callers", "count"), [(8, 20), pytest.param(20, 100, marks=pytest.mark.soak)])
def test_each_key_has_one_body(worker, callers, count):
    """Many processes ask for many keys at the same time: each key has one body, and all get its value."""
    keys = [f"k{number}" for number in range(count)]
    answers = got(tasks.race.delay([tasks.ask_all.s(keys) for _ in range(callers)]))

    assert [bodies(key) for key in keys] == [1] * count
    assert answers == [answers[0]] * callers
    assert len(set(answers[0])) == count


@pytest.mark.parametrize("in_chain", [False, True], ids=["task", "chain"])
@pytest.mark.parametrize("point", ["once: claimed", "once: sent", "once: published"])
def test_an_owner_that_dies_is_stood_in_for(crashing, point, in_chain):
    """Wherever the owner of a key dies, the others get the value of one body."""
    has_crashed = crashing(point)
    answers = got(tasks.race.delay([tasks.ask.s("k", in_chain=in_chain) for _ in range(4)]))

    assert has_crashed()
    assert sorted((answer is None for answer in answers), reverse=True) == [True, False, False, False]
    assert len({*answers} - {None}) == 1
    assert [bodies("k"), bodies("k.after")] == [1, int(in_chain)]


@pytest.mark.parametrize("point", ["once: claimed", "once: sent", "once: published"])
def test_an_owner_that_runs_again_finds_what_it_sent(crashing, point):
    """The second body of a caller has the child of the first one, which runs once."""
    has_crashed = crashing(point)
    result = tasks.ask_again_if_lost.delay("k")
    children = got(result)

    assert has_crashed()
    assert len(children) == 1
    assert [child.id for child in result.children] == children
    assert bodies("k") == 1


def test_a_key_of_a_killed_worker_is_taken_over(worker, start_doomed):
    """The owner is about to send when its whole worker is killed; another worker's tasks wait for it."""
    doomed = start_doomed()
    first, others = tasks.ask_slowly.s("k").set(queue=DOOMED), [tasks.ask.s("k") for _ in range(3)]
    result = tasks.after_a_stalled_one.delay(first, others)
    hear("others")
    wait_until(lambda: followers_of_key("k", result.id) == 3, what="the others to wait for the owner")
    doomed.kill()
    answers = got(result)

    assert answers == [answers[0]] * 3
    assert bodies("k") == 1


def followers_of_key(key, run):
    """How many hear when the id for a key is published."""
    ((_, count),) = client.pubsub_numsub(f"{_wire.ONCE_UID}{run}:{key}")
    return count


def test_an_owner_that_lives_is_waited_for(worker):
    """An owner may take longer than a lease lasts to send its task: nobody else sends meanwhile."""
    result = tasks.after_a_stalled_one.delay(tasks.ask_slowly.s("k"), [tasks.ask.s("k")])
    hear("others")
    outlast_a_lease()
    claimed = bodies("k")
    say("send")
    (answer,) = got(result)

    assert (claimed, bodies("k")) == (0, 1)
    assert answer


def test_a_wait_for_the_owner_has_the_callers_limit(worker):
    """A caller that gave a limit is told who has not sent the task."""
    result = tasks.after_a_stalled_one.delay(tasks.ask_slowly.s("k"), [tasks.ask_with_limit.s("k")])
    (answer,) = got(result)
    say("send")

    assert "has not sent the task for the key 'k' in time" in answer


def test_arguments_alone_take_no_key(worker):
    """A caller with nothing to send gives the key back, and so does the next."""
    assert got(tasks.ask_for_nothing.delay()) == [None, None]


# ── cache ────────────────────────────────────────────────────────────────────────────────


def test_of_equal_calls_at_once_one_computes(worker):
    """Twenty equal calls come while the first computes: one body, and its value for each."""
    result = tasks.call_together.delay(tasks.compute_when_told.s("k"), 20)
    hear("k.begun")
    outlast_a_lease()
    say("k.1")
    answers = got(result)

    assert bodies("k") == 1
    assert answers == [answers[0]] * 20


def test_callers_that_wait_lend_their_slots(start_worker):
    """All slots but one are taken by callers that wait, and the child of the one that computes runs."""
    start_worker(APP, concurrency=2)
    answers = got(tasks.call_together.delay(tasks.compute_with_child.s("k"), 8))

    assert bodies("k") == bodies("k.child") == 1
    assert answers == [answers[0]] * 8


@pytest.mark.parametrize("forgets", [True, False], ids=["forgotten", "deleted"])
def test_a_source_that_is_gone_is_computed_again_by_one(worker, forgets):
    """When the stored result is gone, eight calls at once have one new body."""
    _, *answers = got(tasks.call_again_without_source.delay("k", 8, forgets))

    assert bodies("k") == 2
    assert answers == [answers[0]] * 8
    assert answers[0]


def test_a_source_that_failed_is_computed_again_by_one(worker):
    """The call that computes fails; of those that wait for it one computes, and its value is theirs."""
    result = tasks.call_together.delay(tasks.fail_first.s("k"), 6)
    wait_until(lambda: bodies("k") == 1, what="a body")
    say("k.1")
    say("k.2")
    answers = got(result)

    assert bodies("k") == 2
    assert answers.count(None) == 1
    assert len({*answers} - {None}) == 1


@pytest.mark.parametrize(("point", "times"), [("cache: claimed", 1), ("cache: computed", 2)])
def test_a_call_whose_process_dies_is_computed_by_another(crashing, point, times):
    """Wherever the one that computes dies, another one computes, and the others have its value."""
    has_crashed = crashing(point, concurrency=6)
    answers = got(tasks.call_together.delay(tasks.compute.s("k"), 6))

    assert has_crashed()
    assert bodies("k") == times
    assert answers.count(None) == 1
    assert len({*answers} - {None}) == 1


def test_a_call_of_a_killed_worker_is_computed_by_another(worker, start_doomed):
    """The one that computes is gone with its whole worker; those that wait in another worker have one new body."""
    doomed = start_doomed()
    result = tasks.call_after_doomed.delay("k", 4)
    source = hear("source")
    wait_until(lambda: followers(source) >= 4, what="the others to wait for the source")
    doomed.kill()
    hear("k.begun")
    say("k.2")
    answers = got(result)

    assert bodies("k") == 2
    assert answers == [answers[0]] * 4


def test_a_broker_that_was_paused_takes_nothing_away(worker, server):
    """All leases are over when it goes on, and the one that computes still has the call."""
    result = tasks.call_together.delay(tasks.compute_when_told.s("k"), 4)
    hear("k.begun")
    (claim,) = client.scan_iter(f"{_wire.CACHE}*{_wire.CLAIM_SUFFIX}")
    source = json.loads(client.get(claim))["by"]
    wait_until(lambda: followers(source) >= 3, what="the others to wait for the source")
    with paused(server):
        outlast_a_lease()
    outlast_a_lease()
    say("k.1")
    answers = got(result)

    assert bodies("k") == 1
    assert answers == [answers[0]] * 4


@contextmanager
def paused(server):
    """A broker that does not answer, and whose clock goes on."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_call_below_itself_computes(worker):
    """An equal call of a child would wait for its parent for ever; so it computes, and all end."""
    assert got(tasks.call_together.delay(tasks.compute_through_itself.s("k"), 1)) == ["the end"]
    assert bodies("k") == 3
