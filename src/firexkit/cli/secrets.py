"""Secrets that are given to a run: asked for, or read from a file, so that no command line shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
from setproctitle import setproctitle

from firexkit._serialization.masking import masked_command
from firexkit.cli.refusal import Refusal
from firexkit.runtime.arguments.words import name_of
from firexkit.secret import Secret, SecretNames

_STANDARD_INPUT: Final = "-"


def given_secrets(said: Iterable[str]) -> dict[str, Secret[str]]:
    """The secrets that ``--secret`` asks for, by the name of the argument.

    Args:
        said: NAME for one that is asked for on the terminal, or else is the next line of the standard input;
            NAME=FILE for the content of a file.

    Raises:
        Refusal: no name, one that is there twice, a file that can't be read, or nothing in it.
    """
    secrets: dict[str, Secret[str]] = {}
    for one in said:
        written, _, file = one.partition("=")
        name = name_of(written.removeprefix("--"))
        if name is None:
            raise Refusal("--secret takes the name of an argument, or NAME=FILE; the value stands in the file")
        if name in secrets:
            raise Refusal(f"--secret {written} is there twice; keep one")
        value = _read(Path(file), written) if file and file != _STANDARD_INPUT else _asked(written)
        if not value:
            raise Refusal(f"--secret {written}: there is no value")
        secrets[name] = Secret(value)
    return secrets


def _read(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        # What was meant for the value may stand in the place of the file's name.
        raise Refusal(f"--secret {name}=FILE: the file can't be read: {reason}") from None


def _asked(name: str) -> str:
    if sys.stdin is None:
        raise Refusal(f"--secret {name}: there is no standard input to read it from; write --secret {name}=FILE")
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")


def hide_typed(names: SecretNames) -> None:
    """Say once that a secret stands on the command line, and hide it in what other users see of this process.

    Args:
        names: of arguments that hold secrets.
    """
    shown = masked_command(sys.argv, names)
    if shown == sys.argv:
        return
    at = next(at for at, (word, one) in enumerate(zip(sys.argv, shown, strict=True)) if word != one)
    written = shown[at].partition("=")[0] if shown[at].startswith("--") else shown[at - 1]
    name = written.removeprefix("--")
    click.echo(
        f"firex: everybody on this machine could read {written} on the command line, and the shell remembers it: "
        f"give it by --secret {name} (asked for), or by --secret {name}=FILE",
        err=True,
    )
    sys.argv[:] = shown
    setproctitle(" ".join(shown))
