"""Where fetched tasks wait until the pool may run them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from firexkit._celery.slots import do_nothing


class Gate:
    """Stands where Celery's worker and its pool have a semaphore, with the same methods.

    That semaphore counts what comes and goes. It loses count when it is made smaller while it is used up, and when a
    process ends. This one asks the pool what is in it.

    Attributes:
        lets_in: Tells whether one more task may begin now.
        on_move: Called when a task has to wait, and when something left the pool while tasks wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[..., Any], Any]] = deque()
        self.lets_in: Callable[[], bool] = bool
        self.on_move: Callable[[], None] = do_nothing

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)

    def acquire(self, begin: Callable[..., Any], request: Any) -> bool:
        """Let a task into the pool, now or when there is room; whether it is now."""
        if not self._waiting and self.lets_in():
            begin(request)
            return True
        self._waiting.append((begin, request))
        self.on_move()
        return False

    def release(self) -> None:
        """Something has left the pool, or is about to."""
        if self._waiting:
            self.on_move()

    def open(self) -> None:
        """Let in as many as there is room for."""
        while self._waiting and self.lets_in():
            begin, request = self._waiting.popleft()
            begin(request)

    def give_up(self, count: int) -> list[Any]:
        """The requests of the tasks that came last, the latest first; they wait no more."""
        return [self._waiting.pop()[1] for _ in range(min(count, len(self._waiting)))]

    def clear(self) -> None:
        """Forget the tasks that wait: the broker has them still."""
        self._waiting.clear()

    def grow(self, count: int = 1) -> None:
        """How many processes there are does not say how many tasks may run."""

    def shrink(self, count: int = 1) -> None:
        """How many processes there are does not say how many tasks may run."""
