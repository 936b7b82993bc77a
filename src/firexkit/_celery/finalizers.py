"""No traffic with the broker from finalizers of results.

Celery unsubscribes from the channel of a result when that is collected: at any moment, in any thread, in the middle of
any other traffic, with a broker that may be gone. So what is to be left is only noted then, and left when something
else is to be followed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, Final

from celery.result import AsyncResult

from firexkit import _lazy


class _Here(threading.local):
    is_finalizing = False


_here: Final = _Here()
_GONE: Final = "firexkit_gone"
"""Attribute of a backend's consumer: ids of tasks whose results are gone. Finalizers of any thread add to it."""


@cache
def install() -> None:
    """Keep finalizers of results quiet, in every app of this process; calling it again does nothing."""
    AsyncResult.__del__ = _finalizing(AsyncResult.__del__)
    _lazy.when_imported("celery.backends.redis", _mend_consumer)


def _mend_consumer(module: Any) -> None:
    consumer = module.ResultConsumer
    consumer.cancel_for = _noting(consumer.cancel_for)
    consumer.consume_from = _leaving_first(consumer.consume_from)


def _finalizing(finalize: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(finalize)
    def finalize_quietly(result: Any) -> None:
        before, _here.is_finalizing = _here.is_finalizing, True
        try:
            finalize(result)
        finally:
            _here.is_finalizing = before

    return finalize_quietly


def _noting(cancel_for: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    @wraps(cancel_for)
    def cancel_or_note(consumer: Any, task_id: str) -> None:
        if not _here.is_finalizing:
            cancel_for(consumer, task_id)
        elif _follows(consumer, task_id):
            vars(consumer).setdefault(_GONE, deque()).append(task_id)

    return cancel_or_note


def _leaving_first(consume_from: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    @wraps(consume_from)
    def leave_and_consume(consumer: Any, task_id: str) -> None:
        gone: deque[str] | None = getattr(consumer, _GONE, None)
        while gone:
            if _follows(consumer, left := gone.popleft()):
                consumer.cancel_for(left)
        consume_from(consumer, task_id)

    return leave_and_consume


def _follows(consumer: Any, task_id: str) -> bool:
    return bool(consumer.backend.get_key_for_task(task_id) in consumer.subscribed_to)
