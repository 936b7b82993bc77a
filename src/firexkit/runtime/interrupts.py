"""Signals that end a run: the first asks for an orderly end, the second gets it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SIGNAL: Final = 1.0
"""Seconds in which shells and service managers send a signal twice; a person who presses Ctrl-C twice means it."""


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
        late: told of a first signal when the run is ending anyway.
    """

    def __init__(self, at_once: Callable[[], None], late: Callable[[], None]) -> None:
        self._at_once = at_once
        self._late = late
        self._since = 0.0
        self._received: int | None = None
        self._welcome = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the block."""
        # What is ignored stays so: nohup means it.
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._handle) for number in heard}
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
            if number == signal.SIGINT or monotonic() - self._since > SAME_SIGNAL:
                self._at_once()
            return
        self._received, self._since = number, monotonic()
        if self._welcome:
            self._raise_received()
        self._late()

    def _raise_received(self) -> None:
        if self._received is not None:
            self._welcome = False
            raise RunStopped(self._received)
