"""What is known about a task beside its result: its name, its queue, whether its body ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from celery import current_app
from celery.states import FAILURE, SUCCESS

from firexkit import _wire
from firexkit._celery.patience import patience_of, patiently
from firexkit._celery.types import AsyncResult
from firexkit._records import Records, holding_of, records_of

ResultId: TypeAlias = AsyncResult | str


def get_result_id(r: Any) -> str:
    """The id of a result; any other value unchanged.

    Args:
        r: an AsyncResult, or its id.
    """
    return str(r.id) if isinstance(r, AsyncResult) else r


def id_of(result: Any) -> str:
    """The id of anything that has one, else the value itself: it is an id."""
    return str(getattr(result, "id", result))


def records_behind(result: Any) -> Records:
    """The records of the app that made the result, else of the current app (for a plain id)."""
    return records_of(_app_of(result).backend)


def _app_of(result: Any) -> Any:
    return getattr(result, "app", None) or current_app


def patience_behind(result: Any) -> float:
    """Seconds for which the app that made the result, else the current app, tries again while its broker is away."""
    return patience_of(_app_of(result).conf)


def get_task_info_from_result(result: Any, key: str | None = None) -> str:
    """One field of a task's record, or the plain value under its id.

    Args:
        result: a result or its id.
        key: the field; without it, the plain value that backends without hashes keep.

    Returns:
        The text; empty when nothing is known.
    """
    records, timeout = records_behind(result), partial(patience_behind, result)
    if key is None:
        return patiently(records.tasks.plain, id_of(result), timeout=timeout)
    return patiently(records.tasks.field, id_of(result), key, timeout=timeout)


def get_task_name_from_result(result: Any) -> str:
    """The full name of a task; empty when unknown."""
    return get_task_info_from_result(result, _wire.FIELD_NAME)


def get_task_queue_from_result(result: Any) -> str:
    """The queue of a task, or of the nearest chain member before it: a later one is sent when that one ends."""
    node = result
    while node is not None:
        if queue := get_task_info_from_result(node, _wire.FIELD_QUEUE):
            return queue
        above = getattr(node, "parent", None)
        node = above if above is not node else None
    return ""


def get_task_postrun_info(result: Any) -> str | bool:
    """Truthy once the task's body really ended, its ``finally`` blocks included."""
    records, timeout = records_behind(result), partial(patience_behind, result)
    if not records.tasks.keeps_history:
        return True
    if mark := patiently(records.tasks.field, id_of(result), _wire.FIELD_POST_RUN, timeout=timeout):
        return mark
    # Whoever stored one of these did so when the body had ended.
    state = patiently(lambda: _handle(result).state, timeout=timeout)
    return _wire.POST_RUN_MARK if state in (SUCCESS, FAILURE) else ""


def _handle(result: Any) -> Any:
    return result if hasattr(result, "state") else AsyncResult(id_of(result))


def get_result_logging_name(result: Any, name: str | None = None) -> str:
    """``NAME[ID]``, for logs.

    Args:
        result: a result or its id.
        name: the name, when the caller knows it.
    """
    known = get_task_name_from_result(result) if name is None else name
    return f"{known}[{id_of(result)}]"


def get_tasks_names_from_results(results: Iterable[Any]) -> list[str]:
    """The logging names of several results, in order."""
    return [get_result_logging_name(result) for result in results]


def mark_queues_ready(*queue_names: str) -> None:
    """Put on record that workers consume these queues."""
    records_of(current_app.backend).cluster.queues_ready(queue_names)


def was_queue_ready(queue_name: str) -> bool:
    """Whether a worker ever announced this queue."""
    return records_of(current_app.backend).cluster.is_queue_ready(queue_name)


def records_of_many(results: Iterable[Any], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Fields of the records of several tasks by id, in one round trip per backend."""
    by_app: dict[Any, list[str]] = {}
    for result in results:
        by_app.setdefault(_app_of(result), []).append(id_of(result))
    found: dict[str, dict[str, str]] = {}
    for app, ids in by_app.items():
        fields, timeout = records_of(app.backend).tasks.fields, partial(patience_of, app.conf)
        found.update(zip(ids, patiently(fields, ids, names, timeout=timeout), strict=True))
    return found


def body_runs(result: Any) -> bool:
    """Whether the body of a task started and has not ended."""
    if get_task_postrun_info(result):
        return False
    known = records_of_many([result], (_wire.FIELD_ATTEMPT, _wire.FIELD_TAG, _wire.FIELD_BEGUN))[id_of(result)]
    # A task that waits for its retry, or was sent again, has had a body, but that of its latest message has not begun.
    if _wire.FIELD_ATTEMPT not in known or known.get(_wire.FIELD_BEGUN) != known.get(_wire.FIELD_TAG):
        return False
    holding, timeout = holding_of(_app_of(result).backend), partial(patience_behind, result)
    return holding is None or patiently(holding.may_be_held, id_of(result), timeout=timeout)
