"""Runs and tasks as JSON: what the screens tell, for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from firexkit.journal.model import Entry
from firexkit.journal.origins import Finder, source_of
from firexkit.journal.tree import Body, Task, Tree
from firexkit.runtime.page_text import text_of
from firexkit.runtime.remembered import Remembered


def run_facts(run: Remembered, now: float) -> dict[str, Any]:
    """A run.

    Args:
        run: the run.
        now: Unix time.
    """
    record = run.record
    return {
        "firex_id": run.directory.run_id,
        "state": run.state,
        "chain": record.chain if record is not None else [],
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seconds": run.took(now),
        "returncode": record.returncode if record is not None else None,
        "submission_host": record.submission_host if record is not None else "",
        "submission_cmd": record.submission_cmd if record is not None else [],
        "logs_path": str(run.directory.path),
    }


def tree_facts(tree: Tree) -> Iterator[dict[str, Any]]:
    """Each task of a run, parents before children."""
    for task in tree:
        yield {**_task(task), "parent": tree.parent_of(task)}


def task_facts(task: Task, children: Sequence[Task], find: Finder, place: str) -> dict[str, Any]:
    """Everything that is known of one task.

    Args:
        task: the task.
        children: what it enqueued.
        find: gives other tasks of the run.
        place: where its log is.
    """
    began = task.began
    return {
        **_task(task),
        "arguments": [_argument(task, entry, find) for entry in task.arguments],
        "results": [_result(entry) for entry in task.results],
        "attempts": [_attempt(body) for body in task.bodies],
        "shown": {shown.key: text_of(shown.html) for shown in task.shown},
        "children": [_task(child) for child in children],
        "worker": began.worker if began is not None else "",
        "code": began.code if began is not None else "",
        "plugin": began.plugin if began is not None else "",
        "log": place,
    }


def _task(task: Task) -> dict[str, Any]:
    failure = task.failure if task.state == "failed" else None
    return {
        "id": task.id,
        "name": task.name,
        "state": str(task.state),
        "parent": task.parent,
        "after": task.after,
        "queued_at": task.queued.at if task.queued is not None else None,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "attempt": len(task.bodies),
        "waits_for": [*task.bodies[-1].waits_for] if task.bodies else [],
        "joined": [*task.joined],
        "revoked": task.why_revoked,
        "failure": None if failure is None else _failure(failure),
    }


def _failure(failure: Any) -> dict[str, Any]:
    return {name: getattr(failure, name) for name in ("error", "message", "traceback", "cause")}


def _argument(task: Task, entry: Entry, find: Finder) -> dict[str, Any]:
    source = source_of(find, task, entry.name)
    return {**_value(entry), "origin": None if source is None else msgspec.structs.asdict(source)}


def _value(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, **msgspec.structs.asdict(entry.value)}


def _result(entry: Entry) -> dict[str, Any]:
    return {**_value(entry), "origin": None if entry.origin is None else msgspec.structs.asdict(entry.origin)}


def _attempt(body: Body) -> dict[str, Any]:
    return {
        "number": body.number,
        "started_at": body.started_at,
        "ended_at": body.ended_at,
        "end": str(type(body.end).__struct_config__.tag) if body.end is not None else None,
        "waits": body.waits,
    }
