"""Where an argument of a task came from, followed back through the run to whoever gave it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from firexkit.journal.model import Origin, OriginKind
from firexkit.journal.tree import Task

_FROM_ABOVE: Final = frozenset({OriginKind.PARENT, OriginKind.CALL})
"""What the task that enqueued another gave it."""

Finder: TypeAlias = Callable[[str], Task | None]
"""Gives a task by its id, None when nothing was told of it; `Tree.get` is one."""


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an argument came from.

    Attributes:
        kind: in which way.
        task: the id of the task that gave it; empty when none did, or nobody told which.
        task_name: its full name.
        name: the name that the value had there.
        converter: the converter that made it.
    """

    kind: OriginKind
    task: str = ""
    task_name: str = ""
    name: str = ""
    converter: str = ""


def source_of(find: Finder, task: Task, name: str) -> Source | None:
    """Where an argument came from; None for one that the task has not, or of which nothing was noted.

    Args:
        find: gives other tasks of the run.
        task: the task.
        name: the argument.
    """
    origin = next((entry.origin for entry in task.arguments if entry.name == name), None)
    if origin is None:
        return None
    there = origin.name or name
    giver = _giver(find, task, origin, there)
    return Source(
        kind=origin.kind,
        task=giver.id if giver is not None else origin.task,
        task_name=giver.name if giver is not None else "",
        name=there,
        converter=origin.converter,
    )


def _giver(find: Finder, task: Task, origin: Origin, name: str) -> Task | None:
    if origin.kind is OriginKind.RESULT:
        # The origin names the member before; that one may only have passed the value on.
        return next((member for member in _members_before(find, task, origin.task) if _returned(member, name)), None)
    above = task.parent if origin.kind in _FROM_ABOVE else ""
    return find(origin.task or above)


def _members_before(find: Finder, task: Task, first: str) -> Iterator[Task]:
    """The members before a task in its chain, the nearest first."""
    seen = {task.id}
    member_id = first or _before(task)
    while member_id and member_id not in seen:
        seen.add(member_id)
        member = find(member_id)
        if member is None:
            return
        yield member
        member_id = _before(member)


def _before(task: Task) -> str:
    return task.queued.after if task.queued is not None else ""


def _returned(task: Task, name: str) -> bool:
    return any(entry.name == name for entry in task.results)
