"""Results of earlier calls, given to later ones with the same arguments; of those that come together, one computes.

That one holds the call by the lease of its process until its result is stored. The others wait for the result. If there
is none in the end, because the task failed, its process died, or somebody has forgotten it, one of them computes.

A call that comes from the very task that computes, or from below it, would wait for itself: it computes, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any

from celery.states import SUCCESS

from firexkit import _wire
from firexkit._celery import outbox
from firexkit._celery.messages import bag_of
from firexkit._celery.patience import patiently
from firexkit._celery.secret_settings import hidden
from firexkit._celery.states import refresh
from firexkit._crash_points import crash_point
from firexkit._records import Claim, Standing, current_run, records_of
from firexkit._serialization import LostValueError
from firexkit._serialization.large import entries_of, fetched
from firexkit.result import (
    BrokerDataLostError,
    ChainException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    wait_on_async_results,
)
from firexkit.result.values import get_task_results
from firexkit.secret import MASK
from firexkit.task.child_ids import digest_of_values
from firexkit.task.claiming import Asking, kept
from firexkit.task.secrets import names_of

_PATIENCE = 3.0
"""Seconds that a result may take to be stored where nothing tells whether that is still to come."""


def is_enabled(task: Any) -> bool:
    """Whether calls of this task are answered from the cache: the message's word wins over the task's."""
    request = task.request
    asked = None if request.called_directly else (request.properties or {}).get(_wire.USE_CACHE)
    return bool(task.default_use_cache if asked is None else asked)


def text_of_call(name: str, arguments: Mapping[str, Any]) -> str:
    """The canonical text of a call: the task and all its arguments, defaults included.

    Of what is secret it has a digest that only who has the key can make.

    Args:
        name: the task's name.
        arguments: the arguments, those of listed names hidden.
    """
    text = str((name, *sorted(arguments.items(), key=itemgetter(0))))
    return f"{text} {digest_of_values(dict(arguments))}" if MASK in text else text


def returned_or(task: Any, compute: Callable[[], Any]) -> tuple[Any, str | None]:
    """What an equal call has returned, with its task's id; else what ``compute`` returns, for the other calls.

    Args:
        task: the task that runs now.
        compute: runs its function.
    """
    request = task.request
    if request.called_directly or request.id is None:
        return compute(), None
    text, useless = text_of_call(task.name, hidden(task.all_args, names_of(task))), ""
    outbox.confirmed(task.backend)  # that this body has begun is known before it has a claim
    while True:
        asking = _asking(task, text, useless)
        if (claim := asking.look()).is_mine:
            return _computed(task, compute, text), None
        if claim.is_under_way:
            if _is_above(task, claim.task_id):
                return compute(), None
            if not _has_ended(task, claim, asking):
                continue
        if (stored := _stored(task, claim.task_id)) is not None:
            return stored, claim.task_id
        useless = claim.task_id


def _asking(task: Any, text: str, useless: str) -> Asking:
    """Asks who is to compute a call."""
    runs = records_of(task.backend).runs
    return Asking(task, str(task.request.id), partial(runs.claim_call, text, current_run(), useless))


def _computed(task: Any, compute: Callable[[], Any], text: str) -> Any:
    """What the function returns. Whoever waits learns from the task's state if it fails."""
    crash_point("cache: claimed")
    with kept(task.backend):
        returned = compute()
        crash_point("cache: computed")
        patiently(records_of(task.backend).runs.remember_cached, text, current_run(), task.request.id)
    return returned


class _ChangedError(Exception):
    """Whoever computed does not any more, or tells more than before."""


def _has_ended(task: Any, claim: Claim, asking: Asking) -> bool:
    """Wait until the task that computes has ended; False if it is to be asked again who that is."""

    def look() -> None:
        if asking.look() != claim:
            raise _ChangedError

    patience = _PATIENCE if claim.standing is Standing.SETTLING else None
    looks = [WaitLoopCallBack(look, asking.pause, {})]
    try:
        source = task.AsyncResult(claim.task_id)
        wait_on_async_results(source, max_wait=patience, callbacks=looks, log_msg=False, caller_task=task)
    except _ChangedError:
        return False
    except BrokerDataLostError:
        raise
    except (ChainException, WaitOnChainTimeoutError):
        return True  # what is stored tells the rest
    return True


def _is_above(task: Any, source: str) -> bool:
    """Whether a task sent the one that runs now, directly or not, or comes before it in a chain."""
    tasks, above = records_of(task.backend).tasks, task.request.parent_id
    while above and above != source:
        above = patiently(tasks.field, above, _wire.FIELD_PARENT)
    return bool(above)


def _stored(task: Any, source: str) -> dict[str, Any] | None:
    """The named results of a task; None when there are none: it was forgotten, failed, or returned no dict."""
    result = task.AsyncResult(source)
    if refresh([result])[source] != SUCCESS or (bag := bag_of(result)) is None:
        return None
    try:
        return fetched(named_part(dict(entries_of(bag))))
    except LostValueError:
        return None


def named_part(bag: Mapping[str, Any]) -> dict[str, Any]:
    """The returns in a bag, with the entry that lists them."""
    results = get_task_results(bag)
    return {**results, _wire.RETURN_KEYS_KEY: tuple(results)} if results else {}
