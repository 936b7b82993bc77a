"""Runs on a broker that others share, and workers that join from elsewhere."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from firexkit.broker_address import bare, password_in
from firexkit.runtime.server import Server
from product.firex import Home, eventually, kill_worker


@pytest.fixture
def cluster(home: Home, broker: Server) -> tuple[str, ...]:
    """The options that name a broker whose password is in a file."""
    (home.path / "password").write_text(password_in(broker.url))
    return ("--broker", bare(broker.url), "--password-file", "password")


def joined(home: Home, words: tuple[str, ...], *more: str):
    """A worker in a second process, at work."""
    worker = home.start("worker", *words, "-t", "work.py", "--name", "second", *more)
    told = [worker.stdout.readline() for _ in range(3)]
    assert told[-1] == "ready\n", (told, worker.communicate())
    return worker


def test_a_run_brings_its_own_worker_and_leaves_nothing_on_the_broker(home: Home, broker: Server, cluster):
    done = home.firex("run", "parent", "-t", "work.py", *cluster)

    assert done.returncode == 0
    with broker.client() as client:
        keys = {key.decode(): client.ttl(key) for key in client.keys("*")}
    assert [key for key in keys if "queue-FireX" in key] == []
    forever = {key for key, ttl in keys.items() if ttl < 0}
    assert {key for key in forever if not key.startswith("_kombu.")} <= {"QUEUES", "FIREXKIT_EPOCH"}
    with broker.client() as client:
        kept = {member for key in forever if client.type(key) == b"set" for member in client.smembers(key)}
    assert [member for member in kept if b"FireX" in member or b"celeryev." in member] == []


def test_a_worker_joins_a_run_by_its_queue(home: Home, cluster):
    (home.path / "gate").touch()
    run = home.start("run", "gated,nop", "-t", "work.py", *cluster)
    eventually(lambda: [*home.latest.glob("microservice_logs/mc*/work.gated_*.html")])
    worker = joined(home, cluster, "--queue", f"queue-{home.latest.name}")
    (home.path / "gate").unlink()
    run.communicate(timeout=60)
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=60)

    assert run.returncode == 0
    assert [*home.latest.glob("microservice_logs/second@*.html")]


def test_two_runs_on_one_broker_keep_to_their_own_workers(home: Home, cluster):
    runs = [home.start("run", "parent", "-t", "work.py", "--seconds", "0.5", *cluster) for _ in range(2)]
    outputs = [run.communicate()[0] for run in runs]

    assert [run.returncode for run in runs] == [0, 0]
    assert [output.count("✔ child") for output in outputs] == [2, 2]


def test_the_clusters_workers_do_the_work_and_their_logs_are_named(home: Home, cluster):
    worker = joined(home, cluster, "--logs-dir", "elsewhere")
    done = home.firex("run", "parent", "-t", "work.py", "--no-worker", *cluster)
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=30)

    assert done.returncode == 0
    (note,) = home.latest.glob("microservice_logs/second@*.txt")
    host, _, directory = note.read_text().strip().partition(":")
    assert directory == str(home.path / "elsewhere" / f"second@{host}")
    assert len(list(Path(directory).glob("work.child_*.html"))) == 2
    assert worker.returncode == 130


def test_a_failed_task_of_another_worker_is_told_with_its_log(home: Home, cluster):
    worker = joined(home, cluster, "--logs-dir", "elsewhere")
    done = home.firex("run", "fail", "-t", "work.py", "--no-worker", *cluster)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)

    (log,) = re.findall(r"its log: (.*)", done.stderr)
    assert "nothing &lt;i&gt;works" in Path(log).read_text()


def test_a_worker_joins_a_run_by_address_and_password_alone(home: Home):
    """It finds the run's directory by itself, and ends with the run."""
    run = home.start("run", "parent", "-t", "work.py", "--children", "30", "--seconds", "0.5", "--concurrency", "2")
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and "child mc@" in notes.read_text())
    internal = home.latest / "firex_internal"
    address = (internal / "broker-url").read_text().strip()
    worker = joined(home, ("--broker", address, "--password-file", str(internal / "broker-password")))
    run.communicate(timeout=60)
    said, errors = worker.communicate(timeout=60)

    assert run.returncode == 0
    assert "child second@" in notes.read_text()
    (log,) = home.latest.glob("microservice_logs/second@*.html")
    assert [*home.latest.glob(f"microservice_logs/{log.stem}/work.child_*.html")]
    assert ("the run is over" in said, worker.returncode) == (True, 0), errors
    assert list(internal.glob("broker-*")) == []


def test_a_worker_ends_with_a_run_that_was_killed(home: Home):
    """What its tasks still have to say finds nobody, for ever."""
    run = home.start("run", "parent", "-t", "work.py", "--children", "12", "--seconds", "5", "--concurrency", "2")
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and "child mc@" in notes.read_text())
    internal = home.latest / "firex_internal"
    address = (internal / "broker-url").read_text().strip()
    worker = joined(home, ("--broker", address, "--password-file", str(internal / "broker-password")))
    eventually(lambda: "child second@" in notes.read_text())
    (supervisor,) = home.processes(" supervisor")
    run.kill()
    supervisor.kill()
    run.communicate(timeout=60)
    said, errors = worker.communicate(timeout=60)
    for scratch in (home.path / "tmp").glob("pymp-*"):
        scratch.rmdir()

    assert ("the run is over" in said, worker.returncode) == (True, 0), errors


def test_stopping_a_run_leaves_the_clusters_workers_alone(home: Home, cluster):
    worker = joined(home, cluster, "--logs-dir", "elsewhere")
    run = home.start("run", "parent", "-t", "work.py", "--seconds", "60", "--no-worker", *cluster)
    eventually(lambda: (home.path / "notes").exists() and "child second@" in (home.path / "notes").read_text())
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    again = home.firex("run", "double", "-t", "work.py", "--size", "1", "--no-worker", *cluster)
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=30)

    assert run.returncode == 130
    assert "parent cleaned up" in (home.path / "notes").read_text()
    assert again.returncode == 0


def test_a_worker_that_dies_takes_only_its_own_tasks(home: Home):
    """What another worker runs goes on; what was only fetched is done by the next one."""
    run = home.start("run", "parent", "-t", "work.py", "--children", "12", "--seconds", "2", "--concurrency", "3")
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and notes.read_text().count("child mc@") >= 2)
    internal = home.latest / "firex_internal"
    address = (internal / "broker-url").read_text().strip()
    words = ("--broker", address, "--password-file", str(internal / "broker-password"), "--concurrency", "3")
    worker = joined(home, words)
    eventually(lambda: notes.read_text().count("child second@") >= 2)
    (main,) = [process for process in home.processes("mc@") if ":MainProcess]" in " ".join(process.cmdline())]
    kill_worker(main)
    output, errors = run.communicate(timeout=60)
    worker.communicate(timeout=60)

    assert run.returncode == 1
    assert "WorkerLostError" in errors
    failed = output.count("✘ child")
    assert 1 <= failed <= 3, output
