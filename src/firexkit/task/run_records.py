"""What a run shares about its tasks: who reports, what was enqueued once, whose results are cached.

The functions that take a ``db`` take a Celery result backend. Without a run of their own they look at the current
task's, outside a task at the ``uid`` in the app's configuration, else at all runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import cached_property
from typing import Any

from celery import current_app

from firexkit import _wire
from firexkit._celery.patience import patiently
from firexkit._records import cache_key, configured_run, current_run, once_count_key, once_uid_key, records_of

REDIS_DB_KEY_FOR_RESULTS_WITH_REPORTS = _wire.REPORTS
REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_UID = _wire.ONCE_UID
REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_COUNT = _wire.ONCE_COUNT
REDIS_DB_KEY_PREFIX_FOR_CACHE_ENABLED_UID = _wire.CACHE


def _run_of(db: Any) -> str:
    if run := current_run():
        return run
    # An application's own name for its run need not be the root task's id: then all that is there is its run.
    configured = str((getattr(db, "app", None) or current_app).conf.get("uid") or "")
    return configured if configured and patiently(records_of(db).runs.is_known, configured) else ""


class Needed:
    """Whose stored results others of the run may still ask for; nothing is looked up before somebody has to know.

    Args:
        db: a Celery result backend.
        reports: tasks with reports count.
        once: tasks enqueued once count.
        cached: tasks whose results are cached count.
    """

    def __init__(self, db: Any, *, reports: bool, once: bool, cached: bool) -> None:
        self._db = db
        self._has_reports = reports
        self._owners: dict[str, Callable[[Any], set[str]]] = {
            **({_wire.FIELDS_OWNED[_wire.ONCE_UID]: get_current_enqueue_child_once_uids} if once else {}),
            **({_wire.FIELDS_OWNED[_wire.CACHE]: get_current_cache_enabled_uids} if cached else {}),
        }

    @cached_property
    def nodes(self) -> Set[str]:
        """Ids of tasks whose own results are needed."""
        return get_current_reports_uids(self._db) if self._has_reports else frozenset()

    def subtrees(self, results: Sequence[Any]) -> Set[str]:
        """Ids of tasks, all such among ``results`` included, that are needed with everything below them."""
        return self._subtrees if self._owners and self._may_include(results) else frozenset()

    def _may_include(self, results: Sequence[Any]) -> bool:
        tasks = records_of(self._db).tasks
        # What a process keeps for itself alone is at hand; on a shared backend a task's own record tells.
        return not tasks.keeps_history or any(
            patiently(tasks.fields, [result.id for result in results], (*self._owners,))
        )

    @cached_property
    def _subtrees(self) -> Set[str]:
        return {task_id for read in self._owners.values() for task_id in read(self._db)}


def add_task_result_with_report_to_db(db: Any, result_id: str) -> None:
    """Append task id to the list of tasks with reports.

    Args:
        db: a Celery result backend.
        result_id: the task's id.
    """
    patiently(records_of(db).runs.add_report, result_id, _run_of(db))


def get_current_reports_uids(db: Any) -> set[str]:
    """The ids of all tasks with reports started so far.

    Args:
        db: a Celery result backend.
    """
    return patiently(records_of(db).runs.reports, _run_of(db))


def get_current_enqueue_child_once_uids(db: Any) -> set[str]:
    """The ids of all tasks that were enqueued once.

    Args:
        db: a Celery result backend.
    """
    return patiently(records_of(db).runs.once_uids, _run_of(db))


def get_current_enqueue_child_once_uid_dbkeys(db: Any) -> list[str]:
    """The keys under which ids of tasks enqueued once are kept.

    Args:
        db: a Celery result backend.
    """
    return patiently(records_of(db).runs.once_keys, _run_of(db))


def get_current_cache_enabled_uids(db: Any) -> set[str]:
    """The ids of all tasks whose results are cached.

    Args:
        db: a Celery result backend.
    """
    return patiently(records_of(db).runs.cached_uids, _run_of(db))


def get_current_cache_enabled_uid_dbkeys(db: Any) -> list[str]:
    """The keys under which ids of cached tasks are kept.

    Args:
        db: a Celery result backend.
    """
    return patiently(records_of(db).runs.cached_keys, _run_of(db))


def get_enqueue_child_once_uid_dbkey(key: str) -> str:
    """Where the id of the task enqueued once for ``key`` is kept."""
    return once_uid_key(key, configured_run(current_app))


def get_enqueue_child_once_count_dbkey(key: str) -> str:
    """Where the callers for ``key`` are counted."""
    return once_count_key(key, configured_run(current_app))


def get_cache_enabled_uid_dbkey(text: str) -> str:
    """Where the id of the task that answered a call is kept; ``text`` is the call's canonical text."""
    return cache_key(text, configured_run(current_app))
