"""Names of the keys, and the run that scopes them."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from celery import current_task

from firexkit import _wire

_LEAST: Final = 7 * 24 * 60 * 60
"""Seconds that a task has at least to wait, and to run: its record has to be there, whenever results expire."""


def lifetime(expires: float | None) -> int:
    """Seconds that a record is kept from when its task was sent, and again from when it begins; 0 for ever.

    Args:
        expires: seconds that results are kept; none, or 0, for ever.
    """
    return max(int(expires), _LEAST) if expires else 0


def current_run() -> str:
    """The run that scopes keys: the current task's root, else the run in the app's configuration, else none."""
    request = getattr(current_task, "request", None)
    return str(request.root_id or request.id or "") if request is not None else ""


def configured_run(app: Any) -> str:
    """The run of the current task, else the ``uid`` in the app's configuration, else none."""
    return current_run() or str(app.conf.get("uid") or "")


def scoped(prefix: str, run: str, name: str) -> str:
    """A key of one kind in one run."""
    return f"{prefix}{run}:{name}" if run else f"{prefix}{name}"


def once_uid_key(key: str, run: str = "") -> str:
    """Where the id of a task enqueued once is kept."""
    return scoped(_wire.ONCE_UID, run, key)


def once_count_key(key: str, run: str = "") -> str:
    """Where callers for a task enqueued once are counted."""
    return scoped(_wire.ONCE_COUNT, run, key)


def cache_key(text: str, run: str = "") -> str:
    """Where the id of a cached task is kept: a digest of the canonical text of the call."""
    return scoped(_wire.CACHE, run, hashlib.sha256(text.encode()).hexdigest())


def cache_claim_key(text: str, run: str = "") -> str:
    """Where is kept which task computes a call."""
    return f"{cache_key(text, run)}{_wire.CLAIM_SUFFIX}"


def start_time_key(task_id: str) -> str:
    """Where the first start of a task is kept."""
    return f"{task_id}{_wire.STARTTIME_SUFFIX}"


def index_key(prefix: str, run: str) -> str:
    """The set that lists the keys of one kind in one run."""
    return f"{prefix}{run}{_wire.INDEX_SUFFIX}"


def reports_key(run: str) -> str:
    """The list of started tasks with reports."""
    return f"{_wire.REPORTS}:{run}" if run else _wire.REPORTS


def large_values_key(task_id: str) -> str:
    """The hash of the large values that belong to a task."""
    return f"{_wire.LARGE_VALUES}{task_id}"
