"""What a person sees of a run while it goes on: on a terminal a tree, else lines as tasks start and end, or nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Final

from firexkit import _lazy
from firexkit.cli.letters import echo
from firexkit.cli.phrases import elapsed
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
