"""Tasks that nobody holds any more: found by whoever looks again and again, then sent again or failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence, Set
from time import monotonic
from typing import Any, Final, NamedTuple

from billiard.exceptions import WorkerLostError

from firexkit import _wire
from firexkit._celery.leases import process_of
from firexkit._celery.storing import tell_lost
from firexkit._celery.unacked import HeldMessage
from firexkit._crash_points import crash_point
from firexkit._records import Loss, Message, RedisHolding, holding_of, records_of

logger: logging.Logger = logging.getLogger(__name__)

MOST_BODIES: Final = 3
"""Bodies of a task that may begin, when each of them is lost, until the task has failed."""
_MANY: Final = 500
"""Tasks that are looked at every second or two; more of them, in proportion less often."""
_WAS_LOST: Final = " was lost: "
_CAUSES: Final = {
    Loss.RESERVED: "the worker that had fetched it is gone",
    Loss.UNFETCHED: "it left its queue, and no worker has it",
    Loss.GONE: "its message is nowhere any more",
    Loss.BODY: "the process that ran it is gone, and so is its worker",
    Loss.DROPPED: "its body ended, and its result is not there",
    Loss.FORGOTTEN: "nothing is known of it any more: its result was forgotten, or has expired",
    Loss.LEFT: "it has ended",
}


class _Missed(NamedTuple):
    """What was held by nobody at each of the last looks.

    Attributes:
        seconds: for how long, as far as the looks can tell.
        loss: where it was lost.
    """

    seconds: float
    loss: Loss


def _missed_again(before: _Missed | None, loss: Loss, seconds: float) -> _Missed:
    return _Missed(before.seconds + seconds if before is not None and before.loss is loss else 0.0, loss)


class Vigil:
    """Which tasks have been held by nobody for so long that they are lost.

    Holders renew their leases several times in a lease's time. So a task is lost when it was held by nobody at each of
    several looks through that time, and the broker answered each: one that was paused or loading lets leases expire.

    Attributes:
        holding: who holds tasks.

    Args:
        holding: who holds tasks.
        lease: seconds that a lease lasts.
        is_thorough: look for messages in queues that are not empty, too.
    """

    def __init__(self, holding: RedisHolding, lease: float, *, is_thorough: bool = False) -> None:
        self.holding: RedisHolding = holding
        self._lease = lease
        self._usual_rest = self._rest = min(2.0, lease / 3)
        self._is_thorough = is_thorough
        self._asked = self._all_due = -float("inf")
        self._missed: dict[str, _Missed] = {}

    @property
    def missed(self) -> Set[str]:
        """The tasks that were held by nobody at the last look, although they were sent."""
        return {task_id for task_id, (_, loss) in self._missed.items() if loss is not Loss.FORGOTTEN}

    @property
    def pause(self) -> float:
        """Seconds until the next look, at most."""
        return self._lease / 8 if self.missed else self._rest

    def lost(self, task_ids: Sequence[str]) -> dict[str, Loss]:
        """Look at some tasks; those that are lost. Where some were missed, only at those, until it is time for all.

        Raises:
            redis.exceptions.ConnectionError: the broker does not answer; what was seen until now tells nothing.
        """
        asked = monotonic()
        if asked < self._all_due and self.missed:
            task_ids = [task_id for task_id in task_ids if task_id in self._missed]
        else:
            # A look at many takes its time on the server: it is there for other things.
            self._rest = self._usual_rest * max(1.0, len(task_ids) / _MANY)
            self._all_due = asked + self._rest
        # A pause of the broker may hide between two looks that are far from each other, so those tell less.
        seen = min(asked - self._asked, self._lease / 4)
        self._asked, before = asked, self._missed
        self._missed = {}
        found = self.holding.losses(task_ids, is_thorough=self._is_thorough)
        if monotonic() - asked <= self._lease / 4:
            self._missed = {task_id: _missed_again(before.get(task_id), loss, seen) for task_id, loss in found.items()}
        return {task_id: missed.loss for task_id, missed in self._missed.items() if missed.seconds >= self._lease}


def mend(app: Any, holding: RedisHolding, task_id: str, loss: Loss, *, cause: str = "", is_sure: bool = False) -> bool:
    """Send a lost task again if it may run again, else let it fail; others may do so at the same time.

    Args:
        app: its app.
        holding: who holds the app's tasks.
        task_id: the task.
        loss: where it was lost.
        cause: what is known of the reason.
        is_sure: the caller knows that it was lost, whatever leases say.

    Returns:
        Whether it was sent again.
    """
    message = holding.message(task_id)
    if message is None:
        return False
    if not message.revoked and may_run_again(loss, message):
        return _send_again(app, holding, task_id, loss, message, cause, counts=loss is Loss.BODY, is_sure=is_sure)
    if holding.give_up(task_id, message.tag, is_sure=is_sure):
        _store_end(app, task_id, loss, message, cause or _CAUSES[loss])
    return False


def give_up_forgotten(app: Any, task_id: str, name: str) -> None:
    """Let a task fail whose result can't come any more.

    Args:
        app: its app.
        task_id: the task, or the last one of a chain.
        name: what was sent.
    """
    error = WorkerLostError(f"{name}[{task_id}]{_WAS_LOST}{_CAUSES[Loss.FORGOTTEN]}")
    logger.error("%s", error)
    app.backend.mark_as_failure(task_id, error)


def end_revoked(app: Any, task_id: str) -> None:
    """Store that a task was revoked whose body is about to be ended, with all that follows in its chain.

    Args:
        app: its app.
        task_id: the task.
    """
    holding = holding_of(app.backend)
    message = holding.message(task_id) if holding is not None else None
    if message is not None:
        # Nothing else: who waits also waits for the end of the body, as after any revocation.
        app.backend.mark_as_revoked(task_id, "revoked", request=_request_of(message))


def revive(app: Any, task_id: str, cause: str) -> int:
    """Let a task go on whose process has died in the worker that asks.

    Args:
        app: its app.
        task_id: the task.
        cause: how the process died.

    Returns:
        How many of its processes have died if the task has to fail; 0 if it has ended, or was sent again.
    """
    holding = holding_of(app.backend)
    message = holding.message(task_id) if holding is not None else None
    if holding is None or message is None or message.revoked:
        return 1
    if message.has_ended:
        return 0
    loss = Loss.BODY if message.has_begun else Loss.RESERVED
    # Its process may have died of it before its body began, too.
    if message.losses + 1 < MOST_BODIES and may_run_again(loss, message):
        if _send_again(app, holding, task_id, loss, message, cause, counts=True, is_sure=True):
            logger.warning("%s lost its process: %s", task_id, cause)
        return 0
    return message.losses + 1


def may_run_again(loss: Loss, message: Message) -> bool:
    """Whether a lost task is sent again: always when its body had not begun, else when it says so, a few times."""
    if not message.entry:
        return False
    if loss in (Loss.RESERVED, Loss.UNFETCHED):
        return True
    return loss is Loss.BODY and message.mode == _wire.RETRY_LOST and message.losses + 1 < MOST_BODIES


def _send_again(
    app: Any,
    holding: RedisHolding,
    task_id: str,
    loss: Loss,
    message: Message,
    cause: str,
    *,
    counts: bool,
    is_sure: bool,
) -> bool:
    crash_point("judge: before it is sent again")
    sent = holding.send_again(task_id, message, message.again(), counts=counts, is_sure=is_sure)
    crash_point("judge: after it was sent again")
    if sent:
        logger.warning("%s is sent again: %s", task_id, _CAUSES[loss])
        if loss is Loss.BODY:
            tell_lost(app.backend, task_id, cause or _CAUSES[loss], _request_of(message))
    return sent


def _store_end(app: Any, task_id: str, loss: Loss, message: Message, cause: str) -> None:
    request = _request_of(message)
    if message.revoked:
        app.backend.mark_as_revoked(task_id, "revoked", request=request)
        records_of(app.backend).tasks.done(task_id)
        return
    error = WorkerLostError(_told(app, task_id, loss, message, cause))
    logger.error("%s", error)
    app.backend.mark_as_failure(task_id, error, request=request)
    records_of(app.backend).tasks.done(task_id)
    with app.events.default_dispatcher() as dispatcher:
        told = {"uuid": task_id, "exception": repr(error), "traceback": "", "timestamp": time.time()}
        dispatcher.send("task-failed", **told)


def _request_of(message: Message) -> Any:
    """What Celery needs to end what follows in a chain; None when the message is gone."""
    return HeldMessage.of(message.tag, message.entry).request() if message.entry else None


def is_lost(error: Any) -> bool:
    """Whether a task failed because it was held by nobody any more."""
    return isinstance(error, WorkerLostError) and _WAS_LOST in str(error)


def _told(app: Any, task_id: str, loss: Loss, message: Message, cause: str) -> str:
    (known,) = records_of(app.backend).tasks.fields([task_id], (_wire.FIELD_NAME, _wire.FIELD_HOLDER))
    name, holders = known.get(_wire.FIELD_NAME, ""), known.get(_wire.FIELD_HOLDER, "").split()
    places = [process_of(holder) for holder in holders]
    text = f"{name}[{task_id}]{_WAS_LOST}{cause}"
    if loss is Loss.BODY and places:
        (host, body), (_, main) = places[0], places[-1]
        text += f"; its process {body} belonged to the worker {main} on {host}"
    if loss is Loss.BODY and message.mode == _wire.RETRY_LOST:
        text += f"; it was begun {message.losses + 1} times"
    return text
