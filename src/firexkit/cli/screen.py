"""What a person sees of a run while it goes on: on a terminal a tree, else lines as tasks start and end, or nothing."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

import click

from firexkit import _lazy
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.listening import Listener
from firexkit.runtime.progress import ENDED, FAILED, RETRIED, REVOKED, RUNNING, SUCCEEDED, TaskSeen

MARKS: Final = {
    RUNNING: ("▶", "cyan"),
    SUCCEEDED: ("✔", "green"),
    FAILED: ("✘", "red"),
    REVOKED: ("■", "yellow"),
    RETRIED: ("↻", "yellow"),
}
IN_ASCII: Final = str.maketrans(
    {"▶": ">", "▷": "-", "✔": "+", "✘": "x", "■": "!", "↻": "~", "○": "o", "…": "...", "█": "#", "░": "."}
)
"""Our signs for outputs that have only ASCII."""
TOLD: Final = frozenset(MARKS)
"""States that get a line; that a task waits, or goes on, does not."""
INDENT: Final = "  "


def announce(directory: RunDirectory) -> None:
    """The two lines that programs read."""
    echo(f"FireX ID: {directory.run_id}")
    echo(f"Logs: {directory.path}")


class Lines:
    """A line for each task that starts and each that ends."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def begins(self, directory: RunDirectory) -> None:
        """Say which run it is and where it keeps its logs."""
        announce(directory)

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """Say what became of the task, once for each state."""
        if task.state in TOLD and self._seen.get(task.uuid) != task.state:
            self._seen[task.uuid] = task.state
            echo(line_for(task, depth))

    def notice(self, text: str) -> None:
        """Say it where errors go."""
        echo(f"firex: {text}", err=True)

    def ends(self) -> None:
        """Say nothing more."""


def line_for(task: TaskSeen, depth: int) -> str:
    """One line about a task: time, state, name, how long, where if it is not here."""
    mark, _ = MARKS[task.state]
    when = time.strftime("%H:%M:%S", time.localtime(task.ended or task.started or time.time()))
    took = f" ({elapsed(task.runtime)})" if task.state in ENDED and task.runtime is not None else ""
    plugin = " (plugin)" if task.from_plugin else ""
    host = task.worker.partition("@")[2]
    where = f" on {host}" if host and host != socket.gethostname() else ""
    return f"{when} {INDENT * depth}{mark} {task.short_name}{plugin} {task.state}{took}{where}"


def elapsed(seconds: float) -> str:
    """A duration for people: ``0.42 s``, ``75 s`` as ``1:15``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Quiet:
    """Nothing but what went wrong."""

    def begins(self, directory: RunDirectory) -> None:
        """Say nothing."""

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """Say nothing."""

    def notice(self, text: str) -> None:
        """Say it where errors go."""
        echo(f"firex: {text}", err=True)

    def ends(self) -> None:
        """Say nothing."""


def screen_for(chain: Sequence[str], *, is_terminal: bool) -> Listener:
    """What suits where the output goes.

    Args:
        chain: short names of the run's tasks, in their order.
        is_terminal: whether lines can be drawn anew there.
    """
    if not is_terminal:
        return Lines()
    tree: Listener = _lazy.module("firexkit.cli.live").Live(chain)
    return tree


def is_terminal() -> bool:
    """Whether the output is a terminal on which the cursor can be moved."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, with other letters where the output does not have all of them."""
    stream = sys.stderr if err else sys.stdout
    click.echo(fit(text, getattr(stream, "encoding", None) or "utf-8"), err=err)


def fit(text: str, encoding: str) -> str:
    """A text in letters that an encoding has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return in_ascii(text).encode(encoding, "backslashreplace").decode(encoding)
    return text


def in_ascii(text: str) -> str:
    """A text with our signs in ASCII; other letters are as they were."""
    return text.translate(IN_ASCII)
