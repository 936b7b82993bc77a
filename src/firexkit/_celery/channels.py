"""Messages and events of tasks, which kombu sends, leave through an outbox that is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

from kombu.utils.json import dumps

from firexkit import _lazy
from firexkit._celery import outbox
from firexkit._celery.dispatch import Command
from firexkit._celery.owed import entry_of
from firexkit._wire import FIELD_LIST, FIELD_TAG


@cache
def install() -> None:
    """Let messages and events leave through an open outbox; calling it again does nothing."""
    _lazy.when_imported("kombu.transport.redis", _mend_channels)


def _mend_channels(module: Any) -> None:
    mends: dict[str, Callable[[Any], Any]] = {"_put": _putting, "_put_fanout": _putting_fanout}
    for name, mend in mends.items():
        setattr(module.Channel, name, mend(getattr(module.Channel, name)))


def _putting(put: Callable[..., None]) -> Callable[..., None]:
    @wraps(put)
    def put_through_outbox(channel: Any, queue: str, message: Any, **kwargs: Any) -> None:
        box = outbox.current()
        if box is None:
            return put(channel, queue, message, **kwargs)
        expires = getattr(channel, "_expires", None)
        if not box.is_on(channel) or kwargs.get("_publish_batch") or (expires and queue in expires):
            box.send()
            return put(channel, queue, message, **kwargs)
        list_key = channel._q_for_pri(queue, channel._get_message_priority(message, reverse=False))
        payload = dumps(message)  # type: ignore[no-untyped-call]  # kombu is typed in parts
        return box.put(*_owed(box, channel, list_key, message, payload), ("LPUSH", list_key, payload))

    return put_through_outbox


def _owed(box: outbox.Outbox, channel: Any, list_key: str, message: Any, payload: str) -> Iterator[Command]:
    """Put on record what is sent: from now on somebody has to begin the task, even if the message gets lost."""
    task_id = message["headers"].get("id")
    if task_id is not None:
        tag = message["properties"]["delivery_tag"]
        yield from box.add_fields(task_id, FIELD_TAG, tag, FIELD_LIST, list_key)
        yield "HSET", channel.unacked_key, tag, entry_of(message, payload)


def _putting_fanout(put: Callable[..., None]) -> Callable[..., None]:
    @wraps(put)
    def put_fanout_through_outbox(channel: Any, exchange: str, message: Any, routing_key: str, **kwargs: Any) -> None:
        box = outbox.current()
        if box is None:
            return put(channel, exchange, message, routing_key, **kwargs)
        if not box.is_of_events(exchange) or not box.is_on(channel) or kwargs.get("_publish_batch"):
            box.send()
            return put(channel, exchange, message, routing_key, **kwargs)
        payload = dumps(message)  # type: ignore[no-untyped-call]
        box.add_events([("PUBLISH", topic, payload) for topic in _topics(channel, exchange, routing_key)])
        return None

    return put_fanout_through_outbox


def _topics(channel: Any, exchange: str, routing_key: str) -> list[str]:
    several = getattr(channel, "_get_publish_topics", None)
    return list(several(exchange, routing_key)) if several else [channel._get_publish_topic(exchange, routing_key)]
