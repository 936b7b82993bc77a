"""What a shell offers to complete: tasks, their arguments, and values."""

from __future__ import annotations

from collections.abc import Container, Iterable

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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse its own options; a task's argument keeps a value that begins with a dash."""
        return super().parse_args(ctx, with_values_attached(args, own_options(self)))

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


def own_options(command: click.Command) -> dict[str, click.Parameter]:
    """A command's options as they are written, ``--queue`` and ``-t``."""
    return {written: one for one in command.params if isinstance(one, click.Option) for written in one.opts}


def with_values_attached(args: Iterable[str], own: Container[str]) -> list[str]:
    """Words of a command line, in which ``--name -5`` of a task has become ``--name=-5``: no option of ours to parse.

    Args:
        args: the words.
        own: the command's own options, as they are written.
    """
    attached: list[str] = []
    for word in args:
        before = attached[-1] if attached else ""
        is_open = before.startswith("--") and before != "--" and "=" not in before and before not in own
        if is_open and "--" not in attached and word.startswith("-") and word[1:2] != "-" and word not in own:
            attached[-1] = f"{before}={word}"
        else:
            attached.append(word)
    return attached


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
