"""What a run remembers in the result backend, beside Celery's own results (docs/design/records.md).

Rule: every key a run writes is named, written, read and deleted in this room. Keys that belong together change in
one MULTI/EXEC; keys expire with the results; sets index them, so nothing ever scans the key space.
"""

from __future__ import annotations

from typing import Any

from firexkit._records.interface import Records
from firexkit._records.keys import (
    cache_key,
    configured_run,
    current_run,
    once_count_key,
    once_uid_key,
    start_time_key,
)
from firexkit._records.local import LocalClusterRecords, LocalRunRecords, LocalTaskRecords
from firexkit._records.redis import RedisClusterRecords, RedisRunRecords, RedisTaskRecords

__all__ = [
    "Records",
    "cache_key",
    "configured_run",
    "current_run",
    "once_count_key",
    "once_uid_key",
    "records_of",
    "start_time_key",
]


def records_of(backend: Any) -> Records:
    """The records behind a Celery result backend: shared ones on Redis, else those of this process."""
    client = getattr(backend, "client", None)
    if not hasattr(client, "hgetall"):
        return Records(LocalTaskRecords(backend), LocalRunRecords(backend), LocalClusterRecords(backend))
    expires = getattr(backend, "expires", None)
    return Records(
        RedisTaskRecords(client, expires), RedisRunRecords(client, expires), RedisClusterRecords(client, expires)
    )
