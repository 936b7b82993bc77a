"""Whether anybody still holds a task that has not ended. When in doubt, somebody does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celery.states import PENDING, RECEIVED, RETRY, STARTED

from firexkit._celery.control import UnreadableAnswerError, ask
from firexkit.result.lookups import get_task_queue_from_result, records_behind
from firexkit.result.tree import state_of

_ANSWER_TIME = 5.0
"""Seconds for named workers to answer; the question ends as soon as they did."""
_EVERYBODY_TIME = 1.0
"""Seconds for all workers to answer; such a question always lasts that long."""


def zombies_among(results: Iterable[Any], *, patience: float | None = None) -> list[Any]:
    """Results of tasks that no living worker holds, nor any worker's queue.

    Args:
        results: of tasks that have not ended.
        patience: seconds the caller can spare for questions; None for as long as they take.

    Returns:
        Those that were found dead twice in a row.
    """
    try:
        suspects = _dead(list(results), patience)
        return _dead(suspects, patience) if suspects else []
    except UnreadableAnswerError:
        return []


def _dead(results: list[Any], patience: float | None) -> list[Any]:
    by_state = [(result, state_of(result)) for result in results]
    started = [result for result, state in by_state if state in (STARTED, RECEIVED)]
    queued = [result for result, state in by_state if state in (PENDING, RETRY)]
    return [*_held_by_nobody(started, patience), *_queued_for_nobody(queued, patience)]


def _held_by_nobody(results: list[Any], patience: float | None) -> list[Any]:
    workers = {result: worker for result in results if (worker := _worker_of(result))}
    if not workers:
        return []
    held = ask(
        "query_task",
        celery_app=next(iter(workers)).app,
        method_args=[[result.id for result in workers]],
        destination=sorted(set(workers.values())),
        timeout=_bounded(_ANSWER_TIME, patience),
        inspect_retry_timeout=0,
    )
    return [result for result, worker in workers.items() if result.id not in ((held or {}).get(worker) or {})]


def _worker_of(result: Any) -> str | None:
    """The worker that announced the start of a task, if Celery tracks starts."""
    info = result.result
    return info.get("hostname") if isinstance(info, Mapping) and getattr(result, "app", None) else None


def _queued_for_nobody(results: list[Any], patience: float | None) -> list[Any]:
    queues = {result: queue for result in results if (queue := get_task_queue_from_result(result))}
    announced = {result: queue for result, queue in queues.items() if _is_known_queue(result, queue)}
    if not announced:
        return []
    answers = ask(
        "active_queues",
        celery_app=next(iter(announced)).app,
        timeout=_bounded(_EVERYBODY_TIME, patience),
        inspect_retry_timeout=0,
    )
    consumed = {queue["name"] for consumers in (answers or {}).values() for queue in consumers}
    return [result for result, queue in announced.items() if queue not in consumed]


def _is_known_queue(result: Any, queue: str) -> bool:
    return records_behind(result).cluster.is_queue_ready(queue)


def _bounded(seconds: float, patience: float | None) -> float:
    return seconds if patience is None else max(0.1, min(seconds, patience))
