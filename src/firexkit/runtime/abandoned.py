"""What a worker's main process held when it died: fetched messages go back to their queues, running tasks have failed.

Redis hands out what a worker has fetched and not acknowledged only after the visibility timeout. Whoever starts a
worker again knows that the one before is dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from enum import Enum, auto
from typing import Final

from billiard.exceptions import WorkerLostError

from firexkit import _wire
from firexkit._celery.unacked import HeldMessage, Unacked, held_by_others, unacked
from firexkit._records import records_of
from firexkit.app import FireX
from firexkit.result import get_task_postrun_info

logger: Final = logging.getLogger(__name__)

FIELDS: Final = (_wire.FIELD_ATTEMPT,)


class Fate(Enum):
    """What becomes of a message that a dead process held."""

    PUT_BACK = auto()
    """Its attempt had not begun."""
    FAIL = auto()
    """Its body was running."""
    DROP = auto()
    """Its body had ended; only the acknowledgement was missing."""


def fate_of(attempts: int, retries: int, *, ended: bool) -> Fate:
    """What becomes of a held message.

    Args:
        attempts: bodies of the task that have begun.
        retries: attempts that came before the one that the message asks for.
        ended: whether the body that began last has ended.
    """
    if attempts <= retries:
        return Fate.PUT_BACK
    return Fate.DROP if ended else Fate.FAIL


def settle(app: FireX, queues: Collection[str], worker: str) -> None:
    """Settle what the dead main process of a worker held. Brokers other than Redis do so themselves.

    Args:
        app: an app on the broker.
        queues: what the worker consumed.
        worker: its full name.
    """
    with unacked(app, queues) as messages:
        held = list(messages or ())
        if messages is None or not held:
            return
        others = held_by_others(app, worker)
        # A run is over when its root is, so what else has failed is told before.
        for one in sorted(held, key=lambda message: message.is_root):
            if one.task_id not in others:
                _settle(app, messages, one, worker)


def _settle(app: FireX, messages: Unacked, held: HeldMessage, worker: str) -> None:
    (known,) = records_of(app.backend).tasks.fields([held.task_id], FIELDS)
    attempts = int(known.get(_wire.FIELD_ATTEMPT) or 0)
    ended = bool(get_task_postrun_info(app.AsyncResult(held.task_id)))
    fate = fate_of(attempts, held.retries, ended=ended)
    logger.warning("%s was held by a worker that died: %s", held.task_id, fate.name)
    if fate is Fate.PUT_BACK:
        messages.put_back(held)
        return
    if fate is Fate.FAIL:
        _fail(app, held, worker)
    messages.drop(held)


def _fail(app: FireX, held: HeldMessage, worker: str) -> None:
    error = WorkerLostError(f"The main process of the worker {worker} died while it ran the task {held.task_id}")
    app.backend.mark_as_failure(held.task_id, error, request=held.request())
    records_of(app.backend).tasks.done(held.task_id)
    with app.events.default_dispatcher(hostname=worker) as dispatcher:
        told = {"uuid": held.task_id, "exception": repr(error), "traceback": "", "timestamp": time.time()}
        dispatcher.send("task-failed", **told)
