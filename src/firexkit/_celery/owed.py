"""What is owed: the entry in ``unacked`` of each task that was sent, there until its message is acknowledged.

kombu writes it when a worker has fetched the message, and takes it out when the message is put back. A message that is
lost in between is then nowhere. So the entry is there from the beginning to the end; only the holder in it changes.
Nobody looks for entries where all keys of a broker have a prefix: kombu's ways are left alone there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any, Final

from kombu.utils.json import dumps

from firexkit import _lazy
from firexkit._wire import HOLDER_PROPERTY

_AT_A_TIME: Final = 500
_PURGE: Final = """
local count = 0
while true do
    local payloads = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
    if #payloads == 0 then return count end
    for _, payload in ipairs(payloads) do
        local tag = string.match(payload, '"delivery_tag": "([^"]+)"')
        if tag then
            redis.call('HDEL', KEYS[2], tag)
            redis.call('ZREM', KEYS[3], tag)
        end
    end
    redis.call('LTRIM', KEYS[1], #payloads, -1)
    count = count + #payloads
end
"""


@cache
def install() -> None:
    """Keep entries where kombu would drop them, and drop them where it would not; again, it does nothing."""
    _lazy.when_imported("kombu.transport.redis", _mend_channels)


def entry_of(message: Any, payload: str) -> str:
    """A message as it stands in ``unacked``.

    Args:
        message: a message of a task.
        payload: the same as JSON, as it stands in its queue.
    """
    way = message["properties"]["delivery_info"]
    return f"[{payload}, {json.dumps(way['exchange'])}, {json.dumps(way['routing_key'])}]"


def _mend_channels(module: Any) -> None:
    mends: dict[str, Callable[[Any], Any]] = {"_purge": _purging, "_do_restore_message": _putting_back}
    for name, mend in mends.items():
        setattr(module.Channel, name, mend(getattr(module.Channel, name)))


def _purging(purge: Callable[[Any, str], int]) -> Callable[[Any, str], int]:
    """Nothing is owed any more of what was purged."""

    @wraps(purge)
    def purge_with_entries(channel: Any, queue: str) -> int:
        if channel.global_keyprefix:
            return purge(channel, queue)
        with channel.conn_or_acquire() as client:
            return sum(client.eval(_PURGE, 3, *keys, _AT_A_TIME) for keys in _keys(channel, queue))

    return purge_with_entries


def _keys(channel: Any, queue: str) -> Iterator[tuple[str, str, str]]:
    for priority in channel.priority_steps:
        yield channel._q_for_pri(queue, priority), channel.unacked_key, channel.unacked_index_key


def _putting_back(put_back: Callable[..., None]) -> Callable[..., None]:
    """What was put back is owed by nobody in particular."""

    @wraps(put_back)
    def put_back_with_entry(channel: Any, payload: Any, exchange: str, routing_key: str, pipe: Any, *args: Any) -> None:
        payload.get("properties", {}).pop(HOLDER_PROPERTY, None)
        put_back(channel, payload, exchange, routing_key, pipe, *args)
        if payload.get("headers", {}).get("id") is not None and not channel.global_keyprefix:
            entry = entry_of(payload, dumps(payload))  # type: ignore[no-untyped-call]  # kombu is typed in parts
            pipe.hset(channel.unacked_key, payload["properties"]["delivery_tag"], entry)

    return put_back_with_entry
