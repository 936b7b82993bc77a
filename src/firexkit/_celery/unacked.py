"""Messages that some worker has fetched and not acknowledged, as kombu keeps them in Redis: the hash ``unacked``."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from celery.app.task import Context

from firexkit import _lazy
from firexkit._celery.types import Celery
from firexkit._wire import HOLDER_PROPERTY

_CHAIN_AND_CALLBACKS: Final = 2


class HeldMessage(NamedTuple):
    """A message that a worker has fetched."""

    tag: str
    message: dict[str, Any]

    @classmethod
    def of(cls, tag: str, entry: bytes) -> HeldMessage:
        """The message in an entry of the hash."""
        return cls(tag, json.loads(entry)[0])

    @property
    def holder(self) -> str:
        """The lease of the worker's main process that has fetched it; empty when nobody has, or none that says so."""
        return str(self.message["properties"].get(HOLDER_PROPERTY) or "")

    @property
    def task_id(self) -> str:
        """The task's id."""
        return str(self.message["headers"]["id"])

    @property
    def is_root(self) -> bool:
        """Whether it is the first task of a run."""
        return self.message["headers"].get("root_id") in (None, self.task_id)

    @property
    def retries(self) -> int:
        """How many attempts came before the one that this message asks for."""
        return int(self.message["headers"].get("retries") or 0)

    def request(self) -> Context:
        """What Celery needs to fail the task and what comes after it."""
        body = json.loads(base64.b64decode(self.message["body"]))
        return Context({**self.message["headers"], **body[_CHAIN_AND_CALLBACKS]})


class Unacked:
    """The fetched messages of some queues.

    Args:
        channel: of a Redis broker.
        queues: names of the queues.
    """

    def __init__(self, channel: Any, queues: Collection[str]) -> None:
        self._channel = channel
        self._queues = queues

    def __iter__(self) -> Iterator[HeldMessage]:
        for tag, raw in self._channel.client.hgetall(self._channel.unacked_key).items():
            message, _exchange, routing_key = json.loads(raw)
            if routing_key in self._queues:
                yield HeldMessage(tag.decode(), message)

    def put_back(self, held: HeldMessage) -> None:
        """Put a message in front of its queue."""
        self._channel.qos.restore_by_tag(held.tag)

    def drop(self, held: HeldMessage) -> None:
        """Acknowledge a message."""
        with self._channel.client.pipeline() as pipe:
            pipe.zrem(self._channel.unacked_index_key, held.tag).hdel(self._channel.unacked_key, held.tag).execute()

    def drop_all(self) -> None:
        """Acknowledge every message."""
        for held in list(self):
            self.drop(held)


@contextmanager
def unacked(app: Celery, queues: Collection[str]) -> Iterator[Unacked | None]:
    """The fetched messages of some queues; None where the broker is none that keeps them so."""
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        is_of_redis = isinstance(channel, _lazy.class_if_imported("kombu.transport.redis", "Channel"))
        yield Unacked(channel, queues) if is_of_redis else None
