"""`firex record`: the runs of a broker that others share, whoever submits them."""

from __future__ import annotations

import json
import signal

import pytest

from firexkit import FireX
from firexkit.broker_address import bare, password_in
from firexkit.runtime.server import Server
from product.firex import Home, eventually


@pytest.fixture
def cluster(home: Home, broker: Server) -> tuple[str, ...]:
    """The options that name a broker whose password is in a file."""
    (home.path / "password").write_text(password_in(broker.url))
    return ("--broker", bare(broker.url), "--password-file", "password")


@pytest.fixture
def worker(home: Home, cluster: tuple[str, ...]):
    """A worker for whoever sends tasks."""
    worker = home.start("worker", *cluster, "-t", "work.py")
    assert [worker.stdout.readline() for _ in range(3)][-1] == "ready\n"
    yield worker
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=60)


def recorded(home: Home) -> list[dict]:
    return json.loads(home.firex("runs", "--json", "--runs-dir", "recorded").stdout or "[]")


def sent(broker: Server) -> str:
    """A task that a program sends; its id."""
    app = FireX("client", broker=broker.url, backend=broker.url, set_as_current=False)
    result = app.send_task("work.double", kwargs={"size": 21})
    result.get(timeout=30)
    app.close()
    return str(result.id)


def test_runs_are_recorded_whoever_submits_them(home: Home, broker: Server, cluster, worker):
    before = sent(broker)
    metrics = home.path / "metrics"
    recorder = home.start("record", *cluster, "--runs-dir", "recorded", "--metrics", "metrics")
    eventually(lambda: len(recorded(home)) == 1, what="what was told before it came")
    after = sent(broker)
    eventually(lambda: len(recorded(home)) == 2, what="what is told now")
    eventually(lambda: "double" in metrics.read_text(), what="counters")
    recorder.send_signal(signal.SIGTERM)
    output, errors = recorder.communicate(timeout=60)

    assert (recorder.returncode, output.count("Records the runs of")) == (0, 1), errors
    assert password_in(broker.url) not in output + errors
    shown = home.firex("show", after, "--runs-dir", "recorded").stdout
    assert "double" in shown
    assert "SUCCESS" in shown
    assert "doubled = 42" in home.firex("show", before, "double", "--runs-dir", "recorded").stdout
    assert not [*(home.path / "recorded").glob("*/*.lock")]


def test_a_run_that_is_recorded_is_left_to_its_own_recorder(home: Home, cluster):
    recorder = home.start("record", *cluster, "--runs-dir", "recorded")
    assert recorder.stdout.readline().startswith("Records")
    done = home.firex("run", "double", "-t", "work.py", "--size", "21", *cluster)
    recorder.send_signal(signal.SIGINT)
    recorder.communicate(timeout=60)

    assert done.returncode == 0, done.stderr
    assert "not recorded" not in done.stderr
    assert (home.latest / "journal.sqlite").exists()
    assert recorded(home) == []


def test_a_broker_is_needed(home: Home):
    done = home.firex("record")
    assert done.returncode == 2
    assert "Add --broker URL" in done.stderr
