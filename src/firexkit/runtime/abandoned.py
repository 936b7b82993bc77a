"""What a worker that has died left behind, mended at once: whoever starts one again knows that the one before is dead.

Without that knowledge a lease has to end first, as with workers of other machines.
"""

from __future__ import annotations

import socket
from collections.abc import Collection

import psutil

from firexkit import _wire
from firexkit._celery.leases import process_of
from firexkit._celery.unacked import HeldMessage, unacked
from firexkit._records import Loss, RedisHolding, holding_of, records_of
from firexkit.app import FireX
from firexkit.result.lost import mend


def settle(app: FireX, queues: Collection[str], worker: str) -> None:
    """Settle what dead processes of this machine held. Brokers other than Redis do so themselves.

    Args:
        app: an app on the broker.
        queues: what the worker consumed.
        worker: its full name.
    """
    holding = holding_of(app.backend)
    if holding is None:
        return
    with unacked(app, queues) as messages:
        held = [one for one in messages or () if is_gone(one.holder)]
        # A run is over when its root is, so what else has failed is told before.
        for one in sorted(held, key=lambda message: message.is_root):
            if not _settle(app, holding, one, worker) and messages is not None:
                messages.put_back(one)


def _settle(app: FireX, holding: RedisHolding, held: HeldMessage, worker: str) -> bool:
    """Mend the task of a message; False when nobody knows it, as when another kit has sent it."""
    names = (_wire.FIELD_TAG, _wire.FIELD_BEGUN, _wire.FIELD_HOLDER)
    (known,) = records_of(app.backend).tasks.fields([held.task_id], names)
    if known.get(_wire.FIELD_TAG) != held.tag:
        return _wire.FIELD_TAG in known
    has_begun = known.get(_wire.FIELD_BEGUN) == held.tag
    if not has_begun or all(is_gone(lease) for lease in known.get(_wire.FIELD_HOLDER, "").split()):
        cause = f"the main process of the worker {worker} died while it ran the task"
        mend(app, holding, held.task_id, Loss.BODY if has_begun else Loss.RESERVED, cause=cause, is_sure=True)
    return True


def is_gone(lease: str) -> bool:
    """Whether the process of a lease was one of this machine, and is no more."""
    host, pid = process_of(lease)
    return host == socket.gethostname() and not psutil.pid_exists(pid)
