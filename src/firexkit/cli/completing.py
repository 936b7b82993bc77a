"""What a shell offers to complete: tasks, their arguments, and values."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from firexkit._importing import SourceError
from firexkit.app import FireX
from firexkit.cli.options import listed
from firexkit.runtime.arguments.descriptions import choices, described, takes_path
from firexkit.runtime.arguments.parameters import Parameter
from firexkit.runtime.arguments.words import name_of, option
from firexkit.runtime.preparation import Sources, loaded_app, parameters_of
from firexkit.task_names import matching_names, offered_tasks


class RunCommand(click.Command):
    """A command whose options are its own and the arguments of the loaded tasks."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Its own options, and ``--name`` for each parameter of a task."""
        name, equals, start = incomplete.partition("=")
        if equals:
            return [CompletionItem(f"{name}={item.value}", item.type) for item in _values(_parameter(ctx, name), start)]
        own = super().shell_complete(ctx, incomplete)
        return [
            *own,
            *_items(((option(one.name), described(one).doc) for one in _parameters(ctx).values()), incomplete),
        ]


def complete_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """A task's name for the chain; after ``--name``, its values."""
    words = ctx.params.get("words") or ()
    if not words:
        return complete_chain(ctx, incomplete)
    return _values(_parameter(ctx, words[-1]), incomplete) if words[-1].startswith("--") else []


def complete_chain(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names of tasks, after the last comma; short ones where they are clear."""
    before, comma, start = incomplete.rpartition(",")
    app = _app(ctx)
    tasks = offered_tasks(app) if app else {}
    names = {}
    for full_name, task in tasks.items():
        short = full_name.rsplit(".", 1)[-1]
        is_clear = len(matching_names(short, tasks)) == 1
        names[short if is_clear else full_name] = (task.__doc__ or "").strip().partition("\n")[0]
    return _items(((f"{before}{comma}{name}", doc) for name, doc in names.items()), f"{before}{comma}{start}")


def _values(parameter: Parameter | None, incomplete: str) -> list[CompletionItem]:
    if parameter is None:
        return []
    if takes_path(parameter):
        return [CompletionItem(incomplete, type="file")]
    return _items(((value, "") for value in choices(parameter)), incomplete)


def _items(texts: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(text, help=doc or None) for text, doc in texts if text.startswith(incomplete)]


def _parameter(ctx: click.Context, written: str) -> Parameter | None:
    return _parameters(ctx).get(name_of(written.removeprefix("--")) or "")


def _parameters(ctx: click.Context) -> dict[str, Parameter]:
    app = _app(ctx)
    return parameters_of(app) if app else {}


def _app(ctx: click.Context) -> FireX | None:
    """The app of the tasks that the line names so far; None if they can't be imported: here is no place to say so."""
    try:
        return loaded_app(Sources(ctx.params.get("tasks") or (), listed(ctx.params.get("plugins") or ())))
    except (SourceError, ValueError, LookupError):
        return None
