"""A process of a pool whose main process has died: its task goes on, and it leaves when that has ended.

Celery lets the system kill such a process. Here it gets a signal instead; its own lease says that the task is held. No
broadcast reaches it any more, so it looks by itself whether its task was revoked. Linux only: elsewhere nothing
tells a process that its parent has died, and it ends with its next look for a task, as Celery has it.
"""

from __future__ import annotations

import _thread
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any, Final

from billiard.util import set_pdeathsig
from celery import current_app

from firexkit._celery import outbox
from firexkit._celery.leases import own_lease, worker_lease
from firexkit._celery.patience import outages
from firexkit._celery.recall import among
from firexkit._wire import FIELD_REVOKED, FIELD_TERMINATE

logger: Final = logging.getLogger(__name__)

# Filled by whoever knows how a revoked task ends, before a worker forks.
_end_revoked: Final[list[Callable[[Any, str], None]]] = []

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks for a revocation."""
_SIGNAL: Final = getattr(signal, "SIGRTMIN", 0) + 7
"""One that nobody uses: what a task starts must not meet it."""


def install(end_revoked: Callable[[Any, str], None]) -> None:
    """Say how a revoked task ends whose process is left alone.

    Args:
        end_revoked: gets the app and the task's id, and stores that it was revoked.
    """
    _end_revoked[:] = [end_revoked]


class Bond:
    """What ties a process of a pool to its main process.

    Args:
        leave: ends this process in order.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._parent = os.getppid()
        self._is_loose = self._is_idle = False

    def loosen(self) -> None:
        """From now on this process outlives its main process, if somebody else can see that it lives."""
        if worker_lease() is None:
            return
        try:
            signal.signal(_SIGNAL, self._note_death)
            set_pdeathsig(_SIGNAL)
        except OSError:
            return
        # A signal that comes just before a call that waits for long is noticed after that call.
        own_lease().looks.append(self._look)
        if os.getppid() != self._parent:
            self._note_death()

    def _look(self) -> None:
        if os.getppid() != self._parent and not self._is_idle:
            self._note_death()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """A block in which this process has no task: it leaves as soon as its main process has died."""
        self._is_idle = True
        self.leave_if_loose()
        try:
            yield
        finally:
            self._is_idle = False

    def leave_if_loose(self) -> None:
        """End this process if its main process has died: it has no task now."""
        if self._is_loose:
            self._leave()

    def _note_death(self, *_: Any) -> None:
        if self._is_loose:
            return
        self._is_loose = True
        if self._is_idle:
            self._leave()
        # Not by `threading`: this is a signal's handler, and the task may be starting a thread itself.
        _thread.start_new_thread(_hear_revocation, (current_app._get_current_object(),))


def _store_end(app: Any, task_id: str) -> None:
    try:
        _end_revoked[0](app, task_id)
    except Exception:
        # Whoever waits will be told when the lease is over.
        logger.exception("%s: nobody is told yet that it was revoked", task_id)


def _hear_revocation(app: Any) -> None:
    logger.warning("The worker's main process has died; what runs in this one goes on")
    while True:
        sleep(_LOOK_EVERY)
        ids = sorted(own_lease().task_ids)
        try:
            fields = outbox.run(app.backend, [("HMGET", task_id, FIELD_REVOKED, FIELD_TERMINATE) for task_id in ids])
        except outages() as error:
            logger.debug("Nobody tells what was revoked: %s", error)
            continue
        if running := among(ids, fields).running:
            for task_id in running:
                _store_end(app, task_id)
            os.kill(os.getpid(), signal.SIGTERM)
            return  # another signal would cut off what the task does at its end
