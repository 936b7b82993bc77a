"""How the processes and threads of a pool tell the worker that a task waits, and that it goes on: by a pipe."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Set
from contextlib import suppress
from typing import Final

from firexkit._celery.lending import Slot


class Line:
    """A pipe that processes forked later inherit.

    What they tell is a state, not a change: it may be told twice, and the last word counts. A word is shorter than
    what a pipe takes at once, so words don't mix.
    """

    _WORD: Final = struct.Struct("=i?3x")
    _AT_ONCE: Final = _WORD.size * 1024

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._ear, False)

    def fileno(self) -> int:
        """The end that the main process reads."""
        return self._ear

    def heard(self) -> Iterator[tuple[int, bool]]:
        """What was told since this was last asked: ids of processes, and whether their task waits."""
        with suppress(BlockingIOError):
            while True:
                yield from self._WORD.iter_unpack(os.read(self._ear, self._AT_ONCE))

    def slot_of_this_process(self) -> Slot:
        """The slot of the task that this process runs."""
        words = {waits: self._WORD.pack(os.getpid(), waits) for waits in (False, True)}

        def tell(waits: bool) -> None:
            with suppress(OSError):  # the main process is ending: nobody counts any more
                os.write(self._mouth, words[waits])

        return Slot(tell)

    def close(self) -> None:
        """Nobody tells or hears any more."""
        os.close(self._ear)
        os.close(self._mouth)


class Blocked:
    """The processes of a pool whose task waits for others, as they tell it.

    Attributes:
        line: By which they tell.
        pids: Their ids.
    """

    def __init__(self) -> None:
        self.line = Line()
        self.pids: set[int] = set()

    def hear(self) -> bool:
        """Take notice of what was told; whether anything was."""
        told = False
        for pid, waits in self.line.heard():
            told = True
            if waits:
                self.pids.add(pid)
            else:
                self.pids.discard(pid)
        return told

    def forget(self, pid: int | None) -> bool:
        """The task of a process doesn't wait any more, whatever it told until now; whether that is news."""
        told = self.hear() or pid in self.pids
        self.pids.discard(pid or 0)
        return told

    def keep(self, pids: Set[int]) -> None:
        """Only these processes are left."""
        self.hear()
        self.pids &= pids


class Bell:
    """A pipe on which the threads of a pool ring for the worker's main thread."""

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        for end in (self._ear, self._mouth):
            os.set_blocking(end, False)

    def fileno(self) -> int:
        """The end that the main thread reads."""
        return self._ear

    def ring(self) -> None:
        """Wake the main thread."""
        with suppress(OSError):  # it rings already, or the worker is ending
            os.write(self._mouth, b"\0")

    def answer(self) -> None:
        """It was heard."""
        with suppress(BlockingIOError):
            os.read(self._ear, 4096)

    def close(self) -> None:
        """Nobody rings any more."""
        os.close(self._ear)
        os.close(self._mouth)
