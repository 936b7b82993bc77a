"""Events of tasks, as Celery sends them, with little in between when they leave with an outbox."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from celery.events import Event
from celery.utils.time import utcoffset
from kombu.serialization import dumps

from firexkit._celery import outbox
from firexkit._celery.patience import outages
from firexkit._celery.types import Task

_NEWS_FOR: Final = 0.05
"""Seconds for which it holds that nobody hears events when nobody has heard one."""
_SILENCE: Final = 2.0
"""Seconds for which nothing is told after an event met a broker that is away."""
_HASTE: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""Celery's policy for an event: a broken connection is made anew, an outage is not waited out."""


class _Outage(threading.local):
    """Until when this thread tells no events."""

    until = 0.0


_outage: Final = _Outage()


def send(task: Any, event_type: str, fields: Mapping[str, Any]) -> None:
    """Send an event about the task that runs now; in an outage most are lost, as a task must not wait for them.

    Args:
        task: the task.
        event_type: with its group before the first dash, ``task-results``.
        fields: what is told; JSON-able.
    """
    if monotonic() < _outage.until:
        return
    try:
        if not outbox.is_open() or not _is_gathered(task, event_type, fields):
            with task.app.amqp.producer_pool.acquire(block=True) as producer:
                _connect(producer)
            Task.send_event(task, event_type, retry_policy=_HASTE, **fields)
            outbox.heard.note(monotonic(), by=1)  # perhaps
    except outages():
        _outage.until = monotonic() + _SILENCE
        raise


def _connect(producer: Any) -> None:
    """Have a connection, or raise at once: a channel that finds none looks for one for seconds."""
    if not producer.connection.connected:
        producer.connection.ensure_connection(**_HASTE)


def are_unheard(task: Any) -> bool:
    """Whether an event about a task that this thread sent just now was heard by nobody."""
    outbox.catch_up(task.backend)
    return outbox.heard.by_nobody(_NEWS_FOR)


def _is_gathered(task: Any, event_type: str, fields: Mapping[str, Any]) -> bool:
    """Put an event into the open outbox as Celery's dispatcher would publish it; whether that was possible."""
    app, request = task.app, task.request
    exchange = app.conf.event_exchange
    with app.amqp.producer_pool.acquire(block=True) as producer:
        _connect(producer)
        channel = producer.channel
        # Celery's dispatcher declares the exchange; until it has, events are its business.
        if not outbox.takes_from(channel) or exchange not in channel.state.exchanges:
            return False
        where = {"hostname": request.hostname, "utcoffset": utcoffset(), "pid": os.getpid()}
        event = Event(event_type, clock=app.clock.forward(), uuid=request.id, **where, **fields)
        content_type, encoding, body = dumps(event, app.conf.event_serializer)  # type: ignore[no-untyped-call]
        headers, transient = {"hostname": request.hostname}, {"delivery_mode": 1}
        message = channel.prepare_message(body, None, content_type, encoding, headers, transient)
        channel.basic_publish(message, exchange=exchange, routing_key=event_type.replace("-", "."))
    return True
