"""Leave a run to a process of its own, once it is known to have begun."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import click

from firexkit.cli import closing
from firexkit.cli.screen import announce
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.outcome import Outcome
from firexkit.runtime.processes import forked, remove_scratch
from firexkit.runtime.progress import TaskSeen

BEGUN = b"begun"


class _Starter:
    """Hears a detached run: nobody looks any more, but somebody waits to be told that it has begun."""

    def __init__(self, starter: int) -> None:
        self._starter = starter

    def begins(self, directory: RunDirectory) -> None:  # noqa: ARG002 - a listener's
        """Let the starting process go."""
        os.write(self._starter, BEGUN)
        os.close(self._starter)

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """Say nothing."""

    def notice(self, text: str) -> None:
        """Keep it where the run's processes print."""
        click.echo(text, err=True)

    def ends(self) -> None:
        """Say nothing."""


def detached(conduct: Callable[[_Starter], Outcome], directory: RunDirectory) -> int:
    """Start a run and leave it alone; the exit code of the starting process.

    Args:
        conduct: runs it, told to a listener.
        directory: the run's directory.
    """
    ours, its = os.pipe()

    def live() -> int:
        os.close(ours)
        os.setsid()
        outcome = conduct(_Starter(its))
        closing.tell(outcome, directory)
        remove_scratch()
        return outcome.returncode

    forked(live, f"firex {directory.run_id}", directory.supervisor_log)
    os.close(its)
    if os.read(ours, len(BEGUN)) == BEGUN:
        with suppress(OSError):  # it goes on, whether or not that can be said
            announce(directory)
        return 0
    click.echo(f"firex: the run did not begin; {directory.supervisor_log} tells why", err=True)
    return 1
