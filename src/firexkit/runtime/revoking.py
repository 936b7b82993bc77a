"""One task of a run that goes on is revoked, by whoever can read the run's directory."""

from __future__ import annotations

import time

import redis
from kombu.exceptions import OperationalError

from firexkit.app import FireX
from firexkit.broker_address import BrokerAddressError, with_password
from firexkit.journal import stream
from firexkit.journal.model import Revoked, encoded
from firexkit.revoke import revoke_tasks
from firexkit.runtime import broker
from firexkit.runtime.directory import RunDirectory


class RevokingError(RuntimeError):
    """A task can't be revoked; the text says why."""


def revoke(directory: RunDirectory, task_id: str, reason: str) -> None:
    """Revoke a task of a run; what it runs is ended, and cleans up.

    Args:
        directory: the run's.
        task_id: the task.
        reason: why; kept in the run's journal.

    Raises:
        RevokingError: the run's broker can't be reached.
    """
    app = FireX("firex stop", set_as_current=False)
    try:
        address = directory.broker_url.read_text(encoding="utf-8").strip()
        # A broker without a password has an empty file.
        password = directory.broker_password if directory.broker_password.read_text(encoding="utf-8").strip() else None
        broker.use(app, with_password(address, password))
        broker.check(app)
        revoke_tasks(app, [task_id])
        fact = encoded(Revoked(at=time.time(), task=task_id, reason=reason))
        app.backend.client.execute_command(*stream.addition(directory.run_id, [fact], {}))
    except (OSError, BrokerAddressError, broker.BrokerError, OperationalError, redis.RedisError) as error:
        raise RevokingError(f"{task_id} of {directory.run_id} can't be revoked: {error}") from error
    finally:
        app.close()
