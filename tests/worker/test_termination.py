"""A task that cleans up after a revoked child is not cut off when it is revoked itself."""

import os
import signal

import pytest
from celery.states import REVOKED

from firexkit.revoke import revoke_result, revoke_tasks
from worker.apps import cleaning as tasks
from worker.apps.cleaning import PATIENCE, app
from worker.rig import wait_until


@pytest.fixture
def worker(worker_for):
    return worker_for("worker.apps.cleaning")


def told(key):
    """The next word of a task."""
    _, word = app.backend.client.blpop(f"{key}.told", timeout=PATIENCE) or pytest.fail(f"{key} tells nothing")
    return word.decode()


def cleaning(task, worker, key, times):
    """A task that cleans up after its child, and whose process has been told to end meanwhile."""
    result = task.delay(key)
    _, child = app.backend.client.blpop(f"{key}.child", timeout=PATIENCE)
    revoke_tasks(app, [child.decode()])
    assert told(key) == "cleans up"
    _, process = app.backend.client.blpop(f"{key}.process", timeout=PATIENCE)
    revoke_result(result)
    wait_until(lambda: worker.says(f"Terminating {result.id}"), what="the worker to send the signal")
    for _ in range(times - 1):  # the worker itself sends one only
        os.kill(int(process), signal.SIGTERM)
    app.backend.client.rpush(f"{key}.leave", 1)
    return result


@pytest.mark.parametrize("times", [1, 2])
def test_it_comes_to_its_end(worker, times):
    key = f"cleaned {times}"
    result = cleaning(tasks.cleans_up, worker, key, times)

    assert told(key) == "is clean"
    wait_until(result.ready, what="its end")
    assert result.state == REVOKED


def test_it_is_ended_when_it_goes_on(worker):
    """The signal comes as soon as the revocation of the child has been dealt with."""
    result = cleaning(tasks.goes_on, worker, "on", 1)

    assert [told("on"), told("on")] == ["goes on", "is ended"]
    wait_until(result.ready, what="its end")
    assert result.state == REVOKED
