"""A task that runs at most once for a key in a run, whoever asks.

Who asks first sends it, and holds the key meanwhile by the lease of its process. The claim names the id of what will be
sent; so if its holder dies, at whatever moment, the next one sends it under that id, or finds that it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import uuid4

from firexkit import _wire
from firexkit._celery import outbox
from firexkit._celery.lending import lent_slot
from firexkit._celery.patience import patiently
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import told_of
from firexkit._crash_points import crash_point
from firexkit._records import Claim, Standing, current_run, holding_of, once_uid_key, records_of
from firexkit._serialization.sealing import fingerprint
from firexkit.chain import InjectArgs
from firexkit.result import WaitOnChainTimeoutError, wait_on_async_results_and_maybe_raise
from firexkit.result.tree import climb_up_until_null_parent
from firexkit.secret import MASK, Secret
from firexkit.task.child_ids import Enqueue, heads, identified, places
from firexkit.task.children import PENDING
from firexkit.task.claiming import Asking, kept
from firexkit.task.rerun import lost_bodies

Key: TypeAlias = str | Secret[Any]
"""What a chain runs once for."""
_SOON: Final = 0.01
"""Seconds for which a task keeps its slot: most claims are published by then."""


def enqueue_once(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, key: Key, block: bool) -> Any:
    """Send a chain unless its key was taken; then join the task that runs for the key.

    Args:
        task: the task that asks.
        args: positionals of ``enqueue_child``.
        kwargs: keywords of ``enqueue_child``.
        key: the chain runs once for it; a retry of the asking task gets a new one. Of a Secret, a digest is used.
        block: wait for the chain's end.

    Raises:
        ValueError: ``raise_exception_on_failure`` without ``block``; or a key into which a Secret was formatted.
        WaitOnChainTimeoutError: ``max_wait`` was given, and passed before the owner of the key had sent its task.
    """
    if kwargs.get("raise_exception_on_failure") is not None and not block:
        raise ValueError("raise_exception_on_failure needs block=True")
    key = _readable_by_all(key)
    retries = task.request.retries or 0
    key = f"{key}_{retries}" if retries else key
    asked, max_wait = _asked(*args, **kwargs), kwargs.get("max_wait") if block else None
    deadline = inf if max_wait is None else monotonic() + max_wait
    claim = _claimed(task, key, deadline)
    if claim.is_mine:
        return _Owner(task, asked, key, claim).enqueue(block=block)
    if claim.claimant == task.request.id and lost_bodies(task.request) and not isinstance(asked.chain, InjectArgs):
        # An earlier body of this task has sent it.
        _adopt(task, asked, _named(asked.chain, claim.task_id).freeze())
    left = {} if max_wait is None else {"max_wait": max(0.0, deadline - monotonic())}
    return _joined(task, task.AsyncResult(claim.task_id), {**asked.options, **left}, block=block)


def _readable_by_all(key: Key) -> str:
    """A key as it may be stored."""
    if isinstance(key, Secret):
        return fingerprint(str(key.reveal()))
    if MASK in key:
        raise ValueError(
            f"the key {key!r} is the same for all secrets: give Secret(…) of the whole key, and a digest of it is used"
        )
    return key


class _Asked(NamedTuple):
    """What ``enqueue_child`` is asked for."""

    chain: Any
    is_tracked: bool
    options: Mapping[str, Any]


def _asked(chain: Any, add_to_enqueued_children: bool = True, **options: Any) -> _Asked:
    return _Asked(chain, add_to_enqueued_children, options)


def _claimed(task: Any, key: str, deadline: float) -> Claim:
    """The claim of a key: the caller's own, or that of a task which was sent."""
    backend, run = task.app.backend, current_run()
    ask = partial(records_of(backend).runs.claim_once, key, run, str(uuid4()))
    asking = Asking(task, str(task.request.id or uuid4()), ask)
    if not (claim := asking.look()).is_under_way:
        return claim
    outbox.confirmed(backend)
    with told_of(backend, once_uid_key(key, run)) as wait:
        if not (claim := asking.look()).is_under_way:
            return claim
        wait(_SOON)
        with lent_slot():
            return _awaited(asking, wait, key, deadline)


def _awaited(asking: Asking, wait: Callable[[float], None], key: str, deadline: float) -> Claim:
    """A claim that nobody else has any more: one that can't send gives the key back, one that dies loses it."""
    while (claim := asking.look()).is_under_way:
        left = deadline - monotonic()
        if left <= 0:
            raise WaitOnChainTimeoutError(
                f"Task {claim.claimant} has not sent the task for the key {key!r} in time; raise max_wait?"
            )
        wait(min(asking.pause, left))
    return claim


# ── the owner of a key ────────────────────────────────────────────────────────────────────


class _Owner:
    """A task that has the claim of a key.

    Args:
        task: the task.
        asked: what it asks for.
        key: the key.
        claim: the claim.
    """

    def __init__(self, task: Any, asked: _Asked, key: str, claim: Claim) -> None:
        self._task = task
        self._chain = asked.chain if isinstance(asked.chain, InjectArgs) else _named(asked.chain, claim.task_id)
        self._asked = asked
        self._claim = claim
        self._key = key
        self._run = current_run()
        self._runs = records_of(task.app.backend).runs
        self._is_published = False

    def enqueue(self, *, block: bool) -> Any:
        """Send the chain under the ids of the claim, or take over what was sent under them; wait for it if asked to."""
        crash_point("once: claimed")
        try:
            with kept(self._task.app.backend):
                if self._claim.standing is Standing.AGAIN and self._was_sent():
                    return self._taken_over(block=block)
                ours = {"block": block, "apply_async_epilogue": self._publish}
                options = {**self._asked.options, "add_to_enqueued_children": self._asked.is_tracked, **ours}
                return self._task.enqueue_child(self._chain, **options)
        finally:
            # Others would wait for an id that never comes.
            if not self._is_published:
                patiently(self._runs.release_once, self._key, self._run, self._claim.claimant)

    def _publish(self, result: AsyncResult) -> None:
        outbox.confirmed(self._task.app.backend)
        crash_point("once: sent")
        patiently(self._runs.publish_once, self._key, self._run, result.id)
        self._is_published = True
        crash_point("once: published")
        if (then := self._asked.options.get("apply_async_epilogue")) is not None:
            then(result)

    def _was_sent(self) -> bool:
        """Whether somebody who had the claim before has sent the chain: all of it that is to be sent at once."""
        if isinstance(self._chain, InjectArgs):
            return False
        by_place, backend = dict(places(self._chain)), self._task.app.backend
        ids = [by_place[place].options["task_id"] for place in heads(self._chain)]
        mark = _wire.FIELD_SENT if holding_of(backend) is None else _wire.FIELD_TAG
        return all(mark in known for known in patiently(records_of(backend).tasks.fields, ids, (mark,)))

    def _taken_over(self, *, block: bool) -> AsyncResult:
        result: AsyncResult = self._chain.freeze()
        self._publish(result)
        _adopt(self._task, self._asked, result)
        return _joined(self._task, result, self._asked.options, block=block)


def _named(chain: Any, task_id: str) -> Any:
    """A copy of a chain whose last task has this id; those before it have ids that follow from this one."""
    return identified(chain, Enqueue(task_id, "", 0, "").id_at, last=task_id)


def _adopt(task: Any, asked: _Asked, result: AsyncResult) -> None:
    """Let a task have a child that was sent by somebody who is gone, as if it had sent that itself."""
    children = task.execution.context.enqueued_children
    if result in children:
        return
    task.add_trail(climb_up_until_null_parent(result))
    if asked.is_tracked:
        children[result] = {"state": PENDING}


# ── whoever finds it sent ─────────────────────────────────────────────────────────────────


def _joined(task: Any, result: AsyncResult, options: Mapping[str, Any], *, block: bool) -> AsyncResult:
    task.send_event(_wire.EVENT_FLAME, **{_wire.ADDITIONAL_CHILDREN: [result.id]})
    if block:
        wanted = {name: value for name, value in options.items() if value is not None}
        wait_on_async_results_and_maybe_raise(result, caller_task=task, **wanted)
    return result
