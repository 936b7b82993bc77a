"""What is printed, in letters that the output has."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

IN_ASCII: Final = str.maketrans(
    {"▶": ">", "▷": "-", "✔": "+", "✘": "x", "■": "!", "↻": "~", "○": "o", "…": "...", "█": "#", "░": ".", "≤": "<="}
)
"""Our signs for outputs that have only ASCII."""


def is_terminal() -> bool:
    """Whether the output is a terminal on which the cursor can be moved."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, with other letters where the output does not have all of them."""
    stream = sys.stderr if err else sys.stdout
    click.echo(fit(text, getattr(stream, "encoding", None) or "utf-8"), err=err)


def fit(text: str, encoding: str) -> str:
    """A text in letters that an encoding has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return in_ascii(text).encode(encoding, "backslashreplace").decode(encoding)
    return text


def in_ascii(text: str) -> str:
    """A text with our signs in ASCII; other letters are as they were."""
    return text.translate(IN_ASCII)
