"""Log pages read as text, once or while they grow."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from firexkit.runtime.page_text import PageText

EVERY: Final = 0.2
"""Seconds between two looks at pages that grow."""
AT_ONCE: Final = 1024 * 1024
"""Bytes of a page that are read at a time."""

Pages: TypeAlias = Callable[[], list[Path]]
"""Gives the pages there are by now."""


class LogLine(NamedTuple):
    """A line of a log.

    Attributes:
        page: where it stands.
        text: what it says.
    """

    page: Path
    text: str


class _Reader:
    """Reads on in one page from where it was left."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._text = PageText()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._at = 0

    def more(self) -> Iterator[LogLine]:
        """The lines that have come since."""
        while read := self._read():
            yield from self._told(self._text.lines(self._decoder.decode(read)))

    def _read(self) -> bytes:
        try:
            with self._page.open("rb") as file:
                file.seek(self._at)
                read = file.read(AT_ONCE)
        except FileNotFoundError:
            return b""  # the run was removed meanwhile
        self._at += len(read)
        return read

    def rest(self) -> Iterator[LogLine]:
        """What is left when nothing more comes: a last line without an end."""
        yield from self.more()
        yield from self._told(self._text.rest())

    def _told(self, lines: Iterable[str]) -> Iterator[LogLine]:
        return (LogLine(self._page, line) for line in lines)


def read(pages: Iterable[Path]) -> Iterator[LogLine]:
    """The lines of pages, one page after the other.

    Raises:
        OSError: a page can't be read.
    """
    for page in pages:
        yield from _Reader(page).rest()


def followed(pages: Pages, is_over: Callable[[], bool]) -> Iterator[LogLine]:
    """The lines of pages as they come, those of pages that come later, too.

    Args:
        pages: gives the pages.
        is_over: tells when nothing more comes.

    Raises:
        OSError: a page can't be read.
    """
    readers: dict[Path, _Reader] = {}
    while True:
        over = is_over()  # asked first: what was written until then is read below
        for page in pages():
            reader = readers.setdefault(page, _Reader(page))
            yield from reader.rest() if over else reader.more()
        if over:
            return
        time.sleep(EVERY)
