"""Who waits for a task that its worker does not know is told: Celery fails it without a look at its headers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from typing import Any

from celery.worker.consumer import Consumer

from firexkit._celery import outbox
from firexkit._celery.patience import outages
from firexkit._wire import LOOK_AT, WAITER_HEADER


@cache
def install() -> None:
    """Let the workers of this process tell so; calling it again does nothing."""
    Consumer.on_unknown_task = _telling(Consumer.on_unknown_task)


def _telling(fail: Callable[..., None]) -> Callable[..., None]:
    @wraps(fail)
    def fail_and_tell(consumer: Any, body: Any, message: Any, exc: Any) -> None:
        fail(consumer, body, message, exc)
        headers, backend = message.headers or {}, consumer.app.backend
        waiter = headers.get(WAITER_HEADER)
        if waiter and outbox.is_redis(backend):
            with suppress(*outages()):  # the safeguard of the wait finds it
                outbox.run(backend, [("PUBLISH", waiter, f"{LOOK_AT}{headers.get('id')}")])

    return fail_and_tell
