"""What a worker's main process tells the broker of a message: that it has it, and later that it is done with it.

kombu does each in a transaction and waits for the answer, between two messages. Neither answer is needed before the
next message is fetched: here both are sent, and the answer to one is read when the next is sent. All of a channel goes
over one connection, so the end of a message is never told before its beginning. The parts of a transaction that was cut
need not hang together: a message counts as fetched as long as it is in the hash ``unacked``; its place in the index
only tells since when.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from time import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from kombu.transport import redis, virtual
from kombu.utils.json import dumps

from firexkit._celery.dispatch import Command, Dispatch, log_refusals


class Receipts:
    """What is told of the messages of one channel. Pools of threads acknowledge in theirs.

    Args:
        channel: of a Redis broker.
    """

    def __init__(self, channel: redis.Channel) -> None:
        self._dispatch = Dispatch(channel.pool)
        self._lock = threading.Lock()

    def post(self, *commands: Command) -> None:
        """Send commands, and wait for no answer but those to what was sent before."""
        with self._lock:
            self._dispatch.post(commands, log_refusals)

    def confirm(self) -> None:
        """Wait until all that was sent has arrived."""
        with self._lock:
            self._dispatch.send(())


_receipts: Final[WeakKeyDictionary[redis.QoS, Receipts]] = WeakKeyDictionary()


def _receipts_of(qos: redis.QoS) -> Receipts:
    receipts = _receipts.get(qos)
    if receipts is None:
        receipts = _receipts[qos] = Receipts(qos.channel)
    return receipts


@cache
def install() -> None:
    """Let the workers of this process tell so; calling it again does nothing."""
    mends = {"append": _append, "ack": _ack, "restore_by_tag": _restoring(redis.QoS.restore_by_tag)}
    for name, mend in mends.items():
        setattr(redis.QoS, name, mend)


def _append(qos: redis.QoS, message: Any, delivery_tag: str) -> None:
    came_by = message.delivery_info
    raw = dumps([message._raw, came_by["exchange"], came_by["routing_key"]])  # type: ignore[no-untyped-call]
    key, index = _key(qos, qos.unacked_key), _key(qos, qos.unacked_index_key)
    _receipts_of(qos).post(("HSET", key, delivery_tag, raw), ("ZADD", index, time(), delivery_tag))
    virtual.QoS.append(qos, message, delivery_tag)  # type: ignore[no-untyped-call]


def _ack(qos: redis.QoS, delivery_tag: str) -> None:
    key, index = _key(qos, qos.unacked_key), _key(qos, qos.unacked_index_key)
    _receipts_of(qos).post(("HDEL", key, delivery_tag), ("ZREM", index, delivery_tag))
    virtual.QoS.ack(qos, delivery_tag)  # type: ignore[no-untyped-call]


def _restoring(restore: Callable[..., None]) -> Callable[..., None]:
    @wraps(restore)
    def restore_after_receipts(qos: redis.QoS, tag: str, client: Any = None, leftmost: bool = False) -> None:
        # It reads over another connection what was told over this one.
        if (receipts := _receipts.get(qos)) is not None:
            receipts.confirm()
        restore(qos, tag, client=client, leftmost=leftmost)

    return restore_after_receipts


def _key(qos: redis.QoS, key: str) -> str:
    """With the prefix that kombu's own clients put before every key."""
    return f"{qos.channel.global_keyprefix}{key}"
