"""Whether anybody still holds a task: a dead worker is told from a busy one, without stopping the wait."""

import pytest

from firexkit.result import (
    ChainInterruptedByZombieTaskException,
    WaitOnChainTimeoutError,
    wait_on_async_results,
    was_queue_ready,
)
from firexkit.result.liveness import zombies_among
from worker.apps.tracked import app, hold
from worker.rig import wait_until

APP = "worker.apps.tracked"
EAGER = {"check_task_worker_frequency": 0.1, "fail_on_worker_failures": 1, "max_wait": 60}


@pytest.fixture
def held(start_worker):
    worker = start_worker(APP, concurrency=1)
    result = hold.delay("go")
    wait_until(lambda: result.state == "STARTED", what="the body begins")
    yield worker, result
    app.backend.client.rpush("go", "on")


def test_a_busy_worker_holds_its_task(held):
    """A task whose worker lives is no zombie, however long it takes."""
    assert zombies_among([held[1]]) == []


def test_q17_a_task_of_a_dead_worker_is_told_to_its_waiter(held):
    """Q17: the wait ends with the zombie exception when nobody holds the task any more."""
    worker, result = held
    worker.kill()

    with pytest.raises(ChainInterruptedByZombieTaskException, match="zombie task"):
        wait_on_async_results(result, **EAGER)


def test_q17_a_queue_without_consumers_is_told_to_the_waiter(held):
    """Q17: a task that waits in the queue of a worker that is gone will never run, and the wait says so."""
    worker, _ = held
    queued = hold.delay("never")
    worker.kill()

    with pytest.raises(ChainInterruptedByZombieTaskException):
        wait_on_async_results(queued, **EAGER)


def test_q17_checks_respect_the_time_allowed(held):
    """Q17: asking whether a task is held does not outlast max_wait by more than one question."""
    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(held[1], check_task_worker_frequency=0.05, fail_on_worker_failures=1, max_wait=0.5)


def test_q18_a_worker_announces_its_queues(held):
    """Q18: a queue is known as soon as a worker consumes it."""
    app.set_current()

    assert was_queue_ready(app.conf.task_default_queue)
    assert not was_queue_ready("nobody's")
