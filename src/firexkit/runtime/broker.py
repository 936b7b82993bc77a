"""The broker of a run: whether one that somebody named answers, and where an app is told of it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from kombu.exceptions import OperationalError

from firexkit import _wire
from firexkit._celery.unacked import unacked
from firexkit.app import FireX
from firexkit.broker_address import without_password

SCHEMES: Final = ("redis", "rediss", "redis+socket", "sentinel")
CONNECT_PATIENCE: Final = 5.0
DAY: Final = 24 * 3600


class BrokerError(RuntimeError):
    """A broker that can't be used; the text says which, why, and what to do."""


def use(app: FireX, address: str) -> None:
    """Let an app work with a broker, which is its result backend, too."""
    app.conf.update(broker_url=address, result_backend=address)


def check(app: FireX) -> None:
    """Ask the app's broker whether it answers.

    Raises:
        BrokerError: it does not, refuses the password, or is none that we can use.
    """
    address = str(app.conf.broker_url)
    shown = without_password(address)
    scheme = urlsplit(address).scheme
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        raise BrokerError(f"the broker {shown} can't be used: its address must begin with one of {known}")
    try:
        patience = {"socket_timeout": CONNECT_PATIENCE, "socket_connect_timeout": CONNECT_PATIENCE}
        options = {**app.conf.broker_transport_options, **patience}
        with closing(app.connection_for_write(transport_options=options)) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=CONNECT_PATIENCE)
            connection.default_channel.client.ping()
    except (OperationalError, redis.RedisError, OSError, ValueError) as error:
        raise BrokerError(_why_not(shown, error)) from error


def _why_not(shown: str, error: BaseException) -> str:
    reason = str(error.__cause__ or error)
    refused = ("invalid username-password", "WRONGPASS", "NOAUTH", "Authentication required", "without any password")
    if any(sign in reason for sign in refused):
        return f"the broker {shown} refuses the password: {reason}; check --password-file"
    return f"the broker {shown} does not answer: {reason}; is it running, and is the address right?"


def tell_run(app: FireX, queue: str, run_id: str, logs_dir: str) -> None:
    """Let workers that join find the run behind a queue."""
    app.backend.client.set(_run_key(queue), json.dumps([run_id, logs_dir]), ex=30 * DAY)


def told_run(app: FireX, queue: str) -> tuple[str, str] | None:
    """The id and the directory of the run behind a queue; None when the queue is nobody's own."""
    told: Any = app.backend.client.get(_run_key(queue))
    if told is None:
        return None
    run_id, logs_dir = json.loads(told)
    return run_id, logs_dir


def clear_queue(app: FireX, queue: str) -> None:
    """Leave nothing of a run's own queue behind, once its worker is gone."""
    with unacked(app, [queue]) as messages:
        if messages is not None:
            messages.drop_all()  # a run ends with its root's result, which comes before the acknowledgement
    with app.connection_for_write() as connection:
        entity = app.amqp.queues[queue].bind(connection.default_channel)
        entity.declare()  # kombu forgets the bindings of those queues only that it knows
        entity.delete()
    app.backend.client.delete(_run_key(queue))
    app.backend.client.srem(_wire.QUEUES, queue)


def _run_key(queue: str) -> str:
    return f"{_wire.RUN_OF_QUEUE}{queue}"
