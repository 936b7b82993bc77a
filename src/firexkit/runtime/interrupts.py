"""Signals that end a run: the first asks for an orderly end, the second gets it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunStopped(BaseException):
    """Somebody wants the run to end; derived so that no ``except Exception`` keeps it.

    Attributes:
        number: the signal that said so.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Interrupts:
    """Turns the first signal into :class:`RunStopped`, where the code is ready for it.

    Args:
        at_once: what a second signal does, from within its handler.
    """

    def __init__(self, at_once: Callable[[], None]) -> None:
        self._at_once = at_once
        self._received: int | None = None
        self._welcome = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the block."""
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def welcome(self) -> Iterator[None]:
        """A block that a signal may leave by an exception; one that came before leaves it at its start."""
        self._welcome = True
        try:
            self._raise_received()
            yield
        finally:
            self._welcome = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._received is not None:
            self._at_once()
            return
        self._received = number
        if self._welcome:
            self._raise_received()

    def _raise_received(self) -> None:
        if self._received is not None:
            self._welcome = False
            raise RunStopped(self._received)
