"""A body that runs again after a crash finds what an earlier one has sent, and sends only what is missing or failed."""

import pytest

from worker.apps import rerun as tasks
from worker.apps.rerun import app

APP = "worker.apps.rerun"

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def worker(worker_for):
    return worker_for(APP, concurrency=6)


def answer(task, *args):
    result = task.delay(*args)
    try:
        return result.get(timeout=30)
    finally:
        result.forget()  # a group among its children could not be cut off its backend when the server ends


def ran(name):
    """How often a body ran."""
    return int(app.backend.client.get(name) or 0)


ONCE = {
    "task": {"work.1": 1},
    "chain": {"work.1": 1, "add": 1},
    "injected": {"work.1": 1},
    "explicit": {"work.1": 1, "work.2": 1},
    "silent": {"leave_nothing": 1},
    "group": {"work.1": 1, "work.2": 1},
    "chord": {"work.1": 1, "work.2": 1, "total": 1},
}


@pytest.mark.parametrize("kind", ONCE)
def test_what_has_succeeded_is_taken_over(worker, kind):
    """Nothing runs again, the ids are the same, and whoever asked is told as if it had been sent."""
    found = answer(tasks.twice_the_same, kind)

    assert found["first"] == found["second"]
    assert {name: ran(name) for name in ONCE[kind]} == ONCE[kind]


def test_a_result_that_is_taken_over_has_its_values(worker):
    """Also those of chains, whose members are its parents."""
    chain, chord = answer(tasks.twice_the_same, "chain"), answer(tasks.twice_the_same, "chord")

    assert (chain["values"]["added"], [len(members) for members in chain["second"]]) == (2, [2, 2])
    assert chord["values"]["total"] == 3


AGAIN = {
    "alone": ({"add": 2}, {"added": 2}),
    "in the middle": ({"work.5": 1, "again.5": 1, "add": 2, "last": 1}, {"added": 7, "seen": 3, "value": 5}),
    "at the head": ({"add": 2, "work.2": 1}, {"added": 2, "value": 2}),
    "immutable": ({"work.5": 1, "add": 2}, {"added": 8, "seen": 0}),
    "after plain": ({"work.5": 1, "plain": 1, "add": 2}, {"added": 16, "seen": 2, "plain": True}),
    "before plain": ({"make_big": 1, "work.5": 1, "add": 2, "plain": 1}, {"value": 15}),
    "large": ({"make_big": 1, "add": 2}, {"big": 100_000, "added": 2, "seen": 1}),
    "after nothing": ({"work.5": 1, "leave_nothing": 2, "add": 2}, {"added": 2}),
}


@pytest.mark.parametrize("kind", AGAIN)
def test_a_chain_goes_on_from_the_member_that_failed(worker, kind):
    """Members before it have run once, and what they returned is handed on; the ids are the same."""
    found, (times, values) = answer(tasks.fails_once, kind), AGAIN[kind]

    assert {name: ran(name) for name in times} == times
    assert {name: found["bag"][name] for name in values} == values
    assert found["first"] == found["second"]


def test_a_child_that_is_taken_over_is_a_child(worker):
    """The last body has the heads of its chains as children, as if it had sent them: the tree is whole."""
    found = answer(tasks.fails_once, "immutable")

    assert found["children"] == found["first"][:1]
    assert [parent.decode() for parent in app.backend.client.lrange("add.parents", 0, -1)] == found["children"] * 2


@pytest.mark.parametrize("kind", ["group", "chord"])
def test_a_group_with_a_failure_is_sent_anew(worker, kind):
    """As a whole, and under other ids: parts of the old one can't end in the new one."""
    found = answer(tasks.fails_once, kind)

    assert set(found["first"]).isdisjoint(found["second"])
    assert (ran("work.1"), ran("add")) == (2, 2)


def test_a_child_that_runs_still_is_waited_for(worker):
    """The parent takes it as its own."""
    found = answer(tasks.still_running, "still")

    assert (found["first"], found["heard"], ran("still.ran")) == (found["second"], "go", 1)


def test_a_signature_that_is_used_twice_gives_two_children(worker):
    """In each body the same two."""
    first, second = answer(tasks.same_signature_twice)["ids"]
    every = [task_id for found in first for task_id in found]

    assert first == second
    assert len(set(every)) == len(every) == 6
    assert (ran("same.1"), ran("same.2")) == (4, 2)


def test_children_are_found_in_whatever_order_they_are_sent(worker):
    """A body may send them as others end."""
    assert answer(tasks.another_order)["values"] == [3, 4, 1, 0, 2]
    assert [ran(f"work.{number}") for number in range(5)] == [1] * 5


def test_a_child_that_was_revoked_runs_again_under_another_id(worker):
    """What was revoked does not start any more; the next body finds the new one."""
    (head, first), second, third = answer(tasks.revoked_then, "revoked")["ids"]

    assert first != second[1]
    assert second == third == [head, second[1]]
    assert (ran("work.1"), ran("revoked.ran")) == (1, 2)


def test_a_retry_sends_new_children(worker):
    """It is another call, not the same one again."""
    first, second = answer(tasks.retried)["ids"]

    assert first != second
    assert ran("retried.1") == 2


def test_tasks_called_as_functions_send_children_of_their_own(worker):
    """Equal children of one body are different ones, whichever function sends them."""
    first, second = answer(tasks.calls_another_directly)["ids"]

    assert first == second
    assert len(set(first)) == ran("direct.1") == 3


def test_children_below_are_found_too(worker):
    """A child that failed runs again, and what it had sent with success does not."""
    found = answer(tasks.has_children_below)

    assert (found["values"], found["bodies"]) == ((7,), 2)
    assert (ran("asks_below"), ran("below.7")) == (2, 1)
