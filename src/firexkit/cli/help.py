"""The help of ``firex run``: its options, and the arguments of the tasks of a chain."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

import click

from firexkit import tasks
from firexkit._importing import SourceError
from firexkit.cli.completing import own_options
from firexkit.cli.refusal import refused
from firexkit.runtime.arguments.descriptions import described
from firexkit.runtime.arguments.parameters import Parameter
from firexkit.runtime.arguments.words import option
from firexkit.runtime.preparation import Sources, loaded_app, parameters_of
from firexkit.task_names import chain_of, offered_tasks

BUILT_IN = f"{tasks.__name__}."


def tell_help(ctx: click.Context, chain: str, sources: Sources) -> None:
    """Print the help of a command; with a chain, also which arguments its tasks take.

    Args:
        ctx: the command's context.
        chain: names of tasks, with commas between them; empty for none.
        sources: where tasks come from.
    """
    click.echo(ctx.get_help())
    if not chain:
        click.echo("\nfirex run CHAIN --help lists the arguments of a chain's tasks.")
        return
    with refused(SourceError, ValueError, LookupError):
        app = loaded_app(sources)
        signature = chain_of(app, chain)
    written = own_options(ctx.command)
    members = signature.tasks if hasattr(signature, "tasks") else [signature]
    names = {app.tasks[task.task].short_name for task in members}
    parameters = parameters_of(app, first=[task.task for task in members]).values()
    of_chain = [one for one in parameters if names & {said.task for said in one.declarations}]
    own = {task.short_name for name, task in offered_tasks(app).items() if not name.startswith(BUILT_IN)}
    others = [one for one in parameters if one not in of_chain and own & {said.task for said in one.declarations}]
    click.echo("\n".join(["", f"Arguments of {chain}:", *_table(of_chain, written)]))
    if others:
        click.echo(
            "\n".join(["", "Arguments of other loaded tasks, which a task may enqueue:", *_table(others, written)])
        )


def _table(parameters: Iterable[Parameter], own: Container[str]) -> list[str]:
    """A row for each: how to write it, its type, its default, its description."""
    rows = [(_written(one.name, own), *described(one)) for one in parameters]
    if not rows:
        return ["  none"]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)) for row in rows]
    return [f"  {start}  {_first_sentence(row[3])}".rstrip() for start, row in zip(padded, rows, strict=True)]


def _written(name: str, own: Container[str]) -> str:
    """How to write an argument: after ``--`` when the command has an option of that name."""
    return f"-- {option(name)}" if option(name) in own else option(name)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0]
