"""``firex info``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click

from firexkit import _lazy
from firexkit._importing import SourceError
from firexkit.app import FireX
from firexkit.cli.options import listed, with_tasks
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime.arguments.descriptions import described
from firexkit.runtime.arguments.parameters import Parameter, declared
from firexkit.runtime.preparation import Sources, loaded_app, parameters_of
from firexkit.task import FireXTask
from firexkit.task_names import matching_names, offered_tasks, similar_names


@click.command("info")
@click.argument("name")
@with_tasks
def command(name: str, tasks: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    """Tell about NAME: a task by its short name, full name, or a regular expression; or an argument.

    Of a task: what it does, takes and returns. Of an argument: the tasks that take it.
    """
    with refused(SourceError, ValueError, LookupError):
        app = loaded_app(Sources(tasks, listed(plugins)))
    parameter = parameters_of(app).get(name.lstrip("-").replace("-", "_"))
    found = {task.name: task for task in (app.tasks[one] for one in _tasks_named(app, name))}
    blocks = [_about_task(task) for task in found.values()]
    if parameter is not None:
        blocks.append(_about_argument(parameter))
    if not blocks:
        close = similar_names(name, offered_tasks(app))
        meant = f"; did you mean {' or '.join(close)}?" if close else "; `firex list` lists them"
        raise Refusal(f"no task and no argument is called {name}{meant}")
    click.echo("\n\n".join("\n".join(block) for block in blocks))


def _tasks_named(app: FireX, name: str) -> list[str]:
    known = list(offered_tasks(app))
    if found := matching_names(name, known):
        return found
    try:
        pattern = re.compile(name)
    except re.error:
        return []
    return [full_name for full_name in known if pattern.search(full_name)]


def _about_task(task: Any) -> Iterator[str]:
    plugin = " (plugin)" if getattr(task, "from_plugin", False) else ""
    yield f"{task.name}{plugin}"
    yield from (f"    {line}".rstrip() for line in _description(task).splitlines())
    if not isinstance(task, FireXTask):
        yield "  a plain Celery task"
        return
    parameters = declared([task])
    yield "  takes:" if parameters else "  takes nothing"
    for name, parameter in parameters.items():
        kind, default, doc = described(parameter)
        yield f"    {name}: {kind}, {default}{f'; {doc}' if doc else ''}"
    returned = ", ".join("any names" if task.is_dynamic_return(key) else key for key in task.return_keys)
    yield f"  returns: {returned}" if returned else "  returns nothing by name"
    if task.code_filepath:
        yield f"  in {task.code_filepath}"


def _description(task: Any) -> str:
    """What a docstring says before it comes to parameters."""
    text = inspect.cleandoc(task.__doc__ or "")
    return str(_lazy.module("docstring_parser").parse(text).description or "") if text else ""


def _about_argument(parameter: Parameter) -> Iterator[str]:
    kind, default, doc = described(parameter)
    yield f"--{parameter.name}: {kind}, {default}"
    if doc:
        yield f"    {doc}"
    yield f"  taken by: {', '.join(sorted({said.task for said in parameter.declarations}))}"
