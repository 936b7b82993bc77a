"""A tree of tasks on a terminal, redrawn in place while a run goes on."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TextIO

from rich.console import Console
from rich.text import Text

from firexkit.cli.branches import Branches, fitted
from firexkit.cli.drawing import Paper, drawn, summed_up
from firexkit.cli.letters import echo
from firexkit.cli.screen import announce
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.progress import TaskSeen

BETWEEN_FRAMES: Final = 1 / 8
"""Seconds, at least, between two drawings."""
TICK: Final = 1.0
"""Seconds after which the times are drawn again, when nothing changed."""
IDLE_SHARE: Final = 20
"""How many times as long as a drawing takes nothing is drawn after it: a large tree must not slow the run."""
LAST_FRAME: Final = 1.0
"""Seconds for the drawing thread to end."""
UP: Final = "\x1b[{}A"
CLEAR_LINE: Final = "\x1b[K"
CLEAR_BELOW: Final = "\x1b[J"


class Live:
    """Draws a run's tree; what is said meanwhile appears above it, and a summary of the tree stays.

    Args:
        chain: short names of the run's tasks, in their order.
    """

    def __init__(self, chain: Sequence[str] = ()) -> None:
        self._branches = Branches(chain)
        self._facts = threading.Lock()
        """Held for moments only: whoever tells of a task does not wait for a slow terminal."""
        self._terminal = Terminal(sys.stdout)
        self._began = time.monotonic()
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_over, name="firex-screen", daemon=True)
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._before: Any = None

    def begins(self, directory: RunDirectory) -> None:
        """Say which run it is, and begin to draw."""
        announce(directory)
        for name, file in self._streams.items():
            if _is_terminal(file):
                setattr(sys, name, Above(self._terminal, file))
        self._before = signal.signal(signal.SIGCONT, self._goes_on)
        self._thread.start()

    def task_changed(self, task: TaskSeen, depth: int) -> None:  # noqa: ARG002 - a listener's
        """Keep it for the next drawing."""
        with self._facts:
            self._branches.see(task)
        self._news.set()

    def notice(self, text: str) -> None:
        """Say it above the tree, or where errors go if that is another place."""
        if self._over.is_set() or not _is_terminal(self._streams["stderr"]):
            echo(f"firex: {text}", err=True)
        else:
            self._terminal.say(Text(f"firex: {text}", style="yellow"))

    def ends(self) -> None:
        """Stop drawing; the tree as it is in the end stays."""
        if self._over.is_set():
            return
        self._over.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(LAST_FRAME)
        above = [file for file in (sys.stdout, sys.stderr) if isinstance(file, Above)]
        # The terminal may be gone: what it is told comes last.
        sys.stdout, sys.stderr = self._streams.values()
        if self._before is not None:
            signal.signal(signal.SIGCONT, self._before)
        for file in above:
            file.close()
        self._terminal.draw(self._frame(is_over=True) if self._branches.counts else [])
        self._terminal.leave()

    def _goes_on(self, *_: object) -> None:
        """After Ctrl-Z and `fg`: what was drawn stands above what the shell said since."""
        self._terminal.forget()
        self._news.set()

    def _draw_until_over(self) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone; that is no matter of the run
            while not self._over.is_set():
                began = time.monotonic()
                if self._terminal.is_ours():
                    self._terminal.draw(self._frame())
                else:
                    self._terminal.forget()
                self._over.wait(max(BETWEEN_FRAMES, IDLE_SHARE * (time.monotonic() - began)))
                self._news.wait(TICK)
                self._news.clear()

    def _frame(self, *, is_over: bool = False) -> list[Text]:
        paper = self._terminal.paper()
        with self._facts:
            rows = self._branches.rows(is_over=is_over)
            counts = dict(self._branches.counts)
        rows = fitted(rows, max(1, paper.height - 2))
        return [
            *drawn(rows, paper, time.time()),
            summed_up(counts, time.monotonic() - self._began, paper, is_over=is_over),
        ]


class Terminal:
    """The last lines of a terminal, drawn again and again.

    Args:
        file: the terminal. The cursor is never hidden, so whatever ends the process leaves one.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._console = Console(file=file, highlight=False, force_terminal=True)
        self._lock = threading.RLock()
        self._frame: list[Text] = []
        self._is_elsewhere = False

    def paper(self) -> Paper:
        """How much room there is now."""
        width, height = 0, 0
        with suppress(OSError, ValueError):
            width, height = os.get_terminal_size(self._file.fileno())
        if not (width and height):
            width, height = shutil.get_terminal_size()
        return Paper(width, height, is_ascii=not self._encoding.lower().startswith("utf"))

    def draw(self, frame: list[Text]) -> None:
        """Put a frame in place of the one before."""
        with self._lock:
            # In place, line by line, then what is left below: nothing flickers.
            lines = self._rendered(frame).replace("\n", f"{CLEAR_LINE}\n")
            self._write(self._to_its_top() + lines + CLEAR_BELOW)
            self._frame = frame

    def say(self, text: Text) -> None:
        """Write something above the frame; it stays."""
        with self._lock:
            self._write(self._to_its_top() + CLEAR_BELOW + self._rendered([text, *self._frame]))

    def forget(self) -> None:
        """Draw the next frame below the cursor, wherever that is; also when one is being drawn now."""
        self._is_elsewhere = True  # without the lock: a signal's handler waits for no terminal

    leave = forget

    def is_ours(self) -> bool:
        """Whether we are in the foreground; in the background a shell has the terminal."""
        try:
            return os.tcgetpgrp(self._file.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # nobody's terminal, so there is no shell to disturb

    @property
    def _encoding(self) -> str:
        return self._file.encoding or "utf-8"

    def _to_its_top(self) -> str:
        """The way to the frame's first line; of a terminal that got narrower since, lines take more than one."""
        if self._is_elsewhere:
            self._is_elsewhere, self._frame = False, []
        width = max(1, self.paper().width)
        lines = sum(max(1, -(-line.cell_len // width)) for line in self._frame)
        return "\r" + (UP.format(lines) if lines else "")

    def _rendered(self, lines: Sequence[Text]) -> str:
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        return captured.get()

    def _write(self, text: str) -> None:
        self._file.write(text.encode(self._encoding, "replace").decode(self._encoding))
        self._file.flush()


class Above(io.TextIOBase):
    """Stands for an output while a tree is drawn: whole lines appear above it.

    Args:
        terminal: where the tree is.
        file: what it stands for.
    """

    def __init__(self, terminal: Terminal, file: TextIO) -> None:
        self._terminal = terminal
        self._file = file
        self._line = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # of what it stands for, whatever that is
        """What it stands for is written in."""
        return self._file.encoding

    @property
    def buffer(self) -> Any:
        """For bytes, which are not held back until their line is whole."""
        return self._file.buffer

    def fileno(self) -> int:
        """The descriptor of what it stands for."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """It stands for a terminal."""
        return True

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, text: str) -> int:
        """Say lines as soon as they are whole."""
        *lines, self._line = (self._line + text).split("\n")
        if lines:
            self._terminal.say(Text.from_ansi("\n".join(lines)))
        return len(text)

    def flush(self) -> None:
        """Nothing to do: what is no whole line yet has no place."""

    def close(self) -> None:
        """Say what is left; the terminal stays open."""
        if self._line:
            self.write("\n")


def _is_terminal(file: TextIO | None) -> bool:
    return file is not None and file.isatty()
