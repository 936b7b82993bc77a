"""``firex ps``."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from firexkit.cli.options import with_runs_directory
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.remembered import remembered
from firexkit.runtime.runs import default_runs_directory, runs_in

LATEST = 10


@click.command("ps")
@with_runs_directory
@click.option("-a", "--all", "every", is_flag=True, help="All runs; else those that go on, and the latest few.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def command(runs_dir: Path | None, every: bool, as_json: bool) -> None:
    """List runs: those that go on, and the latest that have ended. LOST is a run that was killed in the middle."""
    runs = list(runs_in(runs_dir or default_runs_directory()))
    facts = [_facts(run) for run in runs]
    shown = (
        facts if every else [one for number, one in enumerate(facts) if number < LATEST or one["state"] == "RUNNING"]
    )
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    if not shown:
        click.echo(f"no runs in {runs_dir or default_runs_directory()}")
    for one in shown:
        click.echo(
            f"{one['firex_id']}  {one['state']:<11}  {one['started']}  {one['took']:>9}  {','.join(one['chain'])}"
        )
    if len(shown) < len(facts):
        click.echo(f"… and {len(facts) - len(shown)} older; --all lists them")


def _facts(run: RunDirectory) -> dict[str, Any]:
    known = remembered(run)
    if known.record is None:
        return {
            "firex_id": run.run_id,
            "state": known.state,
            "started": "",
            "took": "",
            "chain": [],
            "returncode": None,
        }
    took = known.took(time.time())
    return {
        "firex_id": run.run_id,
        "state": known.state,
        "started": f"{datetime.fromtimestamp(known.record.submit_proc_start_timestamp):%Y-%m-%d %H:%M:%S}",
        "took": f"{took:.1f} s" if took is not None else "?",
        "chain": known.record.chain,
        "returncode": known.record.returncode,
        "logs_path": str(run.path),
    }
