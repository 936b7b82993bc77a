"""What a worker's main process tells the broker of a message: that it has it, and later that it is done with it.

kombu writes both into a hash and its index in a transaction. The parts of one that was cut need not hang together: a
message counts as fetched as long as it is in the hash ``unacked``; its place in the index only tells since when. So
they leave in one round trip, as before, without the two commands around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from kombu.transport import redis


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
    with qos.channel.conn_or_acquire(client) as acquired:
        yield acquired.pipeline(transaction=False)
