"""What programs are told of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firexkit.cli.json_lines import JsonLines, facts_of, facts_of_end
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.outcome import Failure, Outcome
from firexkit.runtime.progress import TaskSeen
from firexkit.runtime.record import Revocation


def test_each_line_is_an_object_that_tells_which_run_and_when(capsys: pytest.CaptureFixture[str]):
    lines = JsonLines("run-1", ["all"])
    lines.begins(RunDirectory(Path("/runs/run-1")))
    lines.task_changed(TaskSeen("1", "m.übersetzen", state="running"), 0)
    lines.notice("lost\nand found")
    lines.ends()
    lines.ended(Outcome(0, results={"text": "é", "number": float("nan")}))
    output, errors = capsys.readouterr()
    told = [json.loads(line) for line in output.splitlines()]

    assert (errors, output.isascii()) == ("", True)
    assert [one.pop("event") for one in told] == ["run-begins", "task-changed", "notice", "run-ends"]
    assert {one.pop("run") for one in told} == {"run-1"}
    assert sorted(told, key=lambda one: one["at"]) == told
    assert (told[0]["logs"], told[0]["chain"], told[1]["name"]) == ("/runs/run-1", ["all"], "m.übersetzen")
    assert told[2]["text"] == "lost\nand found"
    assert told[3]["results"] == {"text": "é", "number": "nan"}


def test_what_others_print_meanwhile_goes_where_errors_go(capsys: pytest.CaptureFixture[str]):
    with JsonLines("run-1", []).alone():
        print("a report")

    assert capsys.readouterr() == ("", "a report\n")


def test_the_fields_of_a_task():
    task = TaskSeen("1", "m.t", "r", "0", "failed", "mc@here", "/log", 1.0, 2.0, "X()", "…", "2", retries=1)

    assert facts_of(task, 3) == {
        "task": "1",
        "name": "m.t",
        "state": "failed",
        "parent": "0",
        "depth": 3,
        "chain_depth": 0,
        "started": 1.0,
        "ended": 2.0,
        "worker": "mc@here",
        "log": "/log",
        "from_plugin": False,
        "retries": 1,
        "planned_children": 0,
        "error": "X()",
        "cause": "2",
    }


def test_the_fields_of_an_end():
    failure = Failure("1", "m.t", "X: no", "Traceback", "mc@here", "/log", ("all",))
    ended = Outcome(130, failures=(failure,), not_run=("next",), revocation=Revocation("SIGINT", "ada", 1.0))

    assert facts_of_end(ended) == {
        "returncode": 130,
        "results": {},
        "failures": [
            {
                "task": "1",
                "name": "m.t",
                "error": "X: no",
                "traceback": "Traceback",
                "worker": "mc@here",
                "log": "/log",
                "took_down": ("all",),
            }
        ],
        "not_run": ["next"],
        "stopped": "SIGINT",
        "stopped_by": "ada",
        "trouble": None,
    }
