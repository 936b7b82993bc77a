"""``firex prune``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from firexkit.cli.options import with_runs_directory
from firexkit.cli.phrases import bytes_in, moment, size_of
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime.remembered import remembered
from firexkit.runtime.retention import Kept, Limits, remove, remove_rests, superfluous, weighed
from firexkit.runtime.runs import default_runs_directory, runs_in

FAILED = 1


@click.command("prune")
@click.option("--keep-days", type=click.FloatRange(min=0), metavar="N", help="Keep what ended in the last N days.")
@click.option("--keep-runs", type=click.IntRange(min=0), metavar="N", help="Keep the latest N runs.")
@click.option("--keep-size", metavar="SIZE", help="Keep the latest runs that have room in SIZE: 500M, 10G.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
@with_runs_directory
def command(
    keep_days: float | None,
    keep_runs: int | None,
    keep_size: str | None,
    dry_run: bool,
    as_json: bool,
    runs_dir: Path | None,
) -> None:
    """Remove old runs with their logs and journals. A run that goes on is never removed.

    With several limits, what one of them does not keep is removed.
    """
    if (keep_days, keep_runs, keep_size) == (None, None, None):
        raise Refusal("say what to keep: --keep-days N, --keep-runs N or --keep-size SIZE; nothing was removed")
    with refused(ValueError):
        limits = Limits(keep_days, keep_runs, bytes_in(keep_size) if keep_size else None)
    runs = runs_dir or default_runs_directory()
    known = [weighed(remembered(directory)) for directory in runs_in(runs)]
    chosen = superfluous(known, limits, time.time())
    troubles = {} if dry_run else _removed(chosen, runs)
    gone = [run for run in chosen if run.directory.run_id not in troubles]
    if as_json:
        click.echo(json.dumps(_facts(gone, troubles, kept=len(known) - len(gone), dry_run=dry_run), indent=2))
    else:
        _tell(gone, kept=len(known) - len(gone), dry_run=dry_run)
    for trouble in troubles.values():
        click.echo(f"firex: {trouble}", err=True)
    raise SystemExit(FAILED if troubles else 0)


def _removed(chosen: list[Kept], runs: Path) -> dict[str, str]:
    """Remove runs; what went wrong, by their ids."""
    remove_rests(runs)
    troubles = {}
    for run in chosen:
        try:
            remove(run.directory)
        except OSError as error:
            troubles[run.directory.run_id] = f"{run.directory.path} can't be removed: {error}"
    return troubles


def _tell(gone: list[Kept], *, kept: int, dry_run: bool) -> None:
    for run in gone:
        click.echo(f"{run.directory.run_id}  {moment(run.at)}  {size_of(run.size):>10}")
    what = "would be removed" if dry_run else "removed"
    freed = size_of(sum(run.size for run in gone))
    click.echo(f"{len(gone)} {'run' if len(gone) == 1 else 'runs'} {what}, {freed}; {kept} kept")


def _facts(gone: list[Kept], troubles: dict[str, str], *, kept: int, dry_run: bool) -> dict[str, object]:
    removed = [{"firex_id": run.directory.run_id, "at": run.at, "size": run.size} for run in gone]
    return {"removed": removed, "kept": kept, "dry_run": dry_run, "troubles": troubles}
