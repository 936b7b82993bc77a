"""``firex logs``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import click

from firexkit.cli.letters import echo
from firexkit.cli.options import with_runs_directory
from firexkit.cli.refusal import Refusal, refused
from firexkit.cli.run_arguments import RUN_HELP, CommandOnRuns, asked_run, asked_task, with_run, with_task
from firexkit.journal.lookup import Lookup
from firexkit.journal.store import JournalError
from firexkit.journal.tree import Task
from firexkit.runtime.alive import is_alive
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.log_reading import LogLine, Pages, followed, read
from firexkit.runtime.remembered import opened_journal
from firexkit.runtime.task_logs import log_of, log_place, run_logs


@click.command("logs", cls=CommandOnRuns, epilog=RUN_HELP)
@with_run
@with_task
@click.option("-f", "--follow", is_flag=True, help="Go on until the run or the task is over.")
@click.option("--grep", metavar="RE", help="Only lines in which this regular expression is found.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each line.")
@with_runs_directory
def command(run: str, task: str | None, follow: bool, grep: str | None, as_json: bool, runs_dir: Path | None) -> None:
    """Print the log of a run, or of one TASK, as text.

    TASK is a task's short or full name, or its id or the beginning of that.
    """
    pattern = _pattern(grep)
    directory = asked_run(run, runs_dir)
    pages, is_over = _of_workers(directory) if task is None else _of_task(directory, task)
    if not follow and not pages():
        raise Refusal(f"{directory.run_id} has no log here; see {directory.worker_logs}")
    _tell(followed(pages, is_over) if follow else read(pages()), pattern, as_json=as_json)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise Refusal(f"--grep {text!r} is no regular expression: {error}; a sign is written like \\[") from error


def _tell(lines: Iterable[LogLine], pattern: re.Pattern[str] | None, *, as_json: bool) -> None:
    several = False
    before: Path | None = None
    for page, text in lines:
        if pattern is not None and not pattern.search(text):
            continue
        if as_json:
            click.echo(json.dumps({"log": str(page), "line": text}))
            continue
        several = several or before not in (page, None)
        if several and page != before:
            echo(f"==> {page} <==")
        before = page
        echo(text)


def _of_workers(directory: RunDirectory) -> tuple[Pages, Callable[[], bool]]:
    return (lambda: run_logs(directory)), (lambda: not is_alive(directory))


def _of_task(directory: RunDirectory, text: str) -> tuple[Pages, Callable[[], bool]]:
    """Gives the log page of a task, once it has one, and tells whether it is over."""
    with refused(JournalError):
        journal = opened_journal(directory)
    if journal is None:
        raise Refusal(f"{directory.run_id} has no journal, so its tasks are not known; see {directory.worker_logs}")
    with journal:
        task = asked_task(journal, Lookup(journal), text, directory.run_id)
    if log_of(directory, task) is None and (place := log_place(directory, task)):
        raise Refusal(f"the log of {task.name} can't be read here; it is {place}")

    def pages() -> list[Path]:
        now = _now(directory, task)
        page = log_of(directory, now)
        return [page] if page is not None else []

    return pages, lambda: not is_alive(directory) or _now(directory, task).has_ended


def _now(directory: RunDirectory, task: Task) -> Task:
    """A task as it is now. The journal is let go of at once: it can't be closed by its recorder while we read."""
    with suppress(JournalError):
        journal = opened_journal(directory)
        if journal is not None:
            with journal:
                return Lookup(journal).get(task.id) or task
    return task
