"""Revocations: asked for here, remembered in the backend, known to every waiter."""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Protocol

from celery import current_app

from firexkit._celery.control import UnreadableAnswerError, ask
from firexkit._celery.patience import is_transient, patience_of, patiently
from firexkit._celery.types import AsyncResult
from firexkit._crash_points import crash_point
from firexkit._records import records_of
from firexkit._records.interface import ClusterRecords

__all__ = ["RevokedRequests", "get_chain_head", "revoke_nodes_up_to_parent", "revoke_result", "revoke_tasks"]

logger: logging.Logger = logging.getLogger(__name__)

_ANSWER_TIME = 2.0
"""Seconds a worker has to answer what it holds revoked."""


class KnowsRevoked(Protocol):
    """What a waiter needs of whatever is installed as the singleton."""

    def is_revoked(self, result_id: Any) -> bool:
        """Whether the task was revoked."""


def _utc_now() -> datetime.datetime:
    # Naive UTC, as the documented attribute ``last_updated`` always was.
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


class RevokedRequests:
    """The revoked tasks, as far as this process knows.

    A task that was revoked before a worker took it may stay PENDING until a worker dequeues it, so its state alone
    can't tell. Our own revocations are read from the backend; those made by others are asked from the workers.

    Args:
        timer_expiry_secs: seconds after which the list is asked for again.
        skip_first_cycle: assume that nothing was revoked in the first period.
    """

    _instance: ClassVar[KnowsRevoked | None] = None

    def __init__(self, timer_expiry_secs: float = 60, skip_first_cycle: bool = True) -> None:
        self.timer_expiry: datetime.timedelta = datetime.timedelta(seconds=timer_expiry_secs)
        self.revoked_list: list[str] = []
        self.last_updated: datetime.datetime | None = _utc_now() if skip_first_cycle else None
        self._updating = threading.Lock()

    @classmethod
    def instance(cls, existing_instance: KnowsRevoked | None = None) -> KnowsRevoked:
        """The one of this process, made at first use.

        Args:
            existing_instance: an object with ``is_revoked`` to use from now on.
        """
        if existing_instance is not None:
            cls._instance = existing_instance
        elif cls._instance is None:
            cls._instance = cls()
        return cls._instance

    @classmethod
    def get_revoked_list_from_app(cls) -> list[str]:
        """Ids that workers hold revoked: asked from the primary worker ``conf.mc`` names, else from all."""
        primary = current_app.conf.get("mc")
        only = {"destination": [f"mc@{primary}"]} if primary else {}
        try:
            answers = ask("revoked", celery_app=current_app, timeout=_ANSWER_TIME, inspect_retry_timeout=0, **only)
        except UnreadableAnswerError:
            return []
        return [task_id for ids in (answers or {}).values() for task_id in ids]

    def update(self, verbose: bool = False) -> None:  # noqa: ARG002 - documented; the questions are always logged
        """Read the list anew, from the backend and, once per period and cluster, from the workers."""
        self._update_from(records_of(current_app.backend).cluster)

    def _update_from(self, records: ClusterRecords) -> None:
        if records.claim_question(self.timer_expiry.total_seconds()):
            records.revoked(self.get_revoked_list_from_app())
        self.revoked_list = records.revoked_ids()
        self.last_updated = _utc_now()

    def is_revoked(self, result_id: Any, timer_expiry_secs: float | None = None) -> bool:
        """Whether a task was revoked.

        Args:
            result_id: an id or an AsyncResult.
            timer_expiry_secs: seconds after which to ask again; the instance's own when not given.
        """
        if result_id in self.revoked_list:
            return True
        if not self._is_due(timer_expiry_secs):
            return False
        self.update()
        return result_id in self.revoked_list

    def _is_due(self, timer_expiry_secs: float | None = None) -> bool:
        expiry = self.timer_expiry if timer_expiry_secs is None else datetime.timedelta(seconds=timer_expiry_secs)
        return self.last_updated is None or _utc_now() - self.last_updated > expiry

    def update_elsewhere_if_due(self) -> None:
        """Read the list anew in a thread, when it is time: a question to the workers takes seconds."""
        if self._is_due() and self._updating.acquire(blocking=False):
            # An app makes a backend, with connections, for each thread that asks for it; this one needs none.
            known = current_app._get_current_object(), records_of(current_app.backend).cluster
            threading.Thread(target=self._update_for, args=known, name="firexkit-revocations", daemon=True).start()

    def _update_for(self, app: Any, records: ClusterRecords) -> None:
        app.set_current()
        try:
            self._update_from(records)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.debug("Nobody could be asked for revocations: %s", error)
        finally:
            self._updating.release()


def is_known_revoked(result_id: str) -> bool:
    """Whether a task was revoked, as far as it is known now; a list that is old is read anew meanwhile.

    Args:
        result_id: the task's id.
    """
    known = RevokedRequests.instance()
    if not isinstance(known, RevokedRequests):
        return known.is_revoked(result_id)
    known.update_elsewhere_if_due()
    return result_id in known.revoked_list


def revoke_result(result: AsyncResult, *, terminate: bool = True) -> None:
    """Revoke one task, and put that on record so that every waiter learns it.

    Args:
        result: the task's result.
        terminate: end it when it runs already.
    """
    timeout = partial(patience_of, result.app.conf)
    put_on_record = partial(records_of(result.backend).cluster.revoked, [result.id], terminate=terminate)
    crash_point("revoke: before it is recorded")
    patiently(put_on_record, timeout=timeout)
    crash_point("revoke: after it was recorded")
    patiently(partial(result.revoke, terminate=terminate), timeout=timeout)


def get_chain_head(parent: AsyncResult | None, child: AsyncResult | None) -> AsyncResult | None:
    """The first member of ``child``'s chain below ``parent``; ``child`` itself when either is missing."""
    head = child
    while parent is not None and head is not None and head != parent:
        above = head.parent
        if above is None or above in (parent, head):
            break
        head = above
    return head


def revoke_nodes_up_to_parent(starting_node: AsyncResult, parent: AsyncResult | None) -> None:
    """Revoke a chain member and those before it, up to but not including ``parent`` (or to the top)."""
    node: AsyncResult | None = starting_node
    while node is not None and node != parent:
        revoke_result(node)
        node = node.parent if node.parent != node else None


def revoke_tasks(app: Any, task_ids: Sequence[str]) -> None:
    """Revoke several tasks in one go, ending those that run, and put that on record so that every waiter learns it.

    Args:
        app: the app whose workers have them.
        task_ids: the tasks.
    """
    if task_ids:
        timeout = partial(patience_of, app.conf)
        put_on_record = partial(records_of(app.backend).cluster.revoked, list(task_ids), terminate=True)
        patiently(put_on_record, timeout=timeout)
        patiently(partial(app.control.revoke, list(task_ids), terminate=True), timeout=timeout)
