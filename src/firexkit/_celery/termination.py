"""The signal that ends a revoked body does not cut off what that body does already at its end.

Who stops a run revokes children before their parents, so a parent may hear of its children's revocation, and clean up,
when its own signal comes; and a process may be told twice. Celery's process raises at the first signal wherever it is,
and dies of the second. Here the signal waits until the body has dealt with the revocation that it is dealing with.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

PATIENCE: Final = 60.0
"""Seconds that a signal waits for a body that cleans up, and that a stopped run waits for its tasks."""
_LOOK_EVERY: Final = 0.25
"""Seconds between two looks whether a body that goes on has dealt with the revocation of its child."""


class Termination:
    """What a process of a pool does when it is told to end.

    Args:
        end: Celery's handler of the signal, which raises :exc:`SystemExit`.

    Attributes:
        tells_of_revocation: whether an error is one with which a body hears that a child was revoked.
    """

    tells_of_revocation: Callable[[BaseException], bool] = staticmethod(lambda _error: False)

    def __init__(self, end: Callable[[int, Any], None]) -> None:
        self._end = end
        self._pid = os.getpid()
        self._asked: float | None = None
        self._asks_again = self._has_ended = False

    def on_signal(self, number: int, frame: Any) -> None:
        """Handle the signal: raise, unless the body cleans up."""
        asks_again, self._asks_again = self._asks_again, False
        if asks_again and self._asked is None:
            return  # the body has ended meanwhile
        if os.getpid() != self._pid or not self._cleans_up() or self._is_late():
            self._raise(number, frame)
        elif self._asked is None and not self._has_ended:
            self._asked = monotonic()
            # Not by `threading`: this is a signal's handler, and the task may be starting a thread itself.
            _thread.start_new_thread(self._ask_again, (number,))

    def end_if_asked(self) -> None:
        """Raise what the signal would have raised, if one came while the body cleaned up."""
        if self._asked is not None:
            self._raise(signal.SIGTERM, None)

    def _raise(self, number: int, frame: Any) -> None:
        self._asked, self._has_ended = None, True
        try:
            self._end(number, frame)
        finally:
            signal.signal(number, self.on_signal)  # Celery's lets the next one kill at once

    def _cleans_up(self) -> bool:
        """Whether the error that is being handled is a revocation, of this body or of what it waited for."""
        error = sys.exc_info()[1]
        return error is not None and (isinstance(error, SystemExit) or self.tells_of_revocation(error))

    def _is_late(self) -> bool:
        return self._asked is not None and monotonic() - self._asked > PATIENCE

    def _ask_again(self, number: int) -> None:
        """Ask as long as the body lasts: it may deal with the revocation of its child, and go on."""
        while self._asked is not None:
            sleep(_LOOK_EVERY)
            self._asks_again = True
            os.kill(self._pid, number)


_termination: Termination | None = None


def install() -> None:
    """Let this process, one of a pool, wait for bodies that clean up."""
    global _termination  # noqa: PLW0603 - one for each process
    end = signal.getsignal(signal.SIGTERM)
    if callable(end):
        _termination = Termination(end)
        signal.signal(signal.SIGTERM, _termination.on_signal)


@contextmanager
def after_cleaning_up(tells_of_revocation: Callable[[BaseException], bool]) -> Iterator[None]:
    """A block that is a body: what tells it to end while it cleans up is raised where it ends.

    Args:
        tells_of_revocation: whether an error is one with which the body hears that a child was revoked.
    """
    if _termination is None:
        yield
        return
    _termination.tells_of_revocation = tells_of_revocation
    try:
        yield
    finally:
        _termination.end_if_asked()
