"""``firex stop``."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import click

from firexkit import _lazy
from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal, refused
from firexkit.cli.run_arguments import RUN_HELP, CommandOnRuns, asked_run, asked_task, with_run, with_task
from firexkit.journal.lookup import Lookup
from firexkit.journal.store import JournalError
from firexkit.journal.tree import Task
from firexkit.runtime.alive import holder_of, wait_until_over
from firexkit.runtime.directory import RunDirectory, write_private
from firexkit.runtime.remembered import opened_journal, remembered
from firexkit.uid import current_user


@click.command("stop", cls=CommandOnRuns, epilog=RUN_HELP)
@with_run
@with_task
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the run's record, or the task's.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
@with_runs_directory
def command(run: str, task: str | None, reason: str, as_json: bool, runs_dir: Path | None) -> None:
    """Stop RUN: its tasks are revoked, children first, and clean up; returns when it is over.

    With TASK only that task is revoked, and what becomes of the run is for those who wait for it. TASK is a task's
    short or full name, or its id or the beginning of that.
    """
    directory = asked_run(run, runs_dir)
    holder = holder_of(directory)
    if holder is None:
        raise Refusal(f"{directory.run_id} is over already; nothing to stop")
    reason = reason or "firex stop"
    if task is not None:
        stopped = _revoke(directory, task, reason)
        told = {"firex_id": directory.run_id, "task": stopped.id, "name": stopped.name}
        click.echo(json.dumps(told, indent=2) if as_json else f"{stopped.name} {stopped.id}: revoked")
        return
    _stop(directory, *holder, reason)
    state = remembered(directory).state
    told = {"firex_id": directory.run_id, "state": state, "logs_path": str(directory.path)}
    click.echo(json.dumps(told, indent=2) if as_json else f"{directory.run_id}: over. Logs: {directory.path}")


def _stop(directory: RunDirectory, pid: int, host: str, reason: str) -> None:
    if host != socket.gethostname():
        raise Refusal(f"{directory.run_id} was submitted on {host}; stop it there")
    request = {"reason": reason, "user": current_user()}
    with suppress(FileExistsError):  # somebody else asked first; two are as good as one
        write_private(directory.stop_request, json.dumps(request).encode())
        with refused(PermissionError), suppress(ProcessLookupError):  # it is gone, and its supervisor ends the rest
            os.kill(pid, signal.SIGTERM)
    wait_until_over(directory)


def _revoke(directory: RunDirectory, text: str, reason: str) -> Task:
    with refused(JournalError):
        journal = opened_journal(directory)
    if journal is None:
        raise Refusal(f"{directory.run_id} has no journal to know its tasks by; leave out TASK to stop all")
    with journal:
        task = asked_task(journal, Lookup(journal), text, directory.run_id)
    if task.has_ended:
        raise Refusal(f"{task.name} {task.id} has {task.state} already; nothing to stop")
    # What reaches a broker is heavy, and nobody else here needs it.
    revoking = _lazy.module("firexkit.runtime.revoking")
    with refused(revoking.RevokingError):
        revoking.revoke(directory, task.id, f"{reason} (by {current_user()})")
    return task
