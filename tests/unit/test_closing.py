"""What is said when a run is over."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import celery
import pytest

import firexkit
from firexkit.cli import closing
from firexkit.cli.phrases import elapsed
from firexkit.cli.screen import line_for
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.outcome import Failure, Outcome, own_traceback
from firexkit.runtime.progress import TaskSeen
from firexkit.runtime.record import Revocation

CELERY = str(Path(celery.__file__).parent)
FIREXKIT = str(Path(firexkit.__file__).parent)
DIRECTORY = RunDirectory(Path("/runs/x"))

TRACEBACK = f"""\
Traceback (most recent call last):
  File "{CELERY}/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "{FIREXKIT}/task/base.py", line 159, in __call__
    return execute(self, args, kwargs)
  File "/home/ada/tasks.py", line 7, in divide
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero
"""


def told(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    closing.tell(outcome, DIRECTORY)
    output, errors = capsys.readouterr()
    return output.splitlines(), errors.splitlines()


def test_only_frames_of_the_user_are_shown():
    shown = own_traceback(TRACEBACK)

    assert CELERY not in shown
    assert FIREXKIT not in shown
    assert shown.splitlines()[0] == "Traceback (most recent call last):"
    assert shown.splitlines()[1:3] == ['  File "/home/ada/tasks.py", line 7, in divide', "    return 1 / 0"]
    assert shown.endswith("ZeroDivisionError: division by zero\n")


def test_a_traceback_of_machinery_alone_is_left_to_the_log():
    assert own_traceback(TRACEBACK.replace("/home/ada/", f"{CELERY}/")) == ""


def test_a_checkout_may_be_called_as_it_likes():
    assert "tasks.py" in own_traceback(TRACEBACK.replace("/home/ada/", "/home/ada/firexkit/celery/"))


def test_success_is_said_where_output_goes(capsys):
    values = {"path": PurePosixPath("/x"), "text": "é<b>", "long": "x" * 5000}
    output, errors = told(Outcome(0, results=values), capsys)

    assert errors == []
    assert output[:4] == ["All tasks succeeded", "Returned values:", "  path = /x", "  text = 'é<b>'"]
    assert output[4].endswith("… (5,002 characters, see run.json)")
    assert max(map(len, output)) < 160


def test_failures_are_said_where_errors_go_root_cause_first(capsys):
    first = Failure("1", "m.build", "ValueError: no\nmore", "", "mc@nowhere", "/far/log", ("test", "release"))
    other = Failure("2", "m.lint", "OSError('x')", "")
    output, errors = told(Outcome(3, failures=(first, other), not_run=("publish",)), capsys)

    assert output == []
    assert errors == [
        "m.build failed: ValueError: no",
        "more",
        "  its log: nowhere:/far/log",
        "  and with it failed: test, release",
        "Other tasks that failed:",
        "  m.lint: OSError: x",
        "Never began: publish",
        "Logs: /runs/x",
    ]


def test_who_stopped_a_run_and_why(capsys):
    _, errors = told(Outcome(130, revocation=Revocation("SIGINT", "ada", 1.0)), capsys)

    assert errors == ["The run was stopped: SIGINT (by ada)", "Logs: /runs/x"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.123, "0.12 s"), (9.99, "9.99 s"), (42.4, "42 s"), (75, "1:15"), (3725, "1:02:05")]
)
def test_durations_for_people(seconds, text):
    assert elapsed(seconds) == text


def test_a_line_tells_another_host_and_a_plugin():
    task = TaskSeen("1", "m.build", state="succeeded", worker="w1@far", started=1.0, ended=2.5, from_plugin=True)

    assert line_for(task, 2)[8:] == "     ✔ build (plugin) succeeded (1.50 s) on far"


def test_quiet_tells_values_alone_and_failures_as_ever(capsys):
    closing.tell(Outcome(0, results={"doubled": 42}), DIRECTORY, is_quiet=True)
    closing.tell(Outcome(0), DIRECTORY, is_quiet=True)
    closing.tell(Outcome(1, trouble="no worker"), DIRECTORY, is_quiet=True)

    assert capsys.readouterr() == ("doubled = 42\n", "The run failed: no worker\nLogs: /runs/x\n")


def test_what_a_terminal_would_obey_is_not_said(capsys):
    failure = Failure("1", "m.t", "E: \x1b[2Jgone", "")
    _, errors = told(Outcome(1, failures=(failure,)), capsys)

    assert errors[0] == "m.t failed: E: gone"
