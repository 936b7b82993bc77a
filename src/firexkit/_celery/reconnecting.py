"""A worker whose broker is away looks for it every other second.

Celery's pauses grow to thirty seconds: after an outage of a minute a worker may stand still for sixteen more. The whole
time for which it looks stays about the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, Final

from celery.worker.consumer import Consumer

_PAUSES: Final = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
"""Seconds: the first, how they grow, the longest."""
_MORE_TRIES: Final = 15
"""Celery's longest pause has room for so many of ours."""


@cache
def install() -> None:
    """Make every worker of this process so; calling it again does nothing."""
    Consumer.ensure_connected = _looking_often(Consumer.ensure_connected)


def _looking_often(ensure_connected: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @wraps(ensure_connected)
    def ensure_connected_soon(consumer: Any, connection: Any) -> Any:
        connection.ensure_connection = partial(_ensure, connection.ensure_connection)
        return ensure_connected(consumer, connection)

    return ensure_connected_soon


def _ensure(ensure: Callable[..., Any], errback: Any, max_retries: int | None, **options: Any) -> Any:
    return ensure(errback, max_retries and max_retries * _MORE_TRIES, **{**_PAUSES, **options})
