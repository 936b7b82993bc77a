"""The yardstick, as its users run it: figures of every side, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def command(*words):
    return [sys.executable, "-m", "benchmarks", *words]


def run(*words):
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_workload_has_a_value_of_every_side_and_a_ratio():
    """A figure of a workload that all sides do has a value for each, and firexkit's ratio to plain Celery's."""
    ran = run("noop", "fan-out-100", "--quick", "--json")

    assert ran.returncode == 0, ran.stderr
    figures = {figure["figure"]: figure for figure in json.loads(ran.stdout)["figures"]}
    round_trip = figures["no-op round trip, p50"]
    assert round_trip["values"].keys() == {"raw", "plain", "firex"}
    assert round_trip["ratio"] > 0
    assert round_trip["bound"] == {"of": "ratio", "most": 1.15}
    assert "fan-out 100 unlimited, per child" in figures


def test_the_table_names_its_sides():
    """What people read has a line of headings and a line for each figure."""
    ran = run("building", "--quick")

    headings, *lines = ran.stdout.splitlines()
    assert headings.split() == ["figure", "unit", "raw", "celery", "firexkit", "ratio", "bound", "holds"]
    assert any(line.startswith("building a chain of 50") for line in lines)


def test_a_word_that_names_no_workload_is_refused_with_those_that_there_are():
    """Nothing is started for a misspelt workload."""
    ran = run("nop")

    assert ran.returncode == 1
    assert "no workload is called nop; there are noop, " in ran.stderr


def test_an_interrupted_run_leaves_no_process_behind():
    """Ctrl-C ends the workers, the clients and the server."""
    bench = subprocess.Popen(command("wake-3"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = iter(bench.stderr.readline, "")
    assert any(line.startswith("round 1") for line in told)
    family = psutil.Process(bench.pid).children(recursive=True)
    os.kill(bench.pid, signal.SIGINT)
    bench.communicate(timeout=60)

    assert bench.returncode == 1
    assert len(family) > 30
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
