"""A terminal for tests: a pty, and what a person would see on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CODES = re.compile(r"\x1b\[(?P<number>\??\d*)(?:;\d+)*(?P<what>[A-Za-z])|(?P<letter>.)", re.DOTALL)


class Screen:
    """What stands on a terminal after everything that was written to it, with what has left it at its top."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines = [""]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        """Take what a program writes; a code that is not known here is an error."""
        for code in _CODES.finditer(text):
            act = getattr(self, f"_on_{code['what']}", None) if code["what"] else self._on_letter
            assert act, f"unknown code {code.group()!r}"
            act(code["letter"] or code["number"])

    def shown(self) -> list[str]:
        """All lines, the empty ones in the end left out."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip().split("\n")

    def _on_letter(self, letter: str) -> None:
        if letter == "\n":
            self.row += 1
        if letter in "\r\n":
            self.column = 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
            return
        if self.column == self.width:
            self._on_letter("\n")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    def _on_A(self, number: str) -> None:
        top = max(0, len(self.lines) - self.height)
        self.row = max(top, self.row - int(number or 1))

    def _on_K(self, _: str) -> None:
        self.lines[self.row] = self.lines[self.row][: self.column]

    def _on_J(self, _: str) -> None:
        del self.lines[self.row + 1 :]
        self._on_K("")

    def _on_m(self, _: str) -> None:
        """Colours are not seen here."""


class Pty:
    """A terminal of some size; `its` is for the program, what it writes is kept."""

    def __init__(self, width: int, height: int) -> None:
        self.ours, self.its = pty.openpty()
        self.resize(width, height)
        self.written = ""
        self.grew = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def resize(self, width: int, height: int) -> None:
        """Make it larger or smaller."""
        self.width, self.height = width, height
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _read(self) -> None:
        kept = b""
        while True:
            try:
                kept += os.read(self.ours, 65536)
            except OSError:
                return
            with self.grew:
                self.written = kept.decode(errors="ignore")
                self.grew.notify_all()

    def wait_for(self, holds: Callable[[str], bool], patience: float = 60.0) -> str:
        """All that was written, as soon as that is enough."""
        with self.grew:
            assert self.grew.wait_for(lambda: holds(self.written), patience), self.written
            return self.written

    def screen(self) -> list[str]:
        """What a person sees now, with what has left the screen at its top."""
        screen = Screen(self.width, self.height)
        screen.write(self.written)
        return screen.shown()

    def close(self) -> None:
        """Hang up; what was written is known to the last letter then."""
        os.close(self.its)
        self._thread.join()
        os.close(self.ours)
