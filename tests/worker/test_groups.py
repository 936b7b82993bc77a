"""Groups and chords behind FireX tasks: members get the bag, bodies get what members returned."""

from pathlib import Path

import pytest
from celery import chord

from firexkit.result import ChainInterruptedException
from worker.apps.groups import asks_twice, failing_parent, few_at_a_time, gather, locate, parent, patient_parent

APP = "worker.apps.groups"


def test_a_chord_hands_over_values_that_json_does_not_carry(worker_for):
    """The body of a chord gets what the members returned, types and all."""
    worker_for(APP)
    result = chord([locate.s("a"), locate.s("b")], gather.s()).delay()

    assert sorted(result.get(timeout=20)["paths"]) == [Path("/srv/a"), Path("/srv/b")]


def test_members_of_a_group_get_the_bag(worker_for):
    """A parent may wait for a chain that ends in a group; each member finds its arguments in the bag."""
    worker_for(APP)

    assert parent.delay().get(timeout=20)["seen"] == [9, 9]


def test_a_failed_member_of_a_group_is_told(worker_for):
    """A group with a member that failed interrupts the chain."""
    worker_for(APP)

    with pytest.raises(ChainInterruptedException):
        failing_parent.delay().get(timeout=20)


def test_a_child_that_leaves_no_result_is_waited_for(worker_for):
    """The wait for a task with ignore_result ends when its body has."""
    worker_for(APP)

    assert patient_parent.delay().get(timeout=30)["waited"]


def test_a_forgotten_child_enqueued_once_runs_again(worker_for):
    """Forgetting takes once-key and cache entry along, so the next caller owns the key."""
    worker_for(APP)

    assert asks_twice.delay().get(timeout=50)["seen"] == [1, True]


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_than_allowed_are_under_way(worker_for, limit):
    """Of many children, never more run at a time than the parent allows."""
    worker_for(APP, concurrency=8)

    assert few_at_a_time.delay(limit).get(timeout=50)["peak"] == limit
