"""A task that runs at most once for a key in a run, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any
from uuid import uuid4

from firexkit import _wire
from firexkit._celery.patience import patiently
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import told_of
from firexkit._records import current_run, once_uid_key, records_of
from firexkit.result import WaitOnChainTimeoutError, wait_on_async_results_and_maybe_raise
from firexkit.result.hearing import growing_pauses

_PATIENCE = 60.0
"""Seconds that the owner of a key may take to send its task."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks for the id, if nothing tells that it is there."""


def enqueue_once(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, key: str, block: bool) -> Any:
    """Send a chain unless its key was taken; then join the task that runs for the key.

    Args:
        task: the task that asks.
        args: positionals of ``enqueue_child``.
        kwargs: keywords of ``enqueue_child``.
        key: the chain runs once for it; a retry of the asking task gets a new one.
        block: wait for the chain's end.

    Raises:
        ValueError: ``raise_exception_on_failure`` without ``block``.
        WaitOnChainTimeoutError: the owner of the key did not send its task in time.
    """
    if kwargs.get("raise_exception_on_failure") is not None and not block:
        raise ValueError("raise_exception_on_failure needs block=True")
    retries = task.request.retries or 0
    key = f"{key}_{retries}" if retries else key
    uid = _taken_by(task, key)
    if uid is None:
        return _as_owner(task, args, kwargs, key=key, block=block)
    return _as_guest(task, uid, kwargs, block=block)


def _taken_by(task: Any, key: str) -> str | None:
    """The id of the task that runs for a key; None when the key is the caller's from now on."""
    runs, run, deadline = records_of(task.app.backend).runs, current_run(), monotonic() + _PATIENCE
    claimant = str(task.request.id or uuid4())
    pauses = growing_pauses(_FIRST_PAUSE, 1.5, _LONGEST_PAUSE)
    with ExitStack() as asking:
        wait: Callable[[float], None] | None = None
        while monotonic() < deadline:
            if uid := runs.once_uid(key, run):
                return uid
            # An owner that could not send gives the key back, so it is asked for again until an id is there.
            if runs.claim_once(key, run, claimant):
                return None
            if wait is None:
                wait = asking.enter_context(told_of(task.app.backend, once_uid_key(key, run)))
            else:
                wait(next(pauses))
    raise WaitOnChainTimeoutError(f"Nobody sent the task for the key {key!r} within {_PATIENCE:g} s")


def _as_owner(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, key: str, block: bool) -> Any:
    runs, run = records_of(task.app.backend).runs, current_run()
    then = kwargs.pop("apply_async_epilogue", None)
    sent = False

    def publish(result: AsyncResult) -> None:
        nonlocal sent
        sent = True
        patiently(runs.publish_once, key, run, result.id)
        if then is not None:
            then(result)

    try:
        result = task.enqueue_child(*args, block=block, apply_async_epilogue=publish, **kwargs)
    finally:
        # Others would wait for an id that never comes.
        if not sent:
            runs.release_once(key, run)
    return result


def _as_guest(task: Any, uid: str, kwargs: dict[str, Any], *, block: bool) -> AsyncResult:
    result: AsyncResult = task.AsyncResult(uid)
    task.send_event(_wire.EVENT_FLAME, **{_wire.ADDITIONAL_CHILDREN: [result.id]})
    if block:
        wanted = {name: value for name, value in kwargs.items() if value is not None}
        wait_on_async_results_and_maybe_raise(result, caller_task=task, **wanted)
    return result
