"""A child whose pool process is killed: whoever waits for it learns that, with the cause, in seconds."""

import os
import signal

import pytest
from billiard.exceptions import WorkerLostError

from firexkit.result import ChainInterruptedException
from worker.apps import lost as tasks
from worker.apps.lost import app
from worker.rig import Worker, wait_until

SECONDS = 60
"""Celery notices a lost process within about two seconds; the rest is for a busy machine."""

pytestmark = pytest.mark.timeout(120)
WAYS = [
    tasks.blocking,
    tasks.waiting_for_all,
    tasks.waiting_for_any,
    tasks.parallel,
    tasks.throttled,
    tasks.extracting,
    tasks.once_as_guest,
    tasks.last_of_chain,
]


@pytest.fixture(scope="module")
def worker_of_all(request, tmp_path_factory):
    """A worker with room for every parent and its child."""
    request.getfixturevalue("_running_server")
    worker = Worker("worker.apps.lost", tmp_path_factory.mktemp("lost"), concurrency=2 * len(WAYS) + 2)
    yield worker.start()
    worker.kill()


@pytest.fixture(scope="module")
def fates(worker_of_all):
    """How each parent ended, by its name; all of them wait at the same time, and all children are killed together."""
    results = {parent.name: parent.delay(parent.name) for parent in [*WAYS, tasks.at_its_end]}
    kill_children(worker_of_all, results)
    wait_until(lambda: all(result.ready() for result in results.values()), SECONDS, what="end of all parents")
    return {name: result.get(timeout=1, propagate=False) for name, result in results.items()}


def kill_children(worker, keys):
    """SIGKILL for the process of each child, once the worker knows which process has which task.

    Before that Celery gives the task of a lost process to another one.
    """
    heard = [app.backend.client.blpop(key, timeout=20) for key in keys]
    assert all(heard), "not every child began"
    wait_until(lambda: len(running(worker)) == 2 * len(heard), what="the worker to know who runs what")
    for _, pid in heard:
        os.kill(int(pid), signal.SIGKILL)


def running(worker):
    """What a worker says that its processes run."""
    answers = worker.app.control.inspect(destination=[worker.name], timeout=5).active() or {}
    return answers.get(worker.name, ())


@pytest.mark.parametrize("parent", WAYS, ids=lambda task: task.name.rsplit(".", 1)[-1])
def test_a_wait_for_a_lost_child_ends(fates, parent):
    """The parent fails with the documented exception, caused by what Celery says of the lost process."""
    failure = fates[parent.name]

    assert type(failure) is ChainInterruptedException
    assert isinstance(failure.__cause__, WorkerLostError)
    assert "SIGKILL" in str(failure.__cause__)
    assert failure.task_name == tasks.linger.name


def test_a_parent_outlives_a_lost_child_that_it_did_not_wait_for(fates):
    """The implicit wait at the end of a parent ends too, and the parent has succeeded."""
    assert fates[tasks.at_its_end.name] == {"key": tasks.at_its_end.name}


def test_the_worker_goes_on(server, fates, worker_of_all):
    """The lost processes are replaced, and the next child is served."""
    again = tasks.blocking.delay("again")

    assert app.backend.client.blpop("again", timeout=10)
    again.revoke(terminate=True)
