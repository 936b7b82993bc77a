"""The command ``firex``. Each command is a module of this package, imported when it is used."""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "run": "Run a chain of tasks, here or on a cluster.",
    "list": "List the tasks there are, or their arguments.",
    "info": "Tell about a task or an argument.",
    "ps": "List runs.",
    "runs": "Find runs, and tasks in them.",
    "show": "Show what a run or a task did, and why it failed.",
    "logs": "Print the log of a run or a task.",
    "wait": "Wait for a run to end, and end as it did.",
    "stop": "Stop a run or a task: tasks are revoked and clean up.",
    "prune": "Remove old runs.",
    "record": "Record the runs of a broker, whoever submits them.",
    "worker": "Work for runs on a broker, from this machine.",
    "completion": "Print what a shell needs to complete commands.",
    "version": "Tell which versions are installed.",
}

INTERRUPTED: Final = 128 + signal.SIGINT


class _Commands(click.Group):
    """The commands, known by name; their modules are imported only to be used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]  # the module `list` of this package hides the type

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; Ctrl-C before it can handle that itself ends it as it ends others."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def firex() -> None:
    """Workflows of named tasks: run them, see how they go, know why they failed.

    A first run, which does nothing:  firex run nop
    """


def main() -> None:
    """Run the command line; what goes wrong is one message and an exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams have it
    # Libraries log for those who want to read it; what a user must know is said as the one message.
    logging.getLogger().addHandler(logging.NullHandler())
    firex(prog_name="firex")


def _open_closed_streams() -> None:
    """Connect to nothing what whoever started us closed, or the next files opened get these numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number, so the stream's own
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))
