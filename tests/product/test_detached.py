"""Runs that nobody looks at: `--detach`, `ps`, `wait`, `stop`."""

from __future__ import annotations

import json

from product.firex import Home, eventually

PARENT = ("run", "parent", "-t", "work.py")


def at_work(home: Home) -> None:
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and notes.read_text().count("child mc@") == 2, what="two children at work")


def test_a_detached_run_goes_on_without_its_submitter(home: Home):
    (home.path / "gate").touch()
    begun = home.firex("run", "gated", "-t", "work.py", "--detach")
    going_on = home.firex("ps").stdout
    (home.path / "gate").unlink()
    over = home.firex("wait", "latest")

    assert (begun.returncode, begun.stderr) == (0, "")
    assert begun.stdout == f"FireX ID: {home.latest.name}\nLogs: {home.latest}\n"
    assert f"{home.latest.name}  RUNNING" in going_on
    assert (over.returncode, over.stdout) == (0, f"{home.latest.name}: SUCCESS. Logs: {home.latest}\n")
    assert home.record()["results"]["chain_results"] == {"opened": True}


def test_waiting_ends_as_the_run_did(home: Home):
    run = home.firex("run", "fail", "-t", "work.py", "--code", "7", "--detach").stdout.splitlines()[0].split()[-1]

    assert home.firex("wait", run).returncode == 7
    (told,) = json.loads(home.firex("ps", "--json").stdout)
    assert (told["firex_id"], told["state"], told["returncode"]) == (run, "SOME_FAILED", 7)


def test_stopping_revokes_cleans_up_and_keeps_the_reason(home: Home):
    home.firex(*PARENT, "--seconds", "60", "--detach")
    at_work(home)
    stopped = home.firex("stop", "latest", "--reason", "wrong branch")

    assert stopped.returncode == 0
    assert home.leftovers() == []
    assert (home.path / "notes").read_text().splitlines()[-3:] == [
        "child cleaned up",
        "child cleaned up",
        "parent cleaned up",
    ]
    assert home.record()["revoked_details"]["reason"] == "wrong branch"
    assert home.firex("wait", "latest").returncode == 1
    again = home.firex("stop", "latest")
    assert (again.returncode, again.stderr) == (2, f"firex: {home.latest.name} is over already; nothing to stop\n")


def test_a_run_in_the_foreground_can_be_stopped_from_elsewhere(home: Home):
    run = home.start(*PARENT, "--seconds", "60")
    at_work(home)
    home.firex("stop", "latest", "--reason", "enough")
    _, errors = run.communicate()

    assert run.returncode == 1
    assert "The run was stopped: enough (by " in errors


def test_a_detached_run_that_cannot_begin_says_so(home: Home):
    long = home.path / ("x" * 120)
    long.mkdir()
    done = home.firex("run", "nop", "--detach", env={"TMPDIR": str(long)})

    assert done.returncode == 1
    assert "the run did not begin" in done.stderr
