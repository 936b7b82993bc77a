"""What a worker's main process tells the broker of a message: that it has it, and later that it is done with it.

kombu writes both into a hash and its index in a transaction. The parts of one that was cut need not hang together: a
message counts as fetched as long as it is in the hash ``unacked``; its place in the index only tells since when. So
they leave in one round trip, as before, without the two commands around them. With the message stands the lease of the
process that has it: once that is over, nobody has it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, Self

from kombu.transport import redis

from firexkit._celery.dispatch import Command, dispatch_to
from firexkit._celery.leases import worker_lease
from firexkit._wire import HOLDER_PROPERTY


@cache
def install() -> None:
    """Let the workers of this process tell so; calling it again does nothing."""
    setattr(redis.QoS, "pipe_or_acquire", _pipe_or_acquire)  # noqa: B010 - mypy takes methods for fixed
    setattr(redis.QoS, "ack", _asking_twice(redis.QoS.ack))  # noqa: B010
    setattr(redis.QoS, "append", _naming_holder(redis.QoS.append))  # noqa: B010


def _asking_twice(ack: Callable[..., None]) -> Callable[..., None]:
    """Celery only logs that an acknowledgement did not arrive, and counts the message as fetched for ever."""

    @wraps(ack)
    def ack_or_again(qos: redis.QoS, delivery_tag: str) -> None:
        try:
            ack(qos, delivery_tag)
        except qos.channel.connection_errors:
            ack(qos, delivery_tag)  # by another connection; when there is none, that is for the next

    return ack_or_again


def _naming_holder(append: Callable[..., None]) -> Callable[..., None]:
    @wraps(append)
    def append_with_holder(qos: redis.QoS, message: Any, delivery_tag: str) -> None:
        lease = worker_lease()
        if lease is not None:
            message._raw["properties"][HOLDER_PROPERTY] = lease.name
        append(qos, message, delivery_tag)

    return append_with_holder


@contextmanager
def _pipe_or_acquire(qos: redis.QoS, pipe: Any = None, client: Any = None) -> Iterator[Any]:
    """The pipe that is given, for whoever has a transaction; else one that is none."""
    if pipe:
        yield pipe
        return
    if qos.channel.global_keyprefix:
        with qos.channel.conn_or_acquire(client) as acquired:
            yield acquired.pipeline(transaction=False)
        return
    yield _Receipt(qos.channel.pool)


class _Receipt:
    """What kombu uses of a pipeline, on a connection of the thread's own; the client's takes nearly twice as long.

    Args:
        pool: the connections to the broker.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._commands: list[Command] = []

    def zadd(self, key: str, members: Mapping[str, float]) -> Self:
        """Add members to a sorted set."""
        return self._add(*(("ZADD", key, score, member) for member, score in members.items()))

    def zrem(self, key: str, *members: str) -> Self:
        """Take members out of a sorted set."""
        return self._add(("ZREM", key, *members))

    def hset(self, key: str, field: str, value: str) -> Self:
        """Set a field of a hash."""
        return self._add(("HSET", key, field, value))

    def hdel(self, key: str, *fields: str) -> Self:
        """Take fields out of a hash."""
        return self._add(("HDEL", key, *fields))

    def execute(self) -> list[Any]:
        """Send it; the answers."""
        return dispatch_to(self._pool).send(self._commands)

    def _add(self, *commands: Command) -> Self:
        self._commands.extend(commands)
        return self
