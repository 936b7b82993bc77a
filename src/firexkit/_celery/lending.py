"""A task that waits for others lends its slot: its worker runs another task meanwhile.

Only what a waiting task needs is here; what the worker makes of it is in `slots.py` and beside it
(docs/design/lending.md). In a process or thread of a pool that does not lend, and outside of workers, nothing happens.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final


class Slot(AbstractContextManager[None]):
    """The slot of the task that a thread runs; a block with it is time in which the task waits.

    Blocks within blocks count once. However a block ends, by a signal's exception too, the worker gets to know.

    Args:
        tell: Called with true when the task begins to wait, and with false when it goes on; the same may be told twice.
    """

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._depth = 0

    def begin(self) -> None:
        """Another task has the slot from now on, and does not wait."""
        self._depth = 0

    def __enter__(self) -> None:
        try:
            self._depth += 1
            if self._depth == 1:
                self._tell(True)
        except BaseException:
            # A signal came before the block began, so nobody will leave it.
            self._depth = 0
            self._tell(False)
            raise

    def __exit__(self, *_raised: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        self._depth = 0
        try:
            self._tell(False)
        except BaseException:
            self._tell(False)
            raise


_NOBODYS: Final = nullcontext()


class _Here(threading.local):
    slot: AbstractContextManager[None] = _NOBODYS


_here: Final = _Here()


def lent_slot() -> AbstractContextManager[None]:
    """For a ``with`` around a wait that really blocks: the task lends its slot until the block ends.

    It does nothing, in far less than a microsecond, where no worker lends, and in threads that a task started itself.
    """
    return _here.slot


def give_slot(slot: Slot) -> None:
    """Let the tasks that this thread runs from now on have this slot."""
    _here.slot = slot


def _take_slot() -> None:
    _here.slot = _NOBODYS


# A process that a task forks is none of the pool's, whatever it waits for.
os.register_at_fork(after_in_child=_take_slot)
