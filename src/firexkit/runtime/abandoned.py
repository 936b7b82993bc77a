"""What a worker's main process held when it died: fetched messages go back to the queue, running tasks have failed.

Redis keeps what a worker has fetched and not acknowledged in the hash `unacked`, by delivery tag, and hands it out
again only after the visibility timeout. Whoever starts a worker again knows that the one before is dead.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from billiard.exceptions import WorkerLostError
from celery.app.task import Context
from kombu.transport.redis import Channel

from firexkit import _wire
from firexkit._celery.types import Celery
from firexkit._records import records_of

logger: Final = logging.getLogger(__name__)

ANSWER_TIME: Final = 1.0
"""Seconds that other workers have to say which tasks are theirs."""
_CHAIN_AND_CALLBACKS: Final = 2


class _Held(NamedTuple):
    tag: str
    message: dict[str, Any]

    @property
    def task_id(self) -> str:
        return str(self.message["headers"]["id"])

    def request(self) -> Context:
        """What Celery needs to fail a task and what comes after it."""
        body = json.loads(base64.b64decode(self.message["body"]))
        return Context({**self.message["headers"], **body[_CHAIN_AND_CALLBACKS]})


def settle(app: Celery, queue: str, worker: str) -> None:
    """Settle what the dead main process of a worker held of a queue. Brokers other than Redis do so themselves.

    Args:
        app: an app on the broker.
        queue: the queue.
        worker: the worker's full name.
    """
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        if not isinstance(channel, Channel):
            return
        held = list(_held(channel, queue))
        if not held:
            return
        others = _held_by_others(app, worker)
        for one in held:
            if one.task_id not in others:
                _settle(app, channel, one, worker)


def _held(channel: Channel, queue: str) -> Iterator[_Held]:
    for tag, raw in channel.client.hgetall(channel.unacked_key).items():
        message, _exchange, routing_key = json.loads(raw)
        if routing_key == queue:
            yield _Held(tag.decode(), message)


def _held_by_others(app: Celery, worker: str) -> Collection[str]:
    inspect = app.control.inspect(timeout=ANSWER_TIME)
    answers = [*(inspect.active() or {}).items(), *(inspect.reserved() or {}).items()]
    return {task["id"] for name, tasks in answers if name != worker for task in tasks}


def _settle(app: Celery, channel: Channel, held: _Held, worker: str) -> None:
    fields = (_wire.FIELD_ATTEMPT, _wire.FIELD_POST_RUN)
    (known,) = records_of(app.backend).tasks.fields([held.task_id], fields)
    if _wire.FIELD_ATTEMPT not in known:
        logger.warning("%s was fetched by a worker that died; it goes back to its queue", held.task_id)
        channel.qos.restore_by_tag(held.tag)
        return
    if _wire.FIELD_POST_RUN not in known:
        _fail(app, held, worker)
    with channel.client.pipeline() as pipe:
        pipe.zrem(channel.unacked_index_key, held.tag).hdel(channel.unacked_key, held.tag).execute()


def _fail(app: Celery, held: _Held, worker: str) -> None:
    error = WorkerLostError(f"The main process of the worker {worker} died while it ran the task {held.task_id}")
    logger.error("%s", error)
    app.backend.mark_as_failure(held.task_id, error, request=held.request())
    records_of(app.backend).tasks.done(held.task_id)
    with app.events.default_dispatcher(hostname=worker) as dispatcher:
        told = {"uuid": held.task_id, "exception": repr(error), "traceback": "", "timestamp": time.time()}
        dispatcher.send("task-failed", **told)
