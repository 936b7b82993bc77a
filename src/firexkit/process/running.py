"""A command from its start to its end, and to the end of all that it started."""

from __future__ import annotations

import enum
import logging
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final, NamedTuple

from firexkit.process import tree
from firexkit.process.child import Child, Launch
from firexkit.process.output import Output, OutputFile
from firexkit.process.reading import Reader

logger: logging.Logger = logging.getLogger("firexkit.process")

GRACE: Final = 5.0
"""Seconds between the request to end and SIGKILL."""
LINGER: Final = 2.0
"""Seconds that we go on reading what others print after the command has ended."""


class Ending(enum.Enum):
    """How a command came to its end."""

    BY_ITSELF = enum.auto()
    TIMEOUT = enum.auto()
    INACTIVE = enum.auto()
    CUT_SHORT = enum.auto()
    """Its task was revoked, or ended by an error."""


class Limits(NamedTuple):
    """How long a command may take, and how long without printing, in seconds; None for any time."""

    total: float | None
    inactivity: float | None

    def next_one(self, started: float, heard: float) -> tuple[float, Ending]:
        """When the first of the limits is reached if nothing is printed any more, and which one it is."""
        total = math.inf if self.total is None else started + self.total
        inactivity = math.inf if self.inactivity is None else heard + self.inactivity
        return min((total, Ending.TIMEOUT), (inactivity, Ending.INACTIVE), key=lambda limit: limit[0])


@contextmanager
def started(launch: Launch, outputs: Sequence[Output], text: bytes, file: OutputFile) -> Iterator[Running]:
    """A command that runs; when the block is left, for whatever reason, neither it nor what it started runs any more.

    Args:
        launch: how to start it.
        outputs: what takes the standard output and, if it is kept apart, the standard error.
        text: what it gets to read.
        file: where what it prints goes; if temporary, it is removed even if this process is killed meanwhile.

    Raises:
        OSError: it cannot be started.
    """
    with tree.Watcher(file.path if file.is_temporary else None) as watcher:
        running = Running(launch, watcher, outputs, text)
        try:
            running.start()
            yield running
        finally:
            running.end()


class Running:
    """A command that runs; made by :func:`started`.

    Attributes:
        exit_code: minus the number of the signal if one ended it; known when it has ended.
    """

    def __init__(self, launch: Launch, watcher: tree.Watcher, outputs: Sequence[Output], text: bytes) -> None:
        self._child = Child(launch, watcher)
        self._watcher = watcher
        self._outputs = outputs
        self._text = text
        self.exit_code: int = -signal.SIGKILL  # until we know better: what the watcher sends

    def start(self) -> None:
        """Start it.

        Raises:
            OSError: it cannot be started.
        """
        self._child.start()
        self._child.process()

    def wait(self, limits: Limits) -> Ending:
        """Read what it prints until it has ended or a limit is reached, and tell which."""
        ending = _read_to_end(self._reader, limits)
        if ending is Ending.BY_ITSELF:
            self._reader.read_until(lambda: self._reader.is_over, LINGER)
        return ending

    def end(self) -> None:
        """End what still runs of it.

        Raises:
            OSError: the end of its output cannot be written.
        """
        process = self._child.known()
        if process is not None:
            if not self._reader.has_ended or tree.has_company(process.pid):
                _end_family(process.pid, self._reader)
            self._reader.close()
            self._watcher.release()
            self.exit_code = self._child.reap(process)
        self._child.close()
        for output in self._outputs:
            output.finish()

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._child.process(), self._child.end_is_told, self._outputs, self._text)


def _read_to_end(reader: Reader, limits: Limits) -> Ending:
    began = reader.heard_at
    while True:
        deadline, limit = limits.next_one(began, reader.heard_at)
        left = deadline - time.monotonic()
        is_printing = reader.read(left)
        if reader.has_ended:
            return Ending.BY_ITSELF
        # If we were stopped ourselves for a while, what it printed meanwhile is only read now.
        if left <= 0 and not (is_printing and limit is Ending.INACTIVE):
            return limit


def _end_family(root: int, reader: Reader) -> None:
    """Ask all to end, and kill those that do not; what they print about it is read."""
    family = tree.Family(root)
    try:
        left = family.ask_to_end()
        if reader.has_ended and left:
            pids = ", ".join(str(process.pid) for process in left)
            logger.warning("ending what a command left running: %s; a daemon needs a session of its own", pids)
        reader.read_until(lambda: not family.living, GRACE)
    finally:
        family.kill()
        reader.read_until(lambda: reader.is_over, LINGER)
