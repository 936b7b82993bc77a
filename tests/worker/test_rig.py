"""The rig itself: what other tests in this room rely on."""

import os

import psutil
import pytest

from worker.apps.plain import add, long_body, pid
from worker.rig import runs, wait_until


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


def test_a_task_runs_in_a_shared_worker(worker_for, pool):
    """A task sent from the test comes back from the pool that was asked for."""
    worker = worker_for("worker.apps.plain", pool=pool, concurrency=2)

    assert add.delay(2, 3).get(timeout=10) == 5
    assert pid.delay().get(timeout=10) in (worker.children or [worker.pid])
    assert len(worker.children) == (2 if pool == "prefork" else 0)


def test_the_same_worker_serves_the_next_test(worker_for, pool):
    """Asking again for the same worker gives the one that runs."""
    first = worker_for("worker.apps.plain", pool=pool, concurrency=2)
    second = worker_for("worker.apps.plain", pool=pool, concurrency=2)

    assert first is second


@pytest.mark.parametrize("leave", ["stop", "kill", "kill_main"])
def test_no_process_stays(start_worker, leave, tmp_path):
    """However a worker leaves, none of its processes stays behind."""
    worker = start_worker("worker.apps.plain", concurrency=2)
    family = [psutil.Process(pid) for pid in (worker.pid, *worker.children)]
    if leave == "kill_main":
        long_body.delay(str(tmp_path), 60)
        wait_until((tmp_path / "started").exists)
        worker.kill_main()
        leave = "kill"
    getattr(worker, leave)()

    assert not [process for process in family if runs(process)]


def test_a_test_begins_with_no_keys_of_another(server, worker_for):
    """Results of earlier tests are gone; what workers need to be reached stays."""
    worker = worker_for("worker.apps.plain", concurrency=2)

    with server.client() as client:
        assert client.keys("celery-task-meta-*") == []
    assert worker.app.control.ping(destination=[worker.name], timeout=5, limit=1)


def test_waiting_ends_with_a_useful_message():
    """A wait that is in vain says what it waited for."""
    with pytest.raises(AssertionError, match=r"not within 0\.1 s: the moon"):
        wait_until(lambda: False, timeout=0.1, what="the moon")


def test_environment_names_the_server(server):
    """App modules and workers find the server in the environment."""
    assert os.environ["FIREXKIT_TEST_BROKER"] == os.environ["FIREXKIT_TEST_BACKEND"] == server.url
