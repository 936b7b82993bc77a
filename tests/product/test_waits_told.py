"""What a parent tells of the children that it sends and waits for."""

from __future__ import annotations

import time

import pytest

from firexkit.journal.model import Blocked, Planned
from firexkit.pytest import Run


@pytest.fixture
def waiting(firex_app, firex_run) -> Run:
    """A parent that sends children in parallel, from a list and from what has no length, and then a chain."""

    @firex_app.task
    def nap(seconds):
        time.sleep(seconds)

    @firex_app.task
    def last():
        pass

    @firex_app.task(bind=True)
    def parent(self):
        self.enqueue_in_parallel([nap.s(seconds=0.2) for _ in range(3)], max_parallel_chains=2)
        self.enqueue_in_parallel(iter([nap.s(seconds=0)]), max_parallel_chains=2)
        self.enqueue_child(nap.s(seconds=0.2) | last.s(), block=True)

    run = firex_run(parent)
    run.assert_succeeded()
    return run


def test_who_sends_children_tells_how_many_there_will_be(waiting: Run):
    planned = [fact.children for fact in waiting.task("parent").task.facts if isinstance(fact, Planned)]
    assert planned == [3, 3, None, 4]


def test_a_parent_waits_for_room_for_its_children_and_for_a_chain(waiting: Run):
    (body,) = waiting.task("parent").task.bodies
    assert len(body.waits) >= 3


def test_a_parent_that_waits_names_the_chain_it_waits_for(waiting: Run):
    last = waiting.task("last").task
    blocked = [fact for fact in waiting.task("parent").task.facts if isinstance(fact, Blocked)]
    assert blocked[-1].on == (last.id, last.after)
