"""A worker looks now and then which of its tasks were revoked.

Celery tells workers by a broadcast that nobody keeps: one that is not connected at that moment never hears of it, and
now and then one that is (seen on 5.3.1, under load). Our revocations are on record, so a worker that holds tasks reads
there what became of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from celery.worker import state
from celery.worker.pidbox import Pidbox

from firexkit._celery import outbox
from firexkit._celery.patience import is_transient
from firexkit._wire import FIELD_REVOKED, FIELD_TERMINATE

logger: Final = logging.getLogger(__name__)

_EVERY: Final = 1.5
"""Seconds between two looks: a revocation is heard within two, whatever became of its broadcast."""
_looks: Final[WeakKeyDictionary[Any, Any]] = WeakKeyDictionary()


class Recalled(NamedTuple):
    """Tasks that were revoked.

    Attributes:
        waiting: those that are only not to begin.
        running: those that are to be ended, too, if they run.
    """

    waiting: set[str]
    running: set[str]


@cache
def install() -> None:
    """Make every worker of this process so; calling it again does nothing."""
    Pidbox.start = _recalling(Pidbox.start)


def _recalling(start: Callable[..., None]) -> Callable[..., None]:
    @wraps(start)
    def start_and_look(mailbox: Any, consumer: Any) -> None:
        start(mailbox, consumer)
        if (before := _looks.get(mailbox)) is not None:
            before.cancel()
        _looks[mailbox] = consumer.timer.call_repeatedly(_EVERY, _recall, (mailbox.node,))

    return start_and_look


def _recall(node: Any) -> None:
    """Do what the broadcasts would have done that this worker has missed."""
    backend = node.state.app.backend
    held = {request.id for request in (*state.reserved_requests, *state.active_requests)} - {*state.revoked}
    if not held or not outbox.is_redis(backend):
        return
    ids = sorted(held)
    try:
        fields = outbox.run(backend, [("HMGET", task_id, FIELD_REVOKED, FIELD_TERMINATE) for task_id in ids])
        recalled = among(ids, fields)
        state.revoked.update(recalled.waiting)
        if recalled.running:
            node.handle_call("revoke", {"task_id": sorted(recalled.running), "terminate": True})
    except Exception as error:
        if not is_transient(error):
            raise
        logger.debug("Nobody tells what was revoked; the next connection asks again: %s", error)


def among(ids: Sequence[str], fields: Sequence[Sequence[Any]]) -> Recalled:
    """Those of some tasks that were revoked.

    Args:
        ids: the tasks.
        fields: of each, whether it was revoked, and whether it is to be ended.
    """
    known = list(zip(ids, fields, strict=True))
    running = {task_id for task_id, (revoked, terminate) in known if revoked and terminate}
    return Recalled({task_id for task_id, (revoked, _) in known if revoked} - running, running)
