"""What the facts of a run come to: a tree of tasks. Pure: facts in, tasks out.

Facts come in any order and twice, told by machines whose clocks differ. So nothing is ever applied to a state: the
facts of each task are kept as a set, and everything that can be asked of a task follows from its set. Two trees with
the same facts are equal, whatever the way they came; clocks only order what happened within one body.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import ClassVar, Final, TypeVar

from firexkit.journal.model import (
    Began,
    Blocked,
    Entry,
    Fact,
    Failed,
    Joined,
    Lost,
    Queued,
    Retried,
    Returned,
    Revoked,
    Shown,
    Unblocked,
    Unknown,
    encoded,
)

Kind = TypeVar("Kind", bound=Fact)


class State(StrEnum):
    """Of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """Its body waits for other tasks."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"


ENDED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.REVOKED})
_ENDS: Final = (Returned, Failed, Retried, Lost)
"""What ends a body; the first of them wins if several tell so, as the store refuses a second end."""


class Body:
    """One attempt of a task.

    Args:
        number: which one, from 1.
        facts: all of it.

    Attributes:
        number: which one, from 1.
    """

    def __init__(self, number: int, facts: Iterable[Fact]) -> None:
        self.number: int = number
        self._facts = _in_order(facts)

    @cached_property
    def began(self) -> Began | None:
        """Its beginning, if that was told."""
        return _first(self._facts, Began)

    @cached_property
    def end(self) -> Returned | Failed | Retried | Lost | None:
        """How it ended; None while it runs, and for ever if nobody could tell."""
        ends = [fact for fact in self._facts if isinstance(fact, _ENDS)]
        # A process that was lost tells nothing itself: what a body says of its own end counts more.
        return min(ends, key=lambda fact: (isinstance(fact, Lost), fact.at), default=None)

    @cached_property
    def started_at(self) -> float | None:
        """Unix time of its beginning, by the clock of its worker."""
        return self.began.at if self.began is not None else None

    @cached_property
    def ended_at(self) -> float | None:
        """Unix time of its end."""
        return self.end.at if self.end is not None else None

    @cached_property
    def waits(self) -> tuple[tuple[float, float | None], ...]:
        """When it waited for other tasks: from and until, None for a wait that goes on."""
        spans: list[tuple[float, float | None]] = []
        since: float | None = None
        for fact in self._facts:
            if isinstance(fact, Blocked):
                since = fact.at if since is None else since
            elif isinstance(fact, Unblocked) and since is not None:
                spans.append((since, fact.at))
                since = None
        if since is not None:
            spans.append((since, self.ended_at))
        return tuple(spans)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for other tasks now."""
        return self.end is None and bool(self.waits) and self.waits[-1][1] is None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The tasks that it waits for now, as far as it said."""
        blocked = [fact for fact in self._facts if isinstance(fact, Blocked)]
        return blocked[-1].on if blocked and self.is_waiting else ()


class Task:
    """One task of a run, as far as facts have told.

    Args:
        task_id: its id.

    Attributes:
        id: its id.
    """

    def __init__(self, task_id: str) -> None:
        self.id: str = task_id
        self._facts: set[Fact] = set()

    def add(self, fact: Fact) -> bool:
        """Take one more fact; whether it was new."""
        if fact in self._facts:
            return False
        self._facts.add(fact)
        for name in [name for name in self.__dict__ if name in _DERIVED]:
            del self.__dict__[name]
        return True

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All of them, in the order of their times."""
        return _in_order(self._facts)

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """Its attempts."""
        by_attempt: dict[int, list[Fact]] = defaultdict(list)
        for fact in self._facts:
            if fact.attempt:
                by_attempt[fact.attempt].append(fact)
        return tuple(Body(number, by_attempt[number]) for number in sorted(by_attempt))

    @cached_property
    def queued(self) -> Queued | None:
        """When it was sent first, if that was told."""
        return _first(self.facts, Queued)

    @cached_property
    def state(self) -> State:
        """What has become of it."""
        ends = [body.end for body in self.bodies]
        if any(isinstance(end, Returned) for end in ends):
            return State.SUCCEEDED
        if any(isinstance(fact, Revoked) for fact in self._facts):
            return State.REVOKED
        last = ends[-1] if ends else None
        if isinstance(last, Failed) or (last is None and self._failed_without_a_word):
            return State.FAILED
        if not ends or isinstance(last, (Retried, Lost)):
            return State.QUEUED
        return State.WAITING if self.bodies[-1].is_waiting else State.RUNNING

    @property
    def _failed_without_a_word(self) -> bool:
        """Whether others have said that it failed: it follows a failed member of a chain, or its process was lost."""
        return self.failure is not None and self.failure.attempt == 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can become of it."""
        return self.state in ENDED

    @cached_property
    def name(self) -> str:
        """Its full name: that of the task that really ran, once one does."""
        if self.began is not None:
            return self.began.name
        return self.queued.name if self.queued is not None else ""

    @cached_property
    def parent(self) -> str:
        """The task that enqueued it; empty for the first of a chain, what follows there, and when nobody told."""
        return next(self._told_of("parent"), "")

    @cached_property
    def after(self) -> str:
        """The member before it in its chain."""
        return next(self._told_of("after"), "")

    def _told_of(self, name: str) -> Iterator[str]:
        told = (getattr(fact, name) for fact in self.facts if isinstance(fact, (Queued, Began)))
        return (task_id for task_id in told if task_id and task_id != self.id)

    @cached_property
    def failure(self) -> Failed | None:
        """What it failed with last."""
        failures = [fact for fact in self.facts if isinstance(fact, Failed)]
        return max(failures, key=lambda fact: (fact.attempt, fact.at), default=None)

    @cached_property
    def why_revoked(self) -> str:
        """The latest reason that somebody gave for its revocation; empty when nobody did."""
        return next((fact.reason for fact in reversed(self.facts) if isinstance(fact, Revoked) and fact.reason), "")

    @cached_property
    def arguments(self) -> tuple[Entry, ...]:
        """What its latest body takes."""
        return self.began.arguments if self.began is not None else ()

    @cached_property
    def passing(self) -> tuple[Entry, ...]:
        """What came with its latest body for others, and was in no bag before."""
        return self.began.passing if self.began is not None else ()

    @cached_property
    def began(self) -> Began | None:
        """How its latest body began, if that was told."""
        return next((body.began for body in reversed(self.bodies) if body.began is not None), None)

    @cached_property
    def results(self) -> tuple[Entry, ...]:
        """What it returned."""
        returned = _first(self.facts, Returned)
        return returned.results if returned is not None else ()

    @cached_property
    def shown(self) -> tuple[Shown, ...]:
        """What it shows of itself: the latest of each key, in their order."""
        latest = {fact.key: fact for fact in self.facts if isinstance(fact, Shown)}
        return tuple(sorted(latest.values(), key=lambda fact: (fact.order, fact.key)))

    @cached_property
    def joined(self) -> tuple[str, ...]:
        """The tasks whose results it took although others had sent them."""
        joined = [fact.children for fact in self.facts if isinstance(fact, Joined)]
        return tuple(dict.fromkeys(chain.from_iterable(joined)))

    @cached_property
    def started_at(self) -> float | None:
        """Unix time at which its first body began."""
        return next((body.started_at for body in self.bodies if body.started_at is not None), None)

    @cached_property
    def ended_at(self) -> float | None:
        """Unix time of its end, once it has ended."""
        if not self.has_ended:
            return None
        known = [body.ended_at for body in self.bodies if body.ended_at is not None]
        return known[-1] if known else max((fact.at for fact in self._facts), default=None)


_DERIVED: Final = frozenset(name for name, value in vars(Task).items() if isinstance(value, cached_property))


class Tree:
    """The tasks of a run."""

    def __init__(self, facts: Iterable[Fact | Unknown] = ()) -> None:
        self._tasks: dict[str, Task] = {}
        self.unknown: set[Unknown] = set()
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact | Unknown) -> None:
        """Take one more fact."""
        if isinstance(fact, Unknown):
            self.unknown.add(fact)
            return
        task = self._tasks.get(fact.task)
        if task is None:
            task = self._tasks[fact.task] = Task(fact.task)
        if task.add(fact):
            for name in ("_children", "_parents"):
                self.__dict__.pop(name, None)

    def __iter__(self) -> Iterator[Task]:
        """Every task, parents before children."""
        for root in self.roots:
            yield from self._below(root)

    def __len__(self) -> int:
        return len(self._tasks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tree):
            return NotImplemented
        return self.unknown == other.unknown and self._sets() == other._sets()

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it changes

    def _sets(self) -> dict[str, set[Fact]]:
        return {task_id: set(task.facts) for task_id, task in self._tasks.items()}

    def get(self, task_id: str) -> Task | None:
        """A task by its id."""
        return self._tasks.get(task_id)

    @property
    def roots(self) -> tuple[Task, ...]:
        """The tasks without a parent that is known here: the run's first chain, in order."""
        return self._children[""]

    def children_of(self, task: Task) -> tuple[Task, ...]:
        """What a task enqueued, in the order in which it was sent."""
        return self._children.get(task.id, ())

    def parent_of(self, task: Task) -> str:
        """The id of the task that enqueued another, or the chain that it is in; empty when none is known here."""
        return self._parents.get(task.id, "")

    @cached_property
    def _parents(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for task in self._tasks.values():
            line: dict[str, None] = {}
            while task.id not in line and task.id not in found and not task.parent and task.after in self._tasks:
                line[task.id] = None
                task = self._tasks[task.after]  # noqa: PLW2901 - back along its chain
            above = found.get(task.id, task.parent if task.parent in self._tasks else "")
            found |= dict.fromkeys([*line, task.id], above)
        return found

    def root_cause(self, task: Task) -> Task:
        """The task that failed by itself when another failed because of it."""
        seen = {task.id}
        while (failure := task.failure) is not None and failure.cause and failure.cause not in seen:
            cause = self._tasks.get(failure.cause)
            if cause is None:
                break
            seen.add(cause.id)
            task = cause
        return task

    @cached_property
    def _children(self) -> dict[str, tuple[Task, ...]]:
        found: dict[str, list[Task]] = {"": []}
        for task in self._tasks.values():
            found.setdefault(self.parent_of(task), []).append(task)
        return {parent: tuple(sorted(tasks, key=_place)) for parent, tasks in found.items()}

    def _below(self, task: Task) -> Iterator[Task]:
        waiting = [task]
        while waiting:
            one = waiting.pop()
            yield one
            waiting.extend(reversed(self.children_of(one)))


def _place(task: Task) -> tuple[float, str]:
    first = task.queued.at if task.queued is not None else task.started_at
    return (first if first is not None else 0.0, task.id)


def _in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple(sorted(facts, key=lambda fact: (fact.at, encoded(fact))))


def _first(facts: Iterable[Fact], kind: type[Kind]) -> Kind | None:
    return next((fact for fact in facts if isinstance(fact, kind)), None)
