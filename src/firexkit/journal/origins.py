"""Where an argument of a task came from, followed back through the run to whoever gave it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from firexkit.journal.model import Entry, Origin, OriginKind
from firexkit.journal.tree import Task
from firexkit.uid import is_run_id

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
    origin = _origin_of(task, name)
    if origin is None:
        return None
    there = origin.name or name
    if origin.kind is not OriginKind.RESULT:
        above = find(origin.task or (task.parent if origin.kind in _FROM_ABOVE else ""))
        if origin.kind is OriginKind.PARENT and above is not None and not _has(find, above, _entry(task, name)):
            origin = Origin(kind=OriginKind.INJECTED)
        return _source(origin, there, above)
    head = task
    for member in _members_before(find, task, origin.task):
        if any(entry.name == there for entry in member.results):
            return _source(origin, there, member)
        # A value that came with the chain is passed on by those that do not return it.
        if (earlier := _origin_of(member, there)) is not None and earlier.kind is not OriginKind.RESULT:
            return source_of(find, member, there)
        head = member
    return _source(_given_with(head, origin), there, find(head.parent))


def _given_with(head: Task, origin: Origin) -> Origin:
    """The origin of a value that came with a chain, and of which its first member told nothing."""
    if head.after:
        return origin  # not told who is the first
    if is_run_id(head.id):
        return Origin(kind=OriginKind.RUN)
    return Origin(kind=OriginKind.CALL if head.parent else origin.kind)


def _entry(task: Task, name: str) -> Entry | None:
    return next((entry for entry in (*task.arguments, *task.passing) if entry.name == name), None)


def _origin_of(task: Task, name: str) -> Origin | None:
    entry = _entry(task, name)
    return entry.origin if entry is not None else None


def _has(find: Finder, task: Task, wanted: Entry | None) -> bool:
    """Whether a value was in a task's bag: it took or returned it, or one before it in its chain did."""
    return wanted is not None and any(
        entry.name == wanted.name and entry.value.digest == wanted.value.digest
        for one in (task, *_members_before(find, task, ""))
        for entry in (*one.arguments, *one.passing, *one.results)
    )


def _source(origin: Origin, name: str, giver: Task | None) -> Source:
    known = {"task": giver.id, "task_name": giver.name} if giver is not None else {}
    return Source(kind=origin.kind, name=name, converter=origin.converter, **known)


def _members_before(find: Finder, task: Task, nearest: str) -> Iterator[Task]:
    """The members before a task in its chain, the nearest first."""
    seen = {task.id}
    member = find(nearest or task.after)
    while member is not None and member.id not in seen:
        yield member
        seen.add(member.id)
        member = find(member.after)
