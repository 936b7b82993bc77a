"""How many messages a worker's main process fetches: as many more as tasks wait for others."""

from __future__ import annotations

from collections.abc import Iterable
from types import MethodType
from typing import Any

from celery.worker import state
from kombu.transport import redis


class Prefetch:
    """The part of a consumer's prefetch count that stands for tasks that wait for others.

    Everybody else (tasks that wait for their time, remote control) changes that count by differences, and so do we.
    A new connection begins with Celery's own count.
    """

    def __init__(self) -> None:
        self._qos: Any = None
        self._given = 0

    def raise_by(self, count: int, consumer: Any) -> None:
        """Let the consumer fetch so many more messages than Celery reckons."""
        qos = consumer.qos
        if qos is None:  # between two connections
            return
        if qos is not self._qos:
            self._qos, self._given = qos, 0
        before = qos.value
        if count > self._given:
            qos.increment_eventually(count - self._given)
        elif count < self._given:
            qos.decrement_eventually(self._given - count)
        # The count has limits of its own, and zero stands for no limit and stays.
        self._given += qos.value - before


def unacknowledged(requests: Iterable[Any], consumer: Any) -> int:
    """How many of the requests count in the consumer's prefetch: the broker waits for their acknowledgement."""
    delivered = getattr(getattr(_channel_of(consumer), "qos", None), "_delivered", None)
    late = [request for request in requests if request is not None and not request.acknowledged]
    if delivered is None:
        return len(late)
    # One that runs since before the connection broke may not count in the new one.
    return sum(request.message.delivery_tag in delivered for request in late)


def fetched_too_many(consumer: Any) -> int:
    """How many more messages the consumer has than it may have."""
    qos: Any = getattr(_channel_of(consumer), "qos", None)
    delivered = getattr(qos, "_delivered", None)
    if delivered is None or consumer.qos is None or not consumer.qos.value:
        return 0
    return max(0, len(delivered) - len(qos._dirty) - int(consumer.qos.value))


def give_back(requests: Iterable[Any]) -> None:
    """Put messages back to the front of their queues, for another worker or for later."""
    for request in requests:
        request.reject(requeue=True)
        state.task_ready(request)


def read_what_was_asked_for(consumer: Any) -> None:
    """Let the consumer read the answer to a question that it asked while it might fetch one message more.

    The broker may have taken the message off its queue by then. kombu leaves it in the socket until the worker may
    fetch again, where nobody finds it if the worker dies.
    """
    channel = _channel_of(consumer)
    if isinstance(channel, redis.Channel):
        might = channel.qos.can_consume

        def can_consume(_qos: Any) -> bool:
            return bool(channel._in_poll) or might()

        channel.qos.can_consume = MethodType(can_consume, channel.qos)


def _channel_of(consumer: Any) -> Any:
    return getattr(consumer.task_consumer, "channel", None)
