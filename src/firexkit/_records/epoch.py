"""A random value that the broker keeps as long as it keeps its data."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from firexkit import _wire
from firexkit._celery import outbox

_TRACES: Final = (_wire.FIELD_SENT, _wire.FIELD_ATTEMPT)


def settle_epoch(backend: Any) -> bytes:
    """The value that is there; a new one when there was none.

    Args:
        backend: a result backend on Redis.
    """
    commands = ("SET", _wire.EPOCH, uuid.uuid4().hex, "NX"), ("GET", _wire.EPOCH)
    value: bytes = outbox.run(backend, commands)[-1]
    return value


def read_epoch(backend: Any) -> bytes | None:
    """The value that is there now."""
    value: bytes | None = outbox.run(backend, [("GET", _wire.EPOCH)])[0]
    return value


def known_among(backend: Any, task_ids: Sequence[str]) -> set[str]:
    """Those of some tasks that were sent, or have begun or ended, as far as the backend knows.

    Args:
        backend: a result backend on Redis.
        task_ids: the tasks.
    """
    # Others may write into the record of a task that is lost: what it owns, say, or that it was revoked.
    records = outbox.run(backend, [("HMGET", task_id, *_TRACES) for task_id in task_ids])
    states = outbox.run(backend, [("EXISTS", backend.get_key_for_task(task_id)) for task_id in task_ids])
    return {task_id for task_id, *traces in zip(task_ids, records, states, strict=True) if _is_any(*traces)}


def _is_any(fields: Sequence[Any], has_state: int) -> bool:
    return any(field is not None for field in fields) or bool(has_state)
