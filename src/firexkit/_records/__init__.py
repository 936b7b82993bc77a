"""What a run remembers in the result backend, beside Celery's own results (docs/design/records.md).

Rule: every key a run writes is named, written, read and deleted in this room. Keys that belong together change in
one MULTI/EXEC; keys expire with the results; sets index them, so nothing ever scans the key space.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from firexkit._celery import outbox
from firexkit._records.claims import Claim, Claimant, Standing
from firexkit._records.holding import Begun, Loss, Message, RedisHolding, Refusal
from firexkit._records.interface import Records
from firexkit._records.keys import (
    cache_key,
    configured_run,
    current_run,
    large_values_key,
    once_count_key,
    once_uid_key,
    start_time_key,
)
from firexkit._records.local import LocalClusterRecords, LocalRunRecords, LocalTaskRecords
from firexkit._records.redis import RedisClusterRecords, RedisRunRecords, RedisTaskRecords
from firexkit._records.values import RedisLargeValues

__all__ = [
    "Begun",
    "Claim",
    "Claimant",
    "Loss",
    "Message",
    "Records",
    "RedisHolding",
    "Refusal",
    "Standing",
    "cache_key",
    "configured_run",
    "current_run",
    "holding_of",
    "large_values_key",
    "once_count_key",
    "once_uid_key",
    "records_of",
    "start_time_key",
]


def records_of(backend: Any) -> Records:
    """The records behind a Celery result backend: shared ones on Redis, else those of this process."""
    client = getattr(backend, "client", None)
    if not hasattr(client, "hgetall"):
        local = LocalTaskRecords(backend), LocalRunRecords(backend), LocalClusterRecords(backend)
        return Records(*local, values=None)
    how = (client, getattr(backend, "expires", None), partial(outbox.tell, backend))
    return Records(RedisTaskRecords(*how), RedisRunRecords(*how), RedisClusterRecords(*how), RedisLargeValues(backend))


_holdings: WeakKeyDictionary[Any, RedisHolding | None] = WeakKeyDictionary()


def holding_of(backend: Any) -> RedisHolding | None:
    """Who holds the tasks of an app; None where that is not known: broker and backend are not one Redis server."""
    if backend not in _holdings:
        _holdings[backend] = _holding_behind(backend) if outbox.is_shared(backend) else None
    return _holdings[backend]


def _holding_behind(backend: Any) -> RedisHolding:
    options = backend.app.conf.broker_transport_options
    keys = options.get("unacked_key", "unacked"), options.get("unacked_index_key", "unacked_index")
    return RedisHolding(partial(outbox.ask, backend), backend.get_key_for_task, keys, backend.expires)
