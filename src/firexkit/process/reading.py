"""What passes between us and a running command: its output, its input, the news of its end. One place waits for all."""

from __future__ import annotations

import os
import select
import selectors
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial
from socket import socket
from typing import IO, Final

from firexkit.process.output import Output

CHUNK: Final = 65536
LONGEST_WAIT: Final = 86400.0
"""Seconds; systems do not take any number."""
SHORTEST_WAIT: Final = 0.05
"""Seconds between two looks at something that nobody tells of."""


class Reader:
    """Reads what a command prints, on one stream or two.

    Attributes:
        has_ended: whether the process has ended; others may still hold what it printed on.
        heard_at: when it printed last, by the monotonic clock; at first, when reading began.

    Args:
        process: the command's.
        end_is_told: readable, at its end, once the process has ended.
        outputs: what takes the standard output and, if it is kept apart, the standard error.
        text: what the command gets to read.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], end_is_told: socket, outputs: Iterable[Output], text: bytes
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._process = process
        self._text = memoryview(text)
        self._open = 0
        self.has_ended: bool = False
        self.heard_at: float = time.monotonic()
        self._selector.register(end_is_told, selectors.EVENT_READ, partial(self._note_end, end_is_told))
        for stream, output in zip(filter(None, (process.stdout, process.stderr)), outputs, strict=True):
            self._open += 1
            self._selector.register(stream, selectors.EVENT_READ, partial(self._take, stream, output))
        if process.stdin is not None:
            self._selector.register(process.stdin, selectors.EVENT_WRITE, partial(self._give, process.stdin))

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self.has_ended and not self._open

    def read(self, timeout: float) -> bool:
        """Wait so many seconds at most for something to happen; whether something was printed."""
        happened = self._selector.select(min(max(timeout, 0), LONGEST_WAIT))
        has_printed = [key.data() for key, _ in happened]
        return any(has_printed)

    def read_until(self, is_enough: Callable[[], bool], seconds: float) -> None:
        """Read what comes until the condition holds, or so many seconds have passed."""
        deadline = time.monotonic() + seconds
        while not is_enough() and (left := deadline - time.monotonic()) > 0:
            self.read(min(left, SHORTEST_WAIT))

    def close(self) -> None:
        """Stop reading; what others still print for the command goes nowhere."""
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _take(self, stream: IO[bytes], output: Output) -> bool:
        data = os.read(stream.fileno(), CHUNK)
        if not data:
            self._selector.unregister(stream)
            self._open -= 1
            return False
        self.heard_at = time.monotonic()
        output.feed(data)
        return True

    def _give(self, stream: IO[bytes]) -> bool:
        try:
            # No more than is taken at once: writing never waits.
            self._text = self._text[os.write(stream.fileno(), self._text[: select.PIPE_BUF]) :]
        except BrokenPipeError:
            self._text = self._text[:0]  # a command need not read all it is given
        if not self._text:
            self._selector.unregister(stream)
            stream.close()
        return False

    def _note_end(self, end_is_told: socket) -> bool:
        self._selector.unregister(end_is_told)
        self.has_ended = True
        return False
