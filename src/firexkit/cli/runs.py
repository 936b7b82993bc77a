"""``firex runs``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from firexkit.cli.as_json import run_facts
from firexkit.cli.lines import Line, line, show, tell_damage, width
from firexkit.cli.options import with_runs_directory
from firexkit.cli.phrases import RUN_STYLES, elapsed, moment, short, short_id, since
from firexkit.cli.refusal import refused
from firexkit.cli.run_arguments import CommandOnRuns
from firexkit.runtime.finding import Asked, Found, found_in
from firexkit.runtime.remembered import FAILED, remembered
from firexkit.runtime.runs import default_runs_directory, runs_in

WIDE = 120
"""Columns from which on ids are shown whole."""
MOST_TASKS = 5
"""Tasks of a run that are named as found."""


@click.command("runs", cls=CommandOnRuns)
@click.argument("text", nargs=-1)
@click.option("--failed", is_flag=True, help="Only those that failed or were killed.")
@click.option("--since", "when", metavar="WHEN", help="Only those that began since: 2h, 3d, yesterday, 2026-05-01.")
@click.option("--task", metavar="NAME", help="Only those with a task of this short or full name.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="… that got this argument; repeatable.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="The latest so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@with_runs_directory
def command(
    text: tuple[str, ...],
    failed: bool,
    when: str | None,
    task: str | None,
    arguments: tuple[str, ...],
    limit: int,
    as_json: bool,
    runs_dir: Path | None,
) -> None:
    """Find runs: all words of TEXT stand in the name, arguments, results or error of a task.

    Words are found in any case, and by how they begin; one with blanks, in quotes, as it is. --task, --arg and TEXT
    are about the same task. Runs are listed the latest first, with the tasks that were found.
    """
    with refused(ValueError):
        asked = Asked(text, task or "", dict(map(_argument, arguments)))
        after = since(when, datetime.now()) if when else None
    runs = runs_dir or default_runs_directory()
    most = None if as_json else MOST_TASKS
    looked_at = [*_looked_at(runs, asked, after, limit, failed=failed, most=most)]
    found = [one for one in looked_at if one.fits]
    if as_json:
        click.echo(json.dumps([_facts(one) for one in found], indent=2))
    elif found:
        id_width = _id_width([one.run.directory.run_id for one in found], width())
        show(one for run in found for one in _lines(run, id_width))
    else:
        click.echo(f"no runs{' like that' if asked or failed or when else ''} in {runs}", err=True)
    for one in looked_at:
        tell_damage(f"{one.run.directory.run_id}: {told}" for told in one.damage)


def _looked_at(
    runs: Path, asked: Asked, after: float | None, limit: int, *, failed: bool, most: int | None
) -> Iterator[Found]:
    for directory in runs_in(runs):
        run = remembered(directory)
        if (failed and run.state not in FAILED) or (after is not None and (run.started_at or 0.0) < after):
            continue
        yield (found := found_in(run, asked, most))
        limit -= found.fits
        if not limit:
            return


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--arg {text}: write it like --arg size=3")
    return name.strip().removeprefix("--").replace("-", "_"), value


def _id_width(ids: list[str], columns: int | None) -> int | None:
    """As much of ids as tells runs apart, where there is no room for all; None for all of it."""
    if columns is None or columns >= WIDE:
        return None
    shortest = ids[0].rfind("-")
    return next(
        (length for length in range(shortest, len(ids[0])) if len({one[:length] for one in ids}) == len(ids)), None
    )


def _lines(found: Found, id_width: int | None) -> Iterator[Line]:
    run, state = found.run, found.run.state
    took, started = run.took(time.time()), moment(run.started_at)
    yield line(
        f"{run.directory.run_id[:id_width]}  ",
        (f"{state:<11}", RUN_STYLES.get(state, "red")),
        f"  {started if id_width is None else started[5:16]}  {elapsed(took) if took is not None else '?':>8}  ",
        ",".join(run.record.chain) if run.record is not None else "",
    )
    for task in found.tasks:
        yield line(("    ", ""), f"{short(task.name)}  ", (f"{short_id(task.id)}  {task.state}", "dim"))
    if found.count > len(found.tasks):
        yield line((f"    … and {found.count - len(found.tasks):,} more tasks", "dim"))


def _facts(found: Found) -> dict[str, object]:
    tasks = [{"id": task.id, "name": task.name, "state": str(task.state)} for task in found.tasks]
    return {**run_facts(found.run, time.time()), "found": tasks, "damage": found.damage}
