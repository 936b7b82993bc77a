"""Stored results dropped many at a time: Celery's own way is a round trip for each, and another to stop listening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def deletes_many(backend: Any) -> bool:
    """Whether results are keys of a Redis, so that any number of them can be deleted in one step."""
    return hasattr(getattr(backend, "client", None), "hgetall")


def let_go(backend: Any, task_ids: Sequence[str]) -> list[str]:
    """Drop what this process holds of results and stop listening for them.

    Returns:
        The keys of the results, for the caller to delete.
    """
    consumer: Any = getattr(backend, "result_consumer", None)
    listened_to = getattr(consumer, "subscribed_to", ())
    keys = []
    for task_id in task_ids:
        key = backend.get_key_for_task(task_id)
        backend._cache.pop(task_id, None)
        if key in listened_to:
            consumer.cancel_for(task_id)
        keys.append(key)
    return keys
