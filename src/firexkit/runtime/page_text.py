"""Log pages as text: what people would read of them in a browser. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

_BLOCK: Final = re.compile(r"</?(?:br|p|div|tr|li|ul|ol|h\d|pre|table)\b[^<>]*>", re.IGNORECASE)
_CELL: Final = re.compile(r"</t[dh]>\s*<t[dh]\b[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class PageText:
    """Reads a page that may still be growing, line by line. Everything before the log itself is left out."""

    def __init__(self) -> None:
        self._in_head: bool | None = None
        self._rest = ""

    def lines(self, text: str) -> Iterator[str]:
        """The whole lines that more of the page makes.

        Args:
            text: what follows what was given before.
        """
        *whole, self._rest = (self._rest + text).split("\n")
        return (shown for line in whole if (shown := self._text(line)) is not None)

    def rest(self) -> Iterator[str]:
        """The last line, when nothing ends it."""
        return self.lines("\n") if self._rest else iter(())

    def _text(self, line: str) -> str | None:
        if self._in_head is None:
            self._in_head = line.lstrip().lower().startswith("<!doctype html")
        if not self._in_head:
            return text_of_line(line)
        if "<pre>" in line:
            self._in_head = False
            after = line.partition("<pre>")[2]
            return text_of_line(after) if after else None
        return None


def text_of_line(line: str) -> str:
    """A line of HTML without its tags."""
    return readable(unescape(_TAG.sub("", line))).rstrip("\r")


def text_of(html: str) -> str:
    """A piece of HTML as text: a line for each block, tabs between the cells of a table."""
    lines = _BLOCK.sub("\n", _CELL.sub("\t", html)).split("\n")
    return "\n".join(text for line in lines if (text := text_of_line(line).strip()))


def readable(text: str) -> str:
    """A text in which nothing is left that a terminal would obey; line ends and tabs stay."""
    if text.isprintable():
        return text
    plain = _ANSI.sub("", text)
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in plain
    )
