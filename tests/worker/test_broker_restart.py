"""The server is killed under a worker and started again on its data (docs/design/engine.md says what Celery does)."""

import os
import signal
import time
from collections import Counter

import pytest
from celery import Celery

from worker.rig import BACKEND, BROKER, wait_until

APP = "worker.apps.restart"


@pytest.fixture
def client(own_server):
    """An app of this test alone: the one of the module talks to the other server."""
    app = Celery("client", broker=own_server.url, backend=own_server.url, set_as_current=False)
    app.conf.task_default_queue = APP
    return app


@pytest.fixture
def start(own_server, client, start_worker):
    """Start a worker on the server that is to die; Celery's defaults, mingle included."""

    def start(**options):
        env = {BROKER: own_server.url, BACKEND: own_server.url}
        return start_worker(APP, env=env, app=client, mingle=True, **options)

    return start


@pytest.fixture
def send(client, tmp_path):
    """Send a task that notes its starts and its ends."""

    def send(task, name, seconds):
        return client.send_task(f"{APP}.{task}", (str(tmp_path), name, seconds)).id

    return send


def runs_of(directory, what):
    """How often each body started or ended."""
    return Counter({path.stem: len(path.read_text()) for path in directory.glob(f"*.{what}")})


def break_off(server, seconds):
    """Crash the server; it comes back on the same data."""
    server.kill()
    time.sleep(seconds)  # the outage itself, nothing is waited for
    server.start()


def status_of(client, task_id):
    """What the new server has in store; asked over a new connection, as those of before are broken."""
    return client.backend.get_task_meta(task_id)["status"]


def new_work_is_done(client):
    """A task sent now comes back."""
    task = client.send_task(f"{APP}.add", (1, 2)).id
    wait_until(lambda: status_of(client, task) == "SUCCESS", 40, what="a task sent after the restart")
    return client.backend.get_task_meta(task)["result"]


@pytest.mark.timeout(150)
def test_a_worker_goes_on_after_twenty_seconds_without_its_broker(own_server, client, start, send, tmp_path):
    """A running body ends and its result is kept, the worker lives and takes new work."""
    worker = start(concurrency=2)
    pool = worker.children
    long_body = send("body", "long", 30)
    wait_until(lambda: runs_of(tmp_path, "started"), what="the body to start")

    break_off(own_server, 20)

    assert new_work_is_done(client) == 3
    assert wait_until(lambda: runs_of(tmp_path, "ended"), 30, what="the body to end") == {"long": 1}
    wait_until(lambda: status_of(client, long_body) == "SUCCESS", what="the body's result")
    assert client.backend.get_task_meta(long_body)["result"] == "the body's result"
    assert worker.alive
    assert worker.children == pool


@pytest.mark.soak
@pytest.mark.timeout(150)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize(("task", "prefetch"), [("body", "4"), ("late_body", "1")], ids=["early", "late"])
def test_each_task_runs_once_whatever_dies_meanwhile(own_server, client, start, send, tmp_path, pool, task, prefetch):
    """What runs goes on, what was fetched runs later, what waits in the queue too: none is lost, none runs twice."""
    worker = start(pool=pool, concurrency=2, options=("--prefetch-multiplier", prefetch))
    names = [f"task{number}" for number in range(14)]
    for name in names:
        send(task, name, 0.7)

    for outage in range(3):
        wait_until(lambda outage=outage: len(runs_of(tmp_path, "started")) > 4 * outage, 30, what="tasks to start")
        break_off(own_server, 0.3)

    wait_until(lambda: len(runs_of(tmp_path, "ended")) == len(names), 60, what="all tasks to end")
    assert new_work_is_done(client) == 3
    assert runs_of(tmp_path, "started") == dict.fromkeys(names, 1)
    assert worker.alive


@pytest.mark.timeout(60)
def test_a_late_acknowledgement_reaches_the_broker_that_came_back(own_server, client, start, send, tmp_path):
    """A task that ran through an outage is not given out again; Celery 5.7.0 left its main process here."""
    worker = start(concurrency=2)
    task = send("late_body", "late", 4)
    wait_until(lambda: runs_of(tmp_path, "started"), what="the body to start")

    break_off(own_server, 0.5)

    wait_until(lambda: status_of(client, task) == "SUCCESS", 30, what="the body's result")
    with own_server.client() as valkey:
        wait_until(lambda: valkey.hlen("unacked") == 0, what="its acknowledgement")
    assert worker.alive


@pytest.mark.timeout(60)
def test_a_time_limit_holds_through_an_outage(own_server, client, start, send, tmp_path):
    """A body with a limit of 6 s is ended although the broker was away meanwhile."""
    start(concurrency=2)
    task = send("limited_body", "limited", 30)
    wait_until(lambda: runs_of(tmp_path, "started"), what="the body to start")

    break_off(own_server, 0.5)

    wait_until(lambda: status_of(client, task) == "FAILURE", 20, what="the time limit")
    assert "TimeLimitExceeded" in repr(client.backend.get_task_meta(task)["result"])


@pytest.mark.timeout(60)
def test_who_was_handed_a_task_is_busy(own_server, client, start, send, tmp_path):
    """The process has not said yet that it runs the task when the broker dies: other tasks go to other processes."""
    worker = start(concurrency=2)
    with own_server.client() as valkey:
        signal_all(worker.children, signal.SIGSTOP)
        long_body = send("late_body", "long", 5)
        wait_until(lambda: valkey.hlen("unacked"), what="the message to be fetched")

    break_off(own_server, 0.5)

    wait_until(lambda: client.control.ping(timeout=0.5), 30, what="the worker to be back")
    signal_all(worker.children, signal.SIGCONT)
    wait_until(lambda: runs_of(tmp_path, "started"), 30, what="the body to start")
    assert [new_work_is_done(client) for _ in range(6)] == [3] * 6
    assert not runs_of(tmp_path, "ended")
    wait_until(lambda: status_of(client, long_body) == "SUCCESS", 30, what="the body's result")
    assert runs_of(tmp_path, "started") == {"long": 1}


def signal_all(processes, number):
    for process in processes:
        os.kill(process, number)
