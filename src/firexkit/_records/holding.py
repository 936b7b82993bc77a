"""Who holds a task, who may begin it, and whether anybody holds it still: decided by the store, each in one step.

A message stands in the hash ``unacked`` from the moment it is sent until it is acknowledged; once a worker has fetched
it, with the lease of that worker's main process. A task's record names the message that was sent last, the one whose
body has begun last, and the leases of who runs that body. docs/design/leases.md has the table that follows from these.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from firexkit import _wire
from firexkit._records import holding_scripts as scripts
from firexkit._records.keys import lifetime, start_time_key

Ask: TypeAlias = Callable[[Iterable[tuple[Any, ...]]], list[Any]]
"""Sends commands and returns their answers."""


class Refusal(StrEnum):
    """Why a body may not begin."""

    REVOKED = "revoked"
    ENDED = "ended"
    """A result was accepted."""
    HELD = "held"
    """It runs already: this is a second copy of the message."""
    STALE = "stale"
    """A newer message was sent for the task, and that one counts."""


class Loss(StrEnum):
    """Where a task is that nobody holds."""

    RESERVED = "reserved"
    """Its message was fetched by a worker that is gone."""
    UNFETCHED = "unfetched"
    """Its message left the queue, and no worker has it."""
    GONE = "gone"
    """Its message is nowhere."""
    BODY = "body"
    """Its body had begun, and the processes that held it are gone."""
    DROPPED = "dropped"
    """Its body had begun, its message was acknowledged, and no result is there."""
    FORGOTTEN = "forgotten"
    """Nothing is known of it: it was not sent yet, by a way that leaves no trace, or all that was known is gone."""
    LEFT = "left"
    """It has ended, and nobody acknowledges its message: that was lost on the way, or who has it is gone."""


class Begun(NamedTuple):
    """The answer to who wants to begin a body."""

    attempt: int
    """Which body of the task it is, from 1; 0 for none."""
    refusal: Refusal | None


class Message(NamedTuple):
    """The message of a task, as ``unacked`` has it."""

    tag: str
    list_key: str
    mode: str
    entry: bytes
    """Empty when it is not there."""
    losses: int
    revoked: bool
    has_begun: bool
    has_ended: bool

    def again(self) -> Copy:
        """The same message, to be sent once more.

        It is another one for whoever asks which message counts.
        """
        message, exchange, routing_key = json.loads(self.entry)
        tag = str(uuid.uuid4())
        message["headers"]["redelivered"] = True
        message["properties"].pop(_wire.HOLDER_PROPERTY, None)
        message["properties"]["delivery_tag"] = tag
        message["properties"]["delivery_info"]["redelivered"] = True
        return Copy(tag, json.dumps(message), json.dumps([message, exchange, routing_key]))


class Copy(NamedTuple):
    """A message to be sent once more."""

    tag: str
    payload: str
    entry: str


_AT_A_TIME: Final = 500
_LOOKED_FOR: Final = 20
"""Messages of so many that are looked for in a queue, at a cost that grows with the queue."""


class RedisHolding:
    """Who holds tasks, on a server that is broker and result backend.

    Args:
        ask: sends commands.
        state_key: the key of a task's state.
        unacked: the keys of the hash of messages, and of its index.
        expires: seconds that results are kept; None for ever.
    """

    def __init__(
        self, ask: Ask, state_key: Callable[[str], Any], unacked: tuple[str, str], expires: float | None
    ) -> None:
        self._ask = ask
        self._state_key = state_key
        self._unacked, self._index = unacked
        self._lifetime = lifetime(expires)

    def begin(
        self,
        task_id: str,
        *,
        tag: str,
        call: str,
        holder: str,
        is_forced: bool,
        fields: Sequence[Any],
        also: Iterable[tuple[Any, ...]] = (),
    ) -> Begun:
        """Begin a body, unless that is refused.

        Args:
            task_id: the task.
            tag: the delivery tag of its message.
            call: what tells this beginning from every other.
            holder: the leases of who holds it from now on.
            is_forced: refuse nothing.
            fields: names and values to keep in the record.
            also: commands to send before.
        """
        keys = (task_id, self._state_key(task_id), start_time_key(task_id))
        told = (tag, call, self._lifetime, int(is_forced), time.time(), _wire.FIELD_HOLDER, holder, *fields)
        *_, (attempt, refusal) = self._run(scripts.BEGIN, scripts.BEGIN_DIGEST, keys, told, also)
        return Begun(int(attempt), Refusal(refusal.decode()) if refusal else None)

    def _run(
        self, script: str, digest: str, keys: Sequence[Any], told: Sequence[Any], also: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        """Run a script that the server knows already; one that was started again has to be told it."""
        call = (len(keys), *keys, *told)
        try:
            return self._ask([*also, ("EVALSHA", digest, *call)])
        except Exception as error:
            if type(error).__name__ != "NoScriptError":
                raise
            return self._ask([*also, ("EVAL", script, *call)])

    def losses(self, task_ids: Sequence[str], *, is_thorough: bool = False) -> dict[str, Loss]:
        """Those of some tasks that nobody holds now. Look again before you believe it: a pause may be the reason.

        Args:
            task_ids: the tasks.
            is_thorough: look for their messages in queues that are not empty, one by one, at a cost that grows with
                the queue; else each may be there.
        """
        pages = [task_ids[at : at + _AT_A_TIME] for at in range(0, len(task_ids), _AT_A_TIME)]
        commands = []
        for page in pages:
            keys = [key for task_id in page for key in (task_id, self._state_key(task_id))]
            commands.append(("EVAL", scripts.LOOK, len(keys) + 1, *keys, self._unacked, int(is_thorough)))
        answers = [loss for answer in self._ask(commands) for loss in answer] if commands else []
        return {task_id: Loss(loss.decode()) for task_id, loss in zip(task_ids, answers, strict=True) if loss}

    def suspects(self, offset: int) -> tuple[list[str], list[str]]:
        """Tasks whose messages no living worker has, and some of those that seem to wait in their queues.

        Copies that don't count go.

        Args:
            offset: tells which ones of those in queues; another one each time.
        """
        suspects: list[str] = []
        queued: list[str] = []
        cursor, states = "0", self._state_key("-")[:-1]  # Celery makes no key for an empty id
        while True:
            asked = (cursor, _AT_A_TIME, states, _LOOKED_FOR, offset)
            ((cursor, *found),) = self._ask([("EVAL", scripts.SUSPECTS, 2, self._unacked, self._index, *asked)])
            for known, ids in zip((suspects, queued), found, strict=True):
                known.extend(task_id.decode() for task_id in ids)
            if int(cursor) == 0:
                return suspects, queued

    def may_be_held(self, task_id: str) -> bool:
        """Whether somebody who said that he runs a task lives, or nobody said so."""
        (holders,) = self._ask([("HGET", task_id, _wire.FIELD_HOLDER)])
        return not holders or bool(self._ask([("EXISTS", *holders.split())])[0])

    def message(self, task_id: str) -> Message | None:
        """The message that was sent last for a task; None when none is known."""
        names = (_wire.FIELD_TAG, _wire.FIELD_LIST, _wire.FIELD_ON_LOST, _wire.FIELD_LOST)
        others = (_wire.FIELD_REVOKED, _wire.FIELD_BEGUN)
        ((tag, list_key, mode, losses, revoked, begun),) = self._ask([("HMGET", task_id, *names, *others)])
        if not tag:
            return None
        keys = (task_id, self._state_key(task_id))
        entry, is_over = self._ask([("HGET", self._unacked, tag), ("EVAL", scripts.IS_OVER, 2, *keys)])
        return Message(
            tag=tag.decode(),
            list_key=(list_key or b"").decode(),
            entry=entry or b"",
            mode=(mode or b"").decode(),
            losses=int(losses or 0),
            revoked=bool(revoked),
            has_begun=begun == tag,
            has_ended=bool(is_over),
        )

    def send_again(self, task_id: str, lost: Message, copy: Copy, *, counts: bool, is_sure: bool) -> bool:
        """Put a lost task in front of its queue with a new message; False when it is not lost any more.

        Args:
            task_id: the task.
            lost: the message that was lost.
            copy: the new one.
            counts: a body was lost with it.
            is_sure: whoever asks knows that it was lost, whatever leases say.
        """
        keys = (task_id, self._state_key(task_id), lost.list_key, self._index, self._unacked)
        told = (lost.tag, *copy, int(is_sure), int(counts))
        return bool(self._ask([("EVAL", scripts.SEND_AGAIN, len(keys), *keys, *told)])[0])

    def give_up(self, task_id: str, tag: str, *, is_sure: bool) -> bool:
        """Let nothing count any more that the lost message or its body may do; False when it is not lost any more."""
        keys = (task_id, self._state_key(task_id), self._index, self._unacked)
        return bool(self._ask([("EVAL", scripts.GIVE_UP, len(keys), *keys, tag, int(is_sure))])[0])

    def claim_patrol(self, who: str, seconds: float) -> bool:
        """Whether this is the process that looks for lost tasks in the next seconds; it stays so as long as it asks."""
        return bool(self._ask([("EVAL", scripts.PATROL, 1, _wire.PATROL, who, int(seconds * 1000))])[0])
