"""The tasks that a worker was given: heard of in its main process, and whether they are over there."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals
from celery.worker import state


class Received:
    """One task as this worker got it; it may get the same task again.

    Args:
        request: the main process' own request.

    Attributes:
        id: the task's id.
        run_id: the id of the first task of its run.
        log: its log file on this machine; None without one.
    """

    def __init__(self, request: Any) -> None:
        self.id: str = request.id
        self.run_id: str = request.root_id or request.id
        path_of = getattr(request.task, "get_task_logfile_from_request", None)  # a plain task has no log of its own
        self.log: str | None = path_of(request) if path_of is not None else None
        # Nobody else keeps one that was revoked, say, before it began.
        self._request = weakref.ref(request)

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it here: its body has ended, or never begins."""
        request = self._request()
        return request is None or (request.time_start is not None and request.id not in state.requests)


@contextmanager
def heard(listener: Callable[[Received], None]) -> Iterator[None]:
    """Tell a listener of every task that comes during a block; in the worker's main process, at once, so be quick."""

    def hear(request: Any, **_: Any) -> None:
        listener(Received(request))

    signals.task_received.connect(hear, weak=False)
    try:
        yield
    finally:
        signals.task_received.disconnect(hear)
