"""Which of the awaited results to look at now: those that something was heard of, now and then all of them.

Where the backend tells (Redis), a look at everything is only a safeguard, first after one second, later every thirty.
Other backends are asked again and again, as often as the caller says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from time import monotonic, sleep
from typing import Any, Final

from firexkit._celery import outbox
from firexkit._celery.states import is_remembered, remember
from firexkit._celery.storing import stores_in_order
from firexkit._celery.wakeup import Meta, Wakeup, wakeup_of
from firexkit.result.lookups import id_of
from firexkit.result.tree import tasks_of

_GROWTH: Final = 1.01
_LONGEST_PAUSE: Final = 300
"""How many times the first pause a pause may become."""
_FIRST_SAFEGUARD: Final = 1.0
_SAFEGUARD_GROWTH: Final = 1.5
_LONGEST_SAFEGUARD: Final = 30.0


def growing_pauses(first: float, growth: float = _GROWTH, longest: float | None = None) -> Iterator[float]:
    """Pauses in seconds, each longer than the one before by a factor, up to the longest (300 times the first)."""
    pause = first
    while True:
        yield pause
        pause = min(pause * growth, first * _LONGEST_PAUSE if longest is None else longest)


class Hearing:
    """What is heard of awaited results, each known by an index. Used in one thread, and stopped in the end.

    Args:
        interval: seconds between two looks where nothing can be heard, at first.
    """

    def __init__(self, interval: float) -> None:
        self._wakeup: Wakeup | None = None
        self._results: dict[int, Any] = {}
        self._members: dict[int, list[Any]] = {}
        self._indices: dict[str, set[int]] = {}
        self._silent: set[int] = set()
        self._due: set[int] = set()
        self._held: set[int] = set()
        self._new_channels: list[str] = []
        self._followed: list[str] = []
        self._asking = growing_pauses(interval)
        self._safeguards = growing_pauses(_FIRST_SAFEGUARD, _SAFEGUARD_GROWTH, _LONGEST_SAFEGUARD)
        self._next_ask = 0.0
        self._is_safeguard = False
        self._next_safeguard = monotonic() + next(self._safeguards)

    # ── what is awaited ───────────────────────────────────────────────────────────────────

    def add(self, index: int, result: Any, *, must_look: bool = False) -> None:
        """Hear of this result, too; a first look at it is due unless its end is going to be told."""
        self._results[index] = result
        members = self._members[index] = [*tasks_of(result)]
        for member in members:
            self._indices.setdefault(id_of(member), set()).add(index)
        wakeup = self._wakeup_for(result)
        if wakeup is None:
            self._silent.add(index)
        elif not wakeup.tells_of(result):
            wakeup.has_waited = True
            self._new_channels.extend(channel for member in members for channel in _channels(member))
        elif wakeup.has_missed_nothing_of(result) and not must_look and not is_remembered(result):
            for member in members:
                if early := wakeup.heard_of(id_of(member)):
                    self.hear(early)
            return
        self._is_safeguard |= must_look  # there will be no other look
        self._due.add(index)

    def _wakeup_for(self, result: Any) -> Wakeup | None:
        """What tells of a result; None also for those of a second backend."""
        wakeup = _wakeup_of(result)
        if self._wakeup is None and wakeup is not None:
            self._wakeup = wakeup
            wakeup.listeners.add(self)
        return wakeup if wakeup is self._wakeup else None

    def remove(self, index: int) -> None:
        """Hear no more of this one."""
        del self._results[index]
        for member in self._members.pop(index):
            self._indices[id_of(member)].discard(index)
        for indices in (self._silent, self._due, self._held):
            indices.discard(index)

    def stop(self) -> None:
        """Hear of nothing more."""
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            wakeup.listeners.discard(self)
            wakeup.leave(self._followed)

    # ── what is heard ─────────────────────────────────────────────────────────────────────

    def hear(self, meta: Meta) -> bool:
        """Take what was published about a task; whether that was meant for one of the results awaited."""
        task_id = meta["task_id"]
        indices = self._indices.get(task_id)
        if not indices:
            return False
        self._due.update(indices)
        if "status" in meta:
            remember((one for index in indices for one in self._members[index] if id_of(one) == task_id), meta)
        # Whoever waits for it once more must look: it is not told again.
        taken = [self._wakeup.take(self._results[index]) for index in indices] if self._wakeup is not None else []
        return any(taken)

    def miss(self) -> None:
        """Something may not have been heard: everything is to be looked at."""
        self._due.update(self._members)

    def stores_in_order(self, result: Any) -> bool:
        """Whether a chain's earlier members are stored when its end is: each message leaves with a stored state."""
        return self._wakeup is not None and self._wakeup.tells_of(result) and stores_in_order(result.backend)

    @property
    def looks_far(self) -> bool:
        """Whether it is time for what takes longer than a look at the backend."""
        return self._wakeup is None or self._is_safeguard

    # ── what to look at ───────────────────────────────────────────────────────────────────

    def due(self) -> set[int]:
        """The results to look at now; what happens to them from now on will be heard."""
        if self._new_channels and self._wakeup is not None:
            new, self._new_channels = self._new_channels, []
            self._followed.extend(new)
            self._wakeup.follow(new)
        due, self._due = self._due, set()
        return due

    def hold(self, seen: Collection[int], unfinished: Collection[int]) -> None:
        """Note what has been looked at in vain: what has ended but is not stored yet must be looked at soon again."""
        self._held.difference_update(seen)
        self._held.update(unfinished)

    def has_news(self) -> bool:
        """Whether there is something to look at now."""
        if not self._due and self._wakeup is not None:
            self._wakeup.wait(0)
        return bool(self._due)

    def confirm(self) -> None:
        """Wait until what this thread has sent has arrived: what is awaited may be among that."""
        for members in self._members.values():
            backend = getattr(members[0], "backend", None)
            if backend is not None:
                outbox.confirmed(backend)
                return

    def wait(self, longest: float) -> None:
        """Return when something was heard, when it is time to look, or after some seconds."""
        if self._due:
            return  # a callback that waited, too, has heard something
        now, asked = monotonic(), self._silent | self._held
        self._is_safeguard = False
        if self._next_ask <= now:
            self._next_ask = now + next(self._asking)
        until = min(now + longest, self._next_safeguard, *([self._next_ask] if asked else []))
        if self._wakeup is None:
            sleep(max(0.0, until - now))
        else:
            self._wakeup.wait(max(0.0, until - now))
        self._due.update(asked)
        if monotonic() >= self._next_safeguard:
            self._is_safeguard = True
            self._next_safeguard = monotonic() + next(self._safeguards)
            self._due.update(self._members)


def _wakeup_of(result: Any) -> Wakeup | None:
    backend = getattr(result, "backend", None)
    return None if backend is None else wakeup_of(backend)


def _channels(member: Any) -> Iterator[str]:
    """Where the end of a task is told: with its result, and by its bare id when it leaves none."""
    yield member.backend.get_key_for_task(member.id).decode()
    yield str(member.id)
