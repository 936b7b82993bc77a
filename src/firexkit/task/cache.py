"""Results of earlier calls, given to later ones with the same arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any

from celery.states import READY_STATES, SUCCESS

from firexkit import _wire
from firexkit._celery.messages import bag_of
from firexkit._records import current_run, records_of
from firexkit._serialization.large import entries_of, fetched
from firexkit.result.values import get_task_results
from firexkit.task.errors import CacheResultNotPopulatedYetInRedis, NotInCache

_PATIENCE = 3.0
"""Seconds that a result which is known to exist may take to be stored."""
_POLL = 0.1


def is_enabled(task: Any) -> bool:
    """Whether calls of this task are answered from the cache: the message's word wins over the task's."""
    request = task.request
    asked = None if request.called_directly else (request.properties or {}).get(_wire.USE_CACHE)
    return bool(task.default_use_cache if asked is None else asked)


def text_of_call(name: str, arguments: Mapping[str, Any]) -> str:
    """The canonical text of a call: the task and all its arguments, defaults included."""
    return str((name, *sorted(arguments.items())))


def returned_or(task: Any, compute: Callable[[], Any]) -> tuple[Any, str | None]:
    """What an earlier equal call returned, with its task's id; else what ``compute`` returns, for later calls.

    Args:
        task: the task that runs now.
        compute: runs its function.
    """
    request = task.request
    if request.called_directly or request.id is None:
        return compute(), None
    text, runs = text_of_call(task.name, task.all_args), records_of(task.backend).runs
    source = runs.cached_uid(text, current_run())
    try:
        return _stored(task, source), source
    except NotInCache:
        returned = compute()
        runs.remember_cached(text, current_run(), request.id)
        return returned, None


def _stored(task: Any, source: str) -> dict[str, Any]:
    """The named results of the task that answered before.

    Raises:
        NotInCache: there is none, or it was forgotten, failed, or returned no dict.
    """
    if not source:
        raise NotInCache
    result, deadline = task.AsyncResult(source), monotonic() + _PATIENCE
    while (state := result.state) not in READY_STATES:
        if not _may_come(task, source):
            raise NotInCache
        if monotonic() > deadline:
            raise CacheResultNotPopulatedYetInRedis(f"{source} has stored no result in {_PATIENCE:g} s")
        sleep(_POLL)
    bag = bag_of(result)
    if state != SUCCESS or bag is None:
        raise NotInCache
    return fetched(named_part(dict(entries_of(bag))))


def _may_come(task: Any, source: str) -> bool:
    """Whether a result that is not there will be: not that of a forgotten task, nor of one whose body has ended."""
    names = (_wire.FIELD_NAME, _wire.FIELD_POST_RUN)
    (known,) = records_of(task.backend).tasks.fields([source], names)
    return _wire.FIELD_NAME in known and _wire.FIELD_POST_RUN not in known


def named_part(bag: Mapping[str, Any]) -> dict[str, Any]:
    """The returns in a bag, with the entry that lists them."""
    results = get_task_results(bag)
    return {**results, _wire.RETURN_KEYS_KEY: tuple(results)} if results else {}
