"""A task's log reaches the run's directory from a worker that logs elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from firexkit.broker_address import bare, password_in
from firexkit.journal import logs
from firexkit.journal.logs import Receiver
from firexkit.runtime.server import Server
from firexkit.uid import new_run_id
from product.firex import Home, eventually


@dataclass
class Run:
    """One that wants logs, of a single task."""

    id: str
    logs: Path
    client: Any
    receiver: Receiver

    def look_like_another_machine(self) -> None:
        """The same path, but not the same directory."""
        (self.logs / ".seen-by").write_text("another token")

    def received(self) -> bytes:
        """What is there by now of the one task's log."""
        self.receiver.receive()
        return b"".join(path.read_bytes() for path in self.logs.glob("second@*/work.*.html"))

    def wait_until_whole(self, log: Path) -> list[str]:
        """Receive until the task's log is whole; what is not."""
        return self.receiver.receive_rest({logs.place_of(str(log)): 1.0}, 30)


@pytest.fixture
def run(home: Home, broker: Server) -> Iterator[Run]:
    run_id, directory = new_run_id(), home.path / "run" / "microservice_logs"
    directory.mkdir(parents=True)
    with broker.client() as client:
        logs.want(client, run_id, directory)
        yield Run(run_id, directory, client, Receiver(client, run_id, directory))


@pytest.fixture
def send(broker: Server, run: Run) -> Callable[..., None]:
    app = Celery("client", broker=broker.url, backend=broker.url, set_as_current=False)

    def send(task: str, **arguments: Any) -> None:
        app.send_task(task, task_id=run.id, kwargs=arguments)

    return send


@pytest.fixture
def worker(home: Home, broker: Server) -> Iterator[Any]:
    (home.path / "password").write_text(password_in(broker.url))
    words = ("--broker", bare(broker.url), "--password-file", "password", "--concurrency", "2")
    worker = home.start("worker", *words, "-t", "work.py", "--name", "second", "--logs-dir", "elsewhere")
    told = [worker.stdout.readline() for _ in range(3)]
    assert told[-1] == "ready\n", (told, worker.communicate())
    yield worker
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)


def log_of(home: Home, task: str) -> Path:
    """The log where the worker wrote it."""
    (log,) = eventually(lambda: [*home.path.glob(f"elsewhere/second@*/work.{task}_*.html")])
    return log


def test_a_log_comes_while_its_task_runs_and_is_whole_in_the_end(home, run, send, worker):
    """In chunks, as it would from another machine. What is on the broker for that, expires."""
    run.look_like_another_machine()
    (home.path / "gate").touch()
    send("work.gated")
    log = log_of(home, "gated")
    eventually(lambda: b"STARTED" in run.received())
    lasting = [run.client.ttl(key) for key in run.client.keys("FIREXKIT_LOGS*")]
    (home.path / "gate").unlink()
    left = run.wait_until_whole(log)

    assert left == []
    assert run.received() == log.read_bytes()
    assert b"COMPLETED" in log.read_bytes()
    assert min(lasting) > 0
    assert run.receiver.problems == {}


def test_all_logs_of_many_tasks_come(home, run, send, worker):
    run.look_like_another_machine()
    send("work.parent", children=150)
    log = log_of(home, "parent")
    left = run.wait_until_whole(log)
    told = {path.name: path.read_bytes() for path in log.parent.glob("*.html")}
    left += run.receiver.receive_rest({f"{log.parent.name}/{name}": 1.0 for name in told}, 30)

    assert (len(told), left) == (151, [])
    assert {path.name: path.read_bytes() for path in run.logs.glob("second@*/*.html")} == told


def test_a_worker_that_sees_the_directory_writes_into_it(home, run, send, worker):
    """Only that the log is whole comes through the broker."""
    send("work.fail")
    log = log_of(home, "fail")
    (arrived,) = eventually(lambda: [*run.logs.glob("second@*/work.fail_*.html")])
    eventually(lambda: arrived.read_bytes() == log.read_bytes() and run.client.xlen(logs.key_of(run.id)))

    assert b"nothing" in arrived.read_bytes()
    assert run.wait_until_whole(log) == []


def test_a_worker_that_is_ended_sends_what_is_left(home, run, send, worker):
    run.look_like_another_machine()
    (home.path / "gate").touch()
    send("work.gated")
    log = log_of(home, "gated")
    worker.send_signal(signal.SIGTERM)
    (home.path / "gate").unlink()
    worker.wait(timeout=60)
    left = run.wait_until_whole(log)

    assert left == []
    assert run.received() == log.read_bytes()


def test_what_nobody_wants_is_not_sent(home, run, send, worker):
    logs.want_no_more(run.client, run.id, run.logs)
    send("work.fail")
    log_of(home, "fail")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=60)

    assert run.client.keys("FIREXKIT_LOGS*") == []
    assert list(run.logs.iterdir()) == []
