"""``firex stop``."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import click

from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime.alive import holder_of, wait_until_over
from firexkit.runtime.directory import RunDirectoryError, write_private
from firexkit.runtime.runs import default_runs_directory, find_run
from firexkit.uid import current_user


@click.command("stop")
@click.argument("run")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the run's record.")
@with_runs_directory
def command(run: str, reason: str, runs_dir: Path | None) -> None:
    """Stop RUN: its tasks are revoked, children first, and clean up; returns when it is over.

    RUN is a run's id or its beginning, "latest", or the path of a run's directory.
    """
    with refused(RunDirectoryError):
        directory = find_run(runs_dir or default_runs_directory(), run)
    holder = holder_of(directory)
    if holder is None:
        raise Refusal(f"{directory.run_id} is over already; nothing to stop")
    pid, host = holder
    if host != socket.gethostname():
        raise Refusal(f"{directory.run_id} was submitted on {host}; stop it there")
    request = {"reason": reason or "firex stop", "user": current_user()}
    with suppress(FileExistsError):  # somebody else asked first; two are as good as one
        write_private(directory.stop_request, json.dumps(request).encode())
        with refused(PermissionError), suppress(ProcessLookupError):  # it is gone, and its supervisor ends the rest
            os.kill(pid, signal.SIGTERM)
    wait_until_over(directory)
    click.echo(f"{directory.run_id}: over. Logs: {directory.path}")
