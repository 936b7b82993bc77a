"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from firexkit._wire import BROKER_VARIABLE, HOME_VARIABLE, PASSWORD_FILE_VARIABLE

Command = TypeVar("Command", bound=Callable[..., Any])


def with_tasks(command: Command) -> Command:
    """Where the tasks come from."""
    command = click.option(
        "--plugins",
        multiple=True,
        metavar="FILE,…",
        help="Files or modules whose tasks replace those of the same short name; later ones win.",
    )(command)
    return click.option(
        "-t",
        "--tasks",
        multiple=True,
        metavar="FILE_OR_MODULE",
        help="Where tasks are defined; repeatable.  [default: [tool.firex] tasks of the nearest pyproject.toml]",
    )(command)


def with_broker(command: Command) -> Command:
    """Where the broker is."""
    command = click.option(
        "--password-file",
        envvar=PASSWORD_FILE_VARIABLE,
        type=click.Path(path_type=Path),
        help=f"A file with the broker's password.  [env: {PASSWORD_FILE_VARIABLE}]",
    )(command)
    return click.option(
        "--broker",
        envvar=BROKER_VARIABLE,
        metavar="URL",
        help=f"A Valkey or Redis server to work with.  [env: {BROKER_VARIABLE}]",
    )(command)


def with_secrets(command: Command) -> Command:
    """Arguments that nobody shall read."""
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="NAME[=FILE]",
        help="An argument that is asked for, or a line of the standard input, or a file's content; never shown.",
    )(command)


def with_runs_directory(command: Command) -> Command:
    """Where runs are kept."""
    return click.option(
        "--runs-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Where each run has a directory.  [default: runs in {HOME_VARIABLE} or the user's state directory]",
    )(command)


def with_worker(command: Command) -> Command:
    """What kind of worker."""
    for option in (
        click.option(
            "--loglevel",
            type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
            default="INFO",
            help="What the worker's and the tasks' logs tell.",
        ),
        click.option(
            "--soft-time-limit",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Time for a task before it gets SoftTimeLimitExceeded.",
        ),
        click.option(
            "--concurrency",
            type=click.IntRange(min=1),
            metavar="N",
            help="Tasks at a time; those that wait for others count.  [default: 8, or two per core]",
        ),
    ):
        command = option(command)
    return command


def listed(texts: tuple[str, ...]) -> list[str]:
    """The items of an option that takes a list separated by commas and may be given again."""
    return [item.strip() for text in texts for item in text.split(",") if item.strip()]
