"""A tree on a terminal, redrawn in place."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import pytest

from firexkit.cli.live import Live
from firexkit.cli.screen import Lines, Quiet, screen_for
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.progress import TaskSeen
from unit.terminal_support import Pty

DIRECTORY = RunDirectory(Path("/runs/x"))


@pytest.fixture
def terminal() -> Iterator[Pty]:
    """A terminal of 60 columns and 10 lines."""
    terminal = Pty(60, 10)
    yield terminal
    terminal.close()


Begin = Callable[..., Live]


@pytest.fixture
def begin(terminal: Pty, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Lets output and errors of the test go to the terminal, and begins to draw there."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def begin(*chain: str, encoding: str = "utf-8", errors: TextIO | None = None) -> Live:
        its = files.enter_context(os.fdopen(os.dup(terminal.its), "w", encoding=encoding))
        monkeypatch.setattr(sys, "stdout", its)
        monkeypatch.setattr(sys, "stderr", errors or its)
        live = Live(chain)
        live.begins(DIRECTORY)
        return live

    with ExitStack() as files:
        yield begin


def task(name: str, state: str, parent: str | None = None, **facts) -> TaskSeen:
    return TaskSeen(name, f"tasks.{name.rstrip('0123456789')}", parent=parent, state=state, **facts)


def drawn(terminal: Pty, text: str) -> list[str]:
    """The screen as soon as a text is on it."""
    terminal.wait_for(lambda _: any(text in line for line in terminal.screen()))
    return terminal.screen()


def test_a_run_from_its_beginning_to_its_end(terminal: Pty, begin: Begin):
    live = begin("all", "after")
    live.task_changed(task("all", "waiting", started=1.0), 0)
    live.task_changed(task("part1", "running", "all"), 1)
    going_on = drawn(terminal, "part")
    live.task_changed(task("part1", "succeeded", "all", started=1.0, ended=2.5), 1)
    live.task_changed(task("all", "succeeded", started=1.0, ended=3.0), 0)
    live.ends()
    print("Returned values")

    assert [line.split()[:2] for line in going_on[2:5]] == [["▷", "all"], ["▶", "part"], ["○", "after"]]
    assert drawn(terminal, "Returned")[:3] == ["FireX ID: x", "Logs: /runs/x", "✔ all   2.00 s"]
    assert [line.endswith("  2 succeeded") for line in terminal.screen()[3:]] == [True, False]
    assert "\x1b[?25l" not in terminal.written, "the cursor is never hidden, so none can be missing"


def test_what_is_said_meanwhile_stands_above_the_tree(terminal: Pty, begin: Begin):
    live = begin()
    live.task_changed(task("all", "running"), 0)
    live.notice("the worker was lost")
    print("a report of", "two parts")
    print("x" * 70, file=sys.stderr)
    print("no end of line", end="")
    live.ends()

    assert drawn(terminal, "1 running")[2:-2] == [
        "firex: the worker was lost",
        "a report of two parts",
        "x" * 60,
        "x" * 10,
        "no end of line",
    ]


def test_the_tree_is_never_higher_than_the_terminal(terminal: Pty, begin: Begin):
    live = begin()
    for number in range(30):
        live.task_changed(task(f"task{number}x", "running"), 0)
    live.ends()

    assert "and 23 more: 23 running" in "".join(drawn(terminal, "30 running"))
    assert len(terminal.screen()) == 2 + 9


def test_a_terminal_that_gets_narrower_or_wider(terminal: Pty, begin: Begin):
    """What a narrower terminal has made of the last frame is drawn over."""
    live = begin()
    live.task_changed(task("all", "failed", exception="no " * 50), 0)
    drawn(terminal, "1 failed")
    terminal.resize(40, 10)
    live.task_changed(task("b" * 50, "running"), 0)
    terminal.wait_for(lambda text: "1 running, 1 failed" in text)
    last = terminal.written.rpartition("\x1b[J")[0].rpartition("\x1b[J")[2]
    live.ends()

    assert "\r\x1b[3A" in last, "two lines of before were three"
    assert all(len(line) < 40 for line in drawn(terminal, "1 running")[-3:])


def test_a_run_that_was_stopped_and_goes_on_is_drawn_below_what_the_shell_said(terminal: Pty, begin: Begin):
    live = begin()
    live.task_changed(task("all", "running"), 0)
    drawn(terminal, "1 running")
    with live._facts:  # who is stopped draws nothing
        os.write(terminal.its, b"[1]+  Stopped\n$ fg\n")
        os.kill(os.getpid(), signal.SIGCONT)
    live.task_changed(task("next", "running"), 0)
    live.ends()

    assert [line.split("  ")[-1] for line in drawn(terminal, "2 running")[2:]] == [
        "▶ all",
        "1 running",
        "Stopped",
        "$ fg",
        "▶ all",
        "▶ next",
        "2 running",
    ]


def test_output_in_ascii_without_colours(terminal: Pty, begin: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    live = begin(encoding="ascii")
    live.task_changed(task("übersetzen", "running"), 0)
    live.ends()

    assert drawn(terminal, "1 running")[2].split() == [">", "?bersetzen"]
    assert "\x1b[3" not in terminal.written


def test_errors_that_go_elsewhere_stay_there(terminal: Pty, begin: Begin):
    errors = io.StringIO()
    live = begin(errors=errors)
    live.notice("lost")
    live.task_changed(task("all", "running"), 0)
    live.ends()
    live.ends()

    assert errors.getvalue() == "firex: lost\n"
    assert "lost" not in "".join(drawn(terminal, "1 running"))


def test_which_screen_suits():
    assert isinstance(screen_for([], is_terminal=False), Lines)
    assert isinstance(screen_for([], is_terminal=True), Live)


def test_quiet_tells_only_what_went_wrong(capsys: pytest.CaptureFixture[str]):
    quiet = Quiet()
    quiet.begins(DIRECTORY)
    quiet.task_changed(task("all", "failed"), 0)
    quiet.notice("the worker was lost")
    quiet.ends()

    assert capsys.readouterr() == ("", "firex: the worker was lost\n")


def test_lines_in_other_letters(monkeypatch: pytest.MonkeyPatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", output)
    Lines().task_changed(task("übersetzen", "running"), 0)
    output.flush()

    assert output.buffer.getvalue()[9:].decode("latin-1") == "> übersetzen running\n"
