"""``firex show``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from firexkit.cli.about_run import failed_root, from_record_alone, header, root_cause, unsent
from firexkit.cli.about_task import about
from firexkit.cli.as_json import run_facts, task_facts, tree_facts
from firexkit.cli.lines import Line, line, show, tell_damage, width
from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal, refused
from firexkit.cli.run_arguments import RUN_HELP, CommandOnRuns, asked_run, asked_task, with_run, with_task
from firexkit.cli.tree_lines import Now, tree_lines
from firexkit.cli.values import with_whole_values
from firexkit.journal.lookup import Lookup
from firexkit.journal.store import Journal, JournalError
from firexkit.journal.tree import Tree
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.remembered import FAILED, Remembered, opened_journal, remembered
from firexkit.runtime.task_logs import log_place

FAILED_TO_READ: Final = 1
"""Exit code where something could not be read; what could be is shown."""


@click.command("show", cls=CommandOnRuns, epilog=RUN_HELP)
@with_run
@with_task
@click.option("--full", is_flag=True, help="Values as a whole, not only how they begin.")
@click.option("-a", "--all", "every", is_flag=True, help="A line for each task, however many are alike.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
@with_runs_directory
def command(run: str, task: str | None, full: bool, every: bool, as_json: bool, runs_dir: Path | None) -> None:
    """Show what a run did: why it failed, and the tree of its tasks. Or all about one TASK.

    TASK is a task's short or full name, or its id or the beginning of that.
    """
    directory = asked_run(run, runs_dir)
    if task is not None:
        _show_task(directory, task, full=full, as_json=as_json)
        return
    known = remembered(directory)
    try:
        journal = opened_journal(directory)
    except JournalError as error:
        if known.record is None:
            raise Refusal(f"{error} And {known.trouble}") from error
        click.echo(f"firex: {error}", err=True)
        _show_run(known, None, every=every, as_json=as_json)
        raise SystemExit(FAILED_TO_READ) from error
    if journal is None:
        _show_run(known, None, every=every, as_json=as_json)
        return
    with journal:
        tree = Tree(recorded.fact for recorded in journal.facts())
        _show_run(known, tree, every=every, as_json=as_json, damage=journal.damage)
    _tell_damage(journal)


def _tell_damage(journal: Journal) -> None:
    """What was shown is not all."""
    tell_damage(journal.damage)
    if journal.damage:
        raise SystemExit(FAILED_TO_READ)


def _show_run(run: Remembered, tree: Tree | None, *, every: bool, as_json: bool, damage: Any = ()) -> None:
    if run.record is None and tree is None:
        raise Refusal(run.trouble)
    if run.trouble:
        click.echo(f"firex: {run.trouble}", err=True)
    now = time.time()
    blamed = failed_root(tree) if tree is not None and run.state in FAILED else None
    if as_json:
        tasks = [*tree_facts(tree)] if tree is not None else None
        cause = blamed.id if blamed is not None else None
        told = {**run_facts(run, now), "root_cause": cause, "tasks": tasks, "damage": [*damage]}
        click.echo(json.dumps(told, indent=2))
        return
    show([*header(run, now, tree), *_body(run, tree, Now(now, run.alive), every=every)])


def _body(run: Remembered, tree: Tree | None, now: Now, *, every: bool) -> Iterator[Line]:
    yield line()
    if tree is None:
        yield line("nothing was recorded of its tasks: it has no journal that can be read")
        if run.record is not None:
            yield from from_record_alone(run.record)
        return
    blamed = failed_root(tree) if run.state in FAILED else None
    if blamed is not None:
        yield from root_cause(blamed, tree.get, lambda task: log_place(run.directory, task), width())
        yield line()
    yield from tree_lines(tree, now, every=every, unsent=unsent(run.record), room=width())


def _show_task(directory: RunDirectory, text: str, *, full: bool, as_json: bool) -> None:
    with refused(JournalError):
        journal = opened_journal(directory)
    if journal is None:
        raise Refusal(f"{directory.run_id} has no journal, so nothing is known of its tasks; their logs may be there")
    with journal, refused(JournalError):
        _tell_task(directory, journal, text, full=full, as_json=as_json)
    _tell_damage(journal)


def _tell_task(directory: RunDirectory, journal: Journal, text: str, *, full: bool, as_json: bool) -> None:
    lookup = Lookup(journal)
    task = asked_task(journal, lookup, text, directory.run_id)
    children, place = lookup.children_of(task), log_place(directory, task)
    if full:
        task = with_whole_values(task, journal.value)
    if as_json:
        click.echo(json.dumps(task_facts(task, children, lookup.get, place), indent=2))
        return
    now = Now(time.time(), remembered(directory).alive)
    show(about(task, children, lookup.get, place, now, room=None if full else width()))
