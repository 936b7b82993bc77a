"""What the events of a run tell about its tasks. Pure: events in, tasks out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from firexkit import _wire
from firexkit.task import names

RUNNING: Final = "running"
BLOCKED: Final = "waiting"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
REVOKED: Final = "revoked"
RETRIED: Final = "retried"
RECEIVED: Final = "received"
ENDED: Final = frozenset({SUCCEEDED, FAILED, REVOKED})

SENT: Final = "task-sent"
"""Told only where the app has ``task_send_sent_event``: then it is known how many tasks wait in queues, too."""

STATE_AFTER: Final = {
    "task-received": RECEIVED,
    _wire.EVENT_STARTED_INFO: RUNNING,
    _wire.EVENT_BLOCKED: BLOCKED,
    _wire.EVENT_UNBLOCKED: RUNNING,
    "task-succeeded": SUCCEEDED,
    "task-failed": FAILED,
    "task-retried": RETRIED,
    "task-revoked": REVOKED,
}


@dataclass(frozen=True)
class TaskSeen:
    """One task, as far as events have told.

    Attributes:
        uuid: its id.
        name: its full name, without the mark of a replaced original.
        root: the id of the run's first task.
        parent: the task that enqueued it.
        state: received, running, waiting, succeeded, failed, revoked or retried.
        worker: the full name of its worker.
        log: its log file, on the worker's machine.
        started: Unix time of its start.
        ended: Unix time of its end.
        exception: what it failed with, as text.
        traceback: where.
        cause: the task that it failed because of.
        from_plugin: whether a plugin brought it.
        chain_depth: how many tasks stand before it in its chain; they are its parents to Celery, not to people.
        retries: how often it was tried before.
        planned: how many children it will have had once it has sent all that it sends now; None when it can't tell.
    """

    uuid: str
    name: str = ""
    root: str = ""
    parent: str | None = None
    state: str = RECEIVED
    worker: str = ""
    log: str | None = None
    started: float | None = None
    ended: float | None = None
    exception: str = ""
    traceback: str = ""
    cause: str | None = None
    from_plugin: bool = False
    chain_depth: int = 0
    retries: int = 0
    planned: int | None = 0

    @property
    def short_name(self) -> str:
        """What follows the last dot of its name."""
        return names.short(self.name) if self.name else self.uuid

    @property
    def runtime(self) -> float | None:
        """Seconds from its start to its end; None while one of them is unknown."""
        return self.ended - self.started if self.started is not None and self.ended is not None else None


class Progress:
    """The tasks of one run.

    Args:
        run_id: the id of the run, which is its first task's.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._tasks: dict[str, TaskSeen] = {}

    def tell(self, event: Mapping[str, Any]) -> TaskSeen | None:
        """Take an event in; the task if it is of this run, and its state or what it plans has changed.

        Args:
            event: as Celery's receiver has it.
        """
        if "uuid" not in event:
            return None
        before = self._tasks.get(event["uuid"], TaskSeen(event["uuid"]))
        after = _after(before, event)
        self._tasks[after.uuid] = after
        if after.root not in ("", self._run_id) and after.state in ENDED:
            del self._tasks[after.uuid]  # of another run on the same broker
        is_of_state = event["type"] in STATE_AFTER or event["type"] == SENT
        is_other = after.state != before.state or after.name != before.name
        is_news = (is_of_state and is_other) or after.planned != before.planned
        return after if is_news and self._is_ours(after) else None

    def _is_ours(self, task: TaskSeen) -> bool:
        # The event that tells the root may come second; until then, the parent vouches for a task.
        if task.root or task.uuid == self._run_id:
            return self._run_id in (task.root, task.uuid)
        parent = self._tasks.get(task.parent or "")
        return parent is not None and parent.uuid != task.uuid and self._is_ours(parent)

    def __iter__(self) -> Iterator[TaskSeen]:
        # A copy first: another thread may tell events meanwhile.
        return iter([task for task in list(self._tasks.values()) if self._is_ours(task)])

    def get(self, uuid: str | None) -> TaskSeen | None:
        """One task; None if nothing was told of it."""
        return self._tasks.get(uuid or "")

    def unfinished(self) -> list[TaskSeen]:
        """Those that have not ended, those furthest from the root first."""
        return sorted((task for task in self if task.state not in ENDED), key=self._depth, reverse=True)

    def depth(self, uuid: str) -> int:
        """How many ancestors a task has; tasks before it in its chain are none."""
        task = self.get(uuid)
        return self._depth(task) if task else 0

    def _depth(self, task: TaskSeen) -> int:
        seen: set[str] = set()
        depth = 0
        while task.parent and task.parent not in seen and (above := self._tasks.get(task.parent)):
            seen.add(task.uuid)
            depth += task.chain_depth == 0
            task = above
        return depth

    def failures(self) -> list[TaskSeen]:
        """Those that failed by themselves, not because another task did; in the order they ended."""
        failed = [task for task in self if task.state == FAILED and task.cause is None]
        return sorted(failed, key=lambda task: task.ended or 0)


def _after(task: TaskSeen, event: Mapping[str, Any]) -> TaskSeen:
    kind = event["type"]
    state = STATE_AFTER.get(kind, task.state)
    if task.state in ENDED and (kind not in ("task-received", "task-revoked") or task.state == SUCCEEDED):
        state = task.state  # told late, or by another process whose clock is behind
    if kind == SENT or _is_late_message(task, event):
        return replace(task, root=event.get("root_id") or task.root, **_on_message(task, event))
    facts: dict[str, Any] = {"state": state, "root": event.get("root_id") or task.root}
    if kind in _FACTS:
        facts |= _FACTS[kind](task, event)
    return replace(task, **facts)


def _is_late_message(task: TaskSeen, event: Mapping[str, Any]) -> bool:
    """Whether a main process tells of a message that a process of its pool has begun already."""
    return event["type"] == "task-received" and task.started is not None and event["timestamp"] < task.started


def _on_message(task: TaskSeen, event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": names.strip_orig(event.get("name") or task.name),
        "parent": event.get("parent_id") or task.parent,
    }


def _on_received(task: TaskSeen, event: Mapping[str, Any]) -> dict[str, Any]:
    return {**_on_message(task, event), "worker": event.get("hostname", ""), "ended": None}


def _on_started(task: TaskSeen, event: Mapping[str, Any]) -> dict[str, Any]:
    return {"started": event["timestamp"], "worker": event.get("hostname") or task.worker}


def _on_info(task: TaskSeen, event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": event.get(_wire.LONG_NAME) or task.name,
        "parent": event.get(_wire.TASK_PARENT_ID) or task.parent,
        "log": event.get(_wire.LOG_FILEPATH),
        "worker": event.get("hostname") or task.worker,
        "from_plugin": bool(event.get(_wire.FROM_PLUGIN)),
        "chain_depth": event.get(_wire.CHAIN_DEPTH) or 0,
        "retries": event.get(_wire.RETRIES) or 0,
    }


def _on_end(_task: TaskSeen, event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ended": event["timestamp"],
        "exception": event.get("exception") or "",
        "traceback": event.get("traceback") or "",
    }


_FACTS: Final = {
    "task-received": _on_received,
    "task-started": _on_started,
    _wire.EVENT_STARTED_INFO: _on_info,
    _wire.EVENT_PLANNED: lambda _task, event: {"planned": event.get(_wire.PLANNED_CHILDREN)},
    _wire.EVENT_EXCEPTION_CAUSE: lambda _task, event: {"cause": event.get(_wire.EXCEPTION_CAUSE_UUID)},
    "task-succeeded": _on_end,
    "task-failed": _on_end,
    "task-revoked": _on_end,
}
