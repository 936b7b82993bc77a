"""RUN and TASK: the arguments of the commands that read runs, what completes them, and ``-2`` as a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from firexkit.cli.refusal import Refusal, refused
from firexkit.journal.lookup import Lookup, close_names, names_of
from firexkit.journal.store import Journal, JournalError
from firexkit.journal.tree import Task, Tree
from firexkit.runtime.directory import LATEST, RunDirectory, RunDirectoryError
from firexkit.runtime.remembered import opened_journal
from firexkit.runtime.runs import COUNTED, default_runs_directory, find_run, runs_in

RUN_HELP: Final = (
    "RUN is a run's id or its beginning, latest, -2 for the second latest, or the path of a run's directory."
)
MOST_OFFERED: Final = 20
"""Tasks of one name that are listed to choose from."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class CommandOnRuns(click.Command):
    """A command that takes ``-2`` as an argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; what looks like an option, and is neither one nor a number, is refused as always."""
        ctx.ignore_unknown_options = True
        given = args[: args.index("--")] if "--" in args else [*args]
        rest = super().parse_args(ctx, args)
        for word in () if ctx.resilient_parsing else _words(self, ctx):
            if word in given and _looks_like_an_option(word):
                known = [name for option in self.params if isinstance(option, click.Option) for name in option.opts]
                raise click.NoSuchOption(word, possibilities=get_close_matches(word, known), ctx=ctx)
        return rest


def _looks_like_an_option(word: str) -> bool:
    return word.startswith("-") and word != "-" and not COUNTED.fullmatch(word)


def _words(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Argument):
            value = ctx.params.get(str(param.name))
            yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str))


def with_run(command: Decorated) -> Decorated:
    """The argument RUN."""
    return click.argument("run", shell_complete=complete_run)(command)


def with_task(command: Decorated) -> Decorated:
    """The argument TASK, which may be left out."""
    return click.argument("task", required=False, shell_complete=complete_task)(command)


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Ids of runs, the latest first, and ``latest``."""
    known = [LATEST, *(run.run_id for run in runs_in(ctx.params.get("runs_dir") or default_runs_directory()))]
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Names of the tasks of the run; ids, once one has begun to write one."""
    try:
        directory = find_run(ctx.params.get("runs_dir") or default_runs_directory(), ctx.params.get("run") or LATEST)
        if (journal := opened_journal(directory)) is None:
            return []
        with journal:
            tasks = {task.id: names_of(task) for task in Tree(recorded.fact for recorded in journal.facts())}
    except (RunDirectoryError, JournalError):
        return []  # here is no place to say so
    names = {short: full for full, short in tasks.values() if short.startswith(incomplete)}
    ids = {task_id: full for task_id, (full, _) in tasks.items() if incomplete and task_id.startswith(incomplete)}
    return [CompletionItem(text, help=full or None) for text, full in {**names, **ids}.items()]


def asked_run(run: str, runs_dir: Any) -> RunDirectory:
    """The run that somebody means.

    Raises:
        Refusal: there is none.
    """
    with refused(RunDirectoryError):
        return find_run(runs_dir or default_runs_directory(), run)


def asked_task(journal: Journal, lookup: Lookup, text: str, run_id: str) -> Task:
    """The task that somebody means.

    Raises:
        Refusal: there is none, or more than one.
    """
    with refused(JournalError):
        found = lookup.named(text)
    if len(found) == 1:
        return found[0]
    if found:
        raise Refusal(_to_choose(text, found))
    close = close_names(Tree(recorded.fact for recorded in journal.facts()), text)
    meant = f"did you mean {' or '.join(close)}?" if close else f"`firex show {run_id}` lists those there are"
    raise Refusal(f"no task {text!r} in {run_id}; {meant}")


def _to_choose(text: str, found: list[Task]) -> str:
    rows = [f"\n  {task.id}  {task.state:<9}  {task.name}" for task in found[:MOST_OFFERED]]
    more = f"\n  … and {len(found) - MOST_OFFERED:,} more" if len(found) > MOST_OFFERED else ""
    return f"{len(found):,} tasks are meant by {text}; choose one by its id:{''.join(rows)}{more}"
