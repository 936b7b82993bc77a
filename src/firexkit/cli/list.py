"""``firex list``."""

from __future__ import annotations

import json

import click

from firexkit._importing import SourceError
from firexkit.cli.options import listed, with_tasks
from firexkit.cli.refusal import refused
from firexkit.runtime.arguments.descriptions import described
from firexkit.runtime.preparation import Sources, loaded_app, parameters_of
from firexkit.task_names import offered_tasks


@click.command("list")
@click.option("--arguments", is_flag=True, help="The arguments of all tasks, instead of the tasks.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object by name.")
@with_tasks
def command(arguments: bool, as_json: bool, tasks: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    """List the tasks there are by their full names, or the arguments that they take."""
    with refused(SourceError, ValueError, LookupError):
        app = loaded_app(Sources(tasks, listed(plugins)))
    if arguments:
        told = {name: _argument(*described(one)) for name, one in parameters_of(app).items()}
    else:
        # A plugin's task has two names, its own and the one it replaces; that one it goes by.
        tasks_by_name = {task.name: task for task in offered_tasks(app).values()}
        told = {name: _first_line(task.__doc__) for name, task in tasks_by_name.items()}
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    width = max(map(len, told), default=0)
    for name, text in sorted(told.items()):
        click.echo(f"{name:<{width}}  {text}".rstrip())


def _argument(kind: str, default: str, doc: str) -> str:
    return f"{kind}, {default}{f': {doc}' if doc else ''}"


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
