"""What a worker's main process tells the broker of a message: that it has it, and later that it is done with it.

kombu writes both into a hash and its index in a transaction. The parts of one that was cut need not hang together: a
message counts as fetched as long as it is in the hash ``unacked``; its place in the index only tells since when. So
they leave in one round trip, as before, without the two commands around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

from kombu.transport import redis

from firexkit._celery.dispatch import Command, dispatch_to


@cache
def install() -> None:
    """Let the workers of this process tell so; calling it again does nothing."""
    setattr(redis.QoS, "pipe_or_acquire", _pipe_or_acquire)  # noqa: B010 - mypy takes methods for fixed


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
