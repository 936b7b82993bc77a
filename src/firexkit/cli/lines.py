"""Lines of a screen: for a terminal in colours and cut to its width, whole and plain for everything else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from firexkit import _lazy
from firexkit.cli.letters import echo, fit, is_terminal
from firexkit.runtime.page_text import readable

MOST_DAMAGE: Final = 5
"""Places of a damaged journal that are named."""


class Span(NamedTuple):
    """Text of one look.

    Attributes:
        text: what stands there.
        style: as rich names it; empty for plain text.
    """

    text: str
    style: str = ""


class Line(NamedTuple):
    """One line of a screen.

    Attributes:
        spans: what stands in it.
        wraps: on a terminal that is too narrow, whether it goes on in the next line; else its end is cut off.
    """

    spans: tuple[Span, ...]
    wraps: bool = False

    @property
    def plain(self) -> str:
        """Its text."""
        return "".join(span.text for span in self.spans).rstrip()


def line(*parts: str | tuple[str, str], wraps: bool = False) -> Line:
    """A line of texts, each plain or with its style.

    Args:
        parts: texts.
        wraps: see :class:`Line`.
    """
    return Line(tuple(Span(part) if isinstance(part, str) else Span(*part) for part in parts), wraps)


def block(text: str, *, indent: str = "", style: str = "") -> list[Line]:
    """A text of several lines, none of which is cut off.

    Args:
        text: anything, whoever wrote it.
        indent: what stands before each line.
        style: see :class:`Span`.
    """
    return [line(indent, (one, style), wraps=True) for one in readable(text).splitlines()]


def width() -> int | None:
    """Columns there are; None where nobody looks and lines are as long as they are."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def show(lines: Iterable[Line]) -> None:
    """Print lines."""
    if not is_terminal():
        echo("\n".join(one.plain for one in lines))
        return
    console = _lazy.module("rich.console").Console(highlight=False, width=width())
    for wraps, text in _runs_of(lines):
        # What is to be seen whole is left to the terminal: a path that it folds can still be copied as one.
        console.print(text, no_wrap=True, overflow="ignore" if wraps else "ellipsis", crop=not wraps)


def _runs_of(lines: Iterable[Line]) -> Iterable[tuple[bool, Any]]:
    """Neighbours that are treated alike as one text: rich takes its time for each."""
    text = _lazy.module("rich.text").Text
    letters = sys.stdout.encoding
    gathered: list[Any] = []
    before = False
    for one in lines:
        if gathered and one.wraps != before:
            yield before, text("\n").join(gathered)
            gathered = []
        before = one.wraps
        gathered.append(text.assemble(*((fit(span.text, letters), span.style) for span in one.spans)))
    if gathered:
        yield before, text("\n").join(gathered)


def tell_damage(damage: Iterable[str]) -> None:
    """Say where errors go what could not be read."""
    known = [*damage]
    for one in known[:MOST_DAMAGE]:
        echo(f"firex: the journal is damaged: {readable(one)}", err=True)
    if len(known) > MOST_DAMAGE:
        echo(f"firex: … and {len(known) - MOST_DAMAGE:,} more places", err=True)
