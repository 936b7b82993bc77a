"""``firex wait``."""

from __future__ import annotations

from pathlib import Path

import click

from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime.alive import wait_until_over
from firexkit.runtime.directory import RunDirectoryError
from firexkit.runtime.record import read_record
from firexkit.runtime.runs import default_runs_directory, find_run

LOST = 1


@click.command("wait")
@click.argument("run")
@with_runs_directory
def command(run: str, runs_dir: Path | None) -> None:
    """Wait for RUN to end, say how it ended, and end with its exit code.

    RUN is a run's id or its beginning, "latest", or the path of a run's directory.
    """
    with refused(RunDirectoryError):
        directory = find_run(runs_dir or default_runs_directory(), run)
    wait_until_over(directory)
    try:
        record = read_record(directory.record)
    except (OSError, ValueError) as error:
        raise Refusal(f"{directory.record} can't be read: {error}") from error
    if record.returncode is None:
        click.echo(f"{directory.run_id}: LOST; its processes were killed. Logs: {directory.path}", err=True)
        raise SystemExit(LOST)
    click.echo(f"{directory.run_id}: {record.state}. Logs: {directory.path}")
    raise SystemExit(record.returncode)
