"""``firex wait``."""

from __future__ import annotations

from pathlib import Path

import click

from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal
from firexkit.cli.run_arguments import RUN_HELP, CommandOnRuns, asked_run, with_run
from firexkit.runtime.alive import wait_until_over
from firexkit.runtime.record import read_record

LOST = 1


@click.command("wait", cls=CommandOnRuns, epilog=RUN_HELP)
@with_run
@with_runs_directory
def command(run: str, runs_dir: Path | None) -> None:
    """Wait for RUN to end, say how it ended, and end with its exit code."""
    directory = asked_run(run, runs_dir)
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
