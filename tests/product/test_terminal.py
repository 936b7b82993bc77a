"""`firex run` on a terminal: what a person sees, while it goes on and in the end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from product.firex import Home
from unit.terminal_support import Pty

PATIENCE = 60
REPORTING = """
from firexkit import FireX
from firexkit.report import ReportGenerator, report

app = FireX("reporting")


class Loud(ReportGenerator):
    def post_run_report(self, **_):
        print("a report")


@report()
@app.task(returns="answer")
def tell():
    return 42
"""


@pytest.fixture
def terminal() -> Iterator[Pty]:
    """A terminal that is wide enough for the path of a run."""
    terminal = Pty(200, 24)
    yield terminal
    terminal.close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(home: Home, terminal: Pty) -> Start:
    """Starts `firex` on the terminal."""
    del home.env["COLUMNS"]
    home.env["TERM"] = "xterm-256color"
    home.env.pop("NO_COLOR", None)
    pipes = {"stdin": terminal.its, "stdout": terminal.its, "stderr": terminal.its}
    return lambda *words, **env: home.start(*words, env=env, start_new_session=True, **pipes)


def in_the_end(terminal: Pty, run: subprocess.Popen[str], last: str) -> list[str]:
    """The screen when the run is over."""
    run.wait(PATIENCE)
    terminal.wait_for(lambda _: terminal.screen()[-1].startswith(last))
    return terminal.screen()


def test_a_run_from_its_beginning_to_its_end(home: Home, terminal: Pty, start: Start):
    run = start("run", "parent,nop", "-t", "work.py", "--seconds", "1")
    terminal.wait_for(lambda _: any("waits for 2 child" in line for line in terminal.screen()))
    going_on = [line.split() for line in terminal.screen()[2:]]
    over = in_the_end(terminal, run, "  count = 2")

    assert [line[:2] for line in going_on[:2]] == [["▷", "parent"], ["▶", "child"]]
    assert ["○", "nop", "waits", "for", "parent"] in going_on
    assert over[:2] == [f"FireX ID: {home.latest.name}", f"Logs: {home.latest}"]
    tail = over[-6:]
    assert [line.split()[:2] for line in tail[:2]] == [["✔", "parent"], ["✔", "nop"]]
    assert tail[2].endswith("  4 succeeded")
    assert tail[3:] == ["All tasks succeeded", "Returned values:", "  count = 2"]
    assert run.returncode == 0


def test_a_failure(terminal: Pty, start: Start):
    run = start("run", "outer,nop", "-t", "work.py")
    over = in_the_end(terminal, run, "Logs: ")
    tree = over[over.index(next(line for line in over if line.startswith("✘"))) :]

    assert tree[0].split()[:2] == ["✘", "outer"]
    assert tree[0].endswith("because of fail")
    assert tree[1].split()[:2] == ["✘", "fail"]
    assert tree[1].endswith("ValueError: nothing <i>works</i>")
    assert tree[2].endswith("  2 failed")
    assert tree[3] == "work.fail failed: ValueError: nothing <i>works</i>"
    assert run.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped(terminal: Pty, start: Start, number: signal.Signals):
    """What is said stands above the tree, nothing of which is left behind; the cursor is there all the time."""
    run = start("run", "parent", "-t", "work.py", "--seconds", "60")
    terminal.wait_for(lambda _: any("▶ child" in line for line in terminal.screen()))
    run.send_signal(number)
    over = in_the_end(terminal, run, "Logs: ")
    tree = over[over.index(f"firex: stopping: {number.name}; Ctrl-C ends it at once") + 1 :]

    assert [line.split()[:2] for line in tree[:2]] == [["■", "parent"], ["■", "child"]]
    assert [line.partition(" (by")[0] for line in over if "was stopped" in line] == [
        f"The run was stopped: {number.name}"
    ]
    assert sum("parent" in line for line in over) == 1
    assert "\x1b[?25" not in terminal.written
    assert run.returncode == 128 + number


def test_what_a_report_prints_stands_above_the_tree(home: Home, terminal: Pty, start: Start):
    (home.path / "reporting.py").write_text(REPORTING)
    run = start("run", "tell", "-t", "reporting.py")
    over = in_the_end(terminal, run, "  answer = 42")

    assert over.index("a report") < over.index(next(line for line in over if line.startswith("✔ tell")))
    assert sum("tell" in line for line in over) == 1


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal: Pty, start: Start):
    run = start("run", "nop", "-t", "work.py", TERM="dumb")
    over = in_the_end(terminal, run, "All tasks succeeded")

    assert [line.split()[1:3] for line in over[-3:-1]] == [["▶", "nop"], ["✔", "nop"]]
    assert "\x1b" not in terminal.written
