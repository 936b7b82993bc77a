"""`firex record`: the runs of a broker that others share, whoever submits them."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from firexkit import FireX
from firexkit.broker_address import bare, password_in
from firexkit.journal.store import Journal
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


def facts_of(journal: Path) -> list[object]:
    with Journal(journal) as opened:
        return [fact for _, fact in opened.facts()]


def test_a_run_that_is_recorded_by_its_own_recorder_is_recorded_here_as_well(home: Home, broker: Server, cluster):
    recorder = home.start("record", *cluster, "--runs-dir", "recorded")
    assert recorder.stdout.readline().startswith("Records")
    eventually(lambda: _is_expected(broker), what="runs to know that they are recorded")
    done = home.firex("run", "parent", "-t", "work.py", "--children", "5", "--seconds", "1", *cluster)
    own = facts_of(home.latest / "journal.sqlite")
    eventually(lambda: [facts_of(kept) for kept in home.path.glob("recorded/*/journal.sqlite")] == [own])
    recorder.send_signal(signal.SIGINT)
    recorder.communicate(timeout=60)

    assert done.returncode == 0, done.stderr
    assert "not recorded" not in done.stderr
    assert len(own) > 10


def _is_expected(broker: Server) -> bool:
    with broker.client() as client:
        return bool(client.exists("FIREXKIT_RECORDS_ALL"))


def test_a_run_that_was_submitted_into_the_same_directory_is_there_already(home: Home, broker: Server, cluster):
    recorder = home.start("record", *cluster)
    assert recorder.stdout.readline().startswith("Records")
    eventually(lambda: _is_expected(broker), what="runs to know that they are recorded")
    done = home.firex("run", "double", "-t", "work.py", "--size", "21", *cluster)
    with broker.client() as client:
        eventually(lambda: not client.zcard("FIREXKIT_JOURNALS"), what="the recorder to let go of the run")
    recorder.send_signal(signal.SIGINT)
    recorder.communicate(timeout=60)

    assert done.returncode == 0, done.stderr
    assert "doubled = 42" in home.firex("show", "latest", "double").stdout


def test_a_broker_is_needed(home: Home):
    done = home.firex("record")
    assert done.returncode == 2
    assert "Add --broker URL" in done.stderr
