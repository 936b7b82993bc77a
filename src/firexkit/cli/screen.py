"""What a person sees of a run while it goes on: lines as tasks start and end, or on a terminal a live view."""

from __future__ import annotations

import socket
import time
from typing import Any, Final

import click

from firexkit import _lazy
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.listening import Listener
from firexkit.runtime.progress import BLOCKED, ENDED, FAILED, RETRIED, REVOKED, RUNNING, SUCCEEDED, TaskSeen

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
MOST_RUNNING: Final = 12
"""Lines of the live view: the deepest running tasks say what a run is doing."""


def announce(directory: RunDirectory) -> None:
    """The two lines that programs read."""
    click.echo(f"FireX ID: {directory.run_id}")
    click.echo(f"Logs: {directory.path}")


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
            click.echo(line_for(task, depth))

    def notice(self, text: str) -> None:
        """Say it where errors go."""
        click.echo(f"firex: {text}", err=True)

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


class Live:
    """On a terminal: what runs now, redrawn in place, above a line of counts; failures stay."""

    def __init__(self) -> None:
        console = _lazy.module("rich.console").Console(highlight=False)
        self._text: Any = _lazy.module("rich.text").Text
        self._console = console
        self._began = time.monotonic()
        self._tasks: dict[str, tuple[TaskSeen, int]] = {}
        self._live: Any = _lazy.module("rich.live").Live(
            console=console, get_renderable=self._view, refresh_per_second=4, transient=True
        )

    def begins(self, directory: RunDirectory) -> None:
        """Say which run it is, and begin to draw."""
        announce(directory)
        self._live.start()

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """Keep it for the next drawing; a failure or revocation gets a line that stays."""
        self._tasks[task.uuid] = (task, depth)
        if task.state in (FAILED, REVOKED):
            self._console.print(self._text(line_for(task, 0), style=MARKS[task.state][1]))

    def notice(self, text: str) -> None:
        """Say it above what is redrawn."""
        self._console.print(self._text(f"firex: {text}", style="yellow"))

    def ends(self) -> None:
        """Stop drawing; what was redrawn disappears, the counts stay."""
        self._live.stop()
        if self._tasks:
            self._console.print(self._counts([task.state for task, _ in self._tasks.values()]))

    def _view(self) -> Any:
        tasks = list(self._tasks.values())
        busy = [(task, depth) for task, depth in tasks if task.state in (RUNNING, BLOCKED, RETRIED)]
        room = max(1, min(MOST_RUNNING, self._console.height - 3))
        rows = [self._row(task, depth) for task, depth in busy[-room:]]
        if len(busy) > room:
            rows.insert(0, self._text(f"  … {len(busy) - room} more", style="dim"))
        return self._text("\n").join([*rows, self._counts([task.state for task, _ in tasks])])

    def _row(self, task: TaskSeen, depth: int) -> Any:
        took = elapsed(time.time() - task.started) if task.started else ""
        is_waiting = task.state == BLOCKED
        mark, style = ("…", "dim") if is_waiting else MARKS[task.state]
        waiting = " waits for its children" if is_waiting else ""
        row = self._text(f"{INDENT * depth}{mark} {task.short_name}{waiting} {took}", style=style)
        row.truncate(self._console.width, overflow="ellipsis")
        return row

    def _counts(self, states: list[str]) -> Any:
        counted = {state: states.count(state) for state in (RUNNING, BLOCKED, SUCCEEDED, FAILED, REVOKED)}
        text = ", ".join(f"{number} {state}" for state, number in counted.items() if number)
        return self._text(f"{elapsed(time.monotonic() - self._began)}  {text or 'starting'}", style="bold")


def screen_for(*, is_terminal: bool) -> Listener:
    """What suits where the output goes."""
    return Live() if is_terminal else Lines()
