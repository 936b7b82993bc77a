"""What a command says when it can't begin: one message, exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


class Refusal(click.ClickException):
    """A command that was asked for something that can't be; nothing was started.

    Args:
        message: what, where, and what to do.
    """

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the message."""
        click.echo(f"firex: {self.message}", err=True)


@contextmanager
def refused(*kinds: type[BaseException]) -> Iterator[None]:
    """Turn errors of these kinds into a refusal with their text."""
    try:
        yield
    except kinds as error:
        raise Refusal(
            str(error.args[0]) if isinstance(error, LookupError) and len(error.args) == 1 else str(error)
        ) from error
