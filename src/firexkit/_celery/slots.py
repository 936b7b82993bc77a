"""How many tasks a pool may run while some of its tasks wait for others: decisions, and no more than that.

A *place* is a process or a thread that can run one task. *Slots* are how many tasks may run at a time; a task that
waits keeps its place and needs no slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from firexkit import _wire


@dataclass(frozen=True)
class Load:
    """What a pool is doing.

    Attributes:
        slots: How many tasks may run at a time.
        places: How many tasks it has a process or thread for.
        tasks: Tasks in it: they that run and they that wait for others.
        blocked: Tasks in it that wait for others.
        waiting: Tasks that the worker has fetched, and that are not in the pool yet.
    """

    slots: int
    places: int
    tasks: int = 0
    blocked: int = 0
    waiting: int = 0

    @property
    def idle(self) -> int:
        """Places without a task."""
        return max(0, self.places - self.tasks)


def has_slot(load: Load) -> bool:
    """Whether one more task may run."""
    return load.tasks < load.slots + load.blocked


def missing(load: Load) -> int:
    """How many places are missing for tasks that have to wait though they have a slot."""
    may_begin = min(load.waiting, load.slots + load.blocked - load.tasks)
    return max(0, may_begin - load.idle)


def surplus(load: Load, least_idle: int) -> int:
    """How many places can go, if so few at the least were idle for a while."""
    return max(0, min(least_idle, load.idle, load.places - load.slots))


def fetched_more(blocked: int, slots: int, most: int | None) -> int:
    """How many more messages to fetch for tasks that wait, in a pool of so many places at most."""
    return blocked if most is None else min(blocked, max(0, most - slots))


def cannot_grow(load: Load, most: int | None, refused: str) -> str | None:
    """What to tell the user when a task has a slot and no place, or may come to that; None while all is well.

    Args:
        load: What the pool is doing.
        most: How many places there may be, if somebody said so.
        refused: Why the last place was refused that the pool asked for, if it was.
    """
    is_stuck = most is not None and most <= load.places <= load.blocked
    if not (refused or is_stuck):
        return None
    return (
        f"The pool can't grow: {refused or allowed(most)}. Of its {load.places} processes or threads {load.blocked} "
        f"wait for other tasks, and {load.waiting} fetched tasks wait for a place. If they wait for each other, "
        f"nothing goes on until one is revoked. To make room, raise {_wire.MOST_PROCESSES_SETTING} if it is set, give "
        "the machine more of what is short, or start another worker for these queues"
    )


def allowed(most: int | None) -> str:
    """The user's limit, in words."""
    return f"{_wire.MOST_PROCESSES_SETTING} is {most}"


def do_nothing() -> None:
    """Called until somebody wants to know."""


class Places(Protocol):
    """The processes or threads of a pool whose tasks lend their slots, for the worker's main thread.

    Attributes:
        most: How many there may be, if somebody said so.
        refused: Why the last place was refused that the pool asked for; "" if it was not.
        on_change: Called in the main thread when another number of tasks waits for others, or there are other places.
        on_task: Called in the main thread when a task came or went, often.
    """

    most: int | None
    refused: str
    on_change: Callable[[], None]
    on_task: Callable[[], None]

    def load(self) -> Load:
        """What they are doing now."""

    def requests_blocked(self) -> Iterable[Any]:
        """Celery's requests of the tasks that wait for others."""

    def least_idle(self) -> int:
        """The fewest places that were idle at any moment since this was last asked."""

    def retire(self, count: int) -> None:
        """End so many idle places."""

    def give_up(self, count: int) -> list[Any]:
        """Celery's requests of so many tasks that wait for a slot, the latest first; they will not begin here."""

    def balance(self) -> None:
        """Add places that are missing, if they may be added now, and let in the tasks that wait for one."""
