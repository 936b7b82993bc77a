"""Who hears how a run goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.progress import TaskSeen

logger: Final = logging.getLogger(__name__)


class Listener(Protocol):
    """Who wants to know how a run goes."""

    def begins(self, directory: RunDirectory) -> None:
        """The run has its directory and its broker."""

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """A task has another state, or other plans; it has ``depth`` ancestors."""

    def notice(self, text: str) -> None:
        """Something happened that a person should know."""

    def ends(self) -> None:
        """Nothing more will be told."""


class Guarded:
    """A listener that several threads tell, one at a time; that it is gone, with its terminal, is no matter of the run.

    Args:
        listener: who listens.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.RLock()

    def begins(self, directory: RunDirectory) -> None:
        """The run has its directory and its broker."""
        with self._one_at_a_time():
            self._listener.begins(directory)

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """A task has another state."""
        with self._one_at_a_time():
            self._listener.task_changed(task, depth)

    def notice(self, text: str) -> None:
        """Something happened that a person should know."""
        logger.info("%s", text)
        with self._one_at_a_time():
            self._listener.notice(text)

    def ends(self) -> None:
        """Nothing more will be told."""
        with self._one_at_a_time():
            self._listener.ends()

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (OSError, ValueError) as error:
                logger.debug("Nobody listens any more: %s", error)
