"""One watch over any number of results: what every way of waiting looks through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from time import monotonic, sleep
from typing import Any, NamedTuple

from celery.states import FAILURE, PENDING, READY_STATES, REVOKED

from firexkit import _wire
from firexkit._celery.states import refresh
from firexkit.result.errors import (
    ChainException,
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    WaitOnChainTimeoutError,
)
from firexkit.result.liveness import zombies_among
from firexkit.result.lookups import (
    body_runs,
    get_task_name_from_result,
    get_tasks_names_from_results,
    id_of,
    records_of_many,
)
from firexkit.result.tree import parents_of
from firexkit.revoke import RevokedRequests

_GROWTH = 1.01
_LONGEST_PAUSE = 300
"""How many times the first pause a pause may become."""
_STORING_PATIENCE = 2
"""Seconds that earlier members of a chain may take to store what they returned, once the last has ended."""
_BODY_PATIENCE = 300
"""Seconds that a revoked task's body may take to end."""


class WaitLoopCallBack(NamedTuple):
    """Something to do from time to time while waiting."""

    func: Callable[..., Any]
    """What to call; callbacks with the same function share one timer."""
    frequency: float
    """Seconds between two calls."""
    kwargs: Mapping[str, Any]
    """Keyword arguments of each call."""


class Patience(NamedTuple):
    """How long to wait, how often to look, and when to give a worker up."""

    max_wait: float | None = None
    sleep_between_iterations: float = 0.05
    check_task_worker_frequency: float = 600
    fail_on_worker_failures: int = 3


def _nothing() -> None:
    """Tell nobody that the wait is a real one."""


class Watch:
    """One waiting call: tells each result as it settles, with the error it ended in if any.

    Args:
        results: what to wait for.
        patience: how long, how often.
        callbacks: what to do meanwhile.
        on_block: called once, when not everything has settled at the first look.
    """

    def __init__(
        self,
        results: Iterable[Any],
        patience: Patience,
        callbacks: Iterable[WaitLoopCallBack] = (),
        on_block: Callable[[], None] = _nothing,
    ) -> None:
        self._pending = dict(enumerate(results))
        self._patience = patience
        self._callbacks = _Callbacks(callbacks)
        self._workers = _WorkerChecks(patience)
        self._bodies = _RevokedBodies()
        self._ended: dict[int, float] = {}
        self._on_block = on_block
        self._deadline = inf if patience.max_wait is None else monotonic() + patience.max_wait
        self._failures: dict[int, Exception] = {}

    @property
    def failures(self) -> list[Exception]:
        """The errors told so far, in the order of the results."""
        return [self._failures[index] for index in sorted(self._failures)]

    def settled(self) -> Iterator[tuple[Any, Exception | None]]:
        """Each result once it settled, with its error.

        Raises:
            WaitOnChainTimeoutError: the time is up; ``failures`` tells what had failed by then.
        """
        pauses = growing_pauses(self._patience.sleep_between_iterations)
        blocked = False
        while self._pending:
            for index, (result, error) in self._settled_now().items():
                del self._pending[index]
                if error is not None:
                    self._failures[index] = error
                yield result, error
            if self._pending:
                if not blocked:
                    self._on_block()
                    blocked = True
                self._give_up_when_late()
                self._callbacks.run_due()
                sleep(min(next(pauses), max(0.0, self._deadline - monotonic())))

    def _settled_now(self) -> dict[int, tuple[Any, Exception | None]]:
        facts = _Facts(self._pending.values())
        settled: dict[int, tuple[Any, Exception | None]] = {}
        for index, result in self._pending.items():
            blamed = facts.first_to_blame(result)
            if blamed is None and facts.has_ended(result) and self._is_chain_stored(index, result, facts):
                settled[index] = (result, None)
            elif blamed is not None and not self._bodies.still_run(blamed, facts.states[id_of(blamed)]):
                settled[index] = (result, _error_of(blamed, facts.states[id_of(blamed)]))
        remaining = {index: result for index, result in self._pending.items() if index not in settled}
        for index, error in self._workers.zombies(remaining, self._deadline - monotonic()).items():
            settled[index] = (self._pending[index], error)
        return settled

    def _is_chain_stored(self, index: int, result: Any, facts: _Facts) -> bool:
        """Whether all of a chain can be read: Celery starts the next member before it stores the result of one."""
        if all(facts.has_ended(parent) for parent in parents_of(result)):
            return True
        patience_ends = self._ended.setdefault(index, monotonic()) + _STORING_PATIENCE
        return monotonic() >= min(patience_ends, self._deadline)

    def _give_up_when_late(self) -> None:
        if monotonic() < self._deadline:
            return
        names = ", ".join(get_tasks_names_from_results(self._pending.values()))
        error = WaitOnChainTimeoutError(
            f"Still waiting for {names} after {self._patience.max_wait:g} s; raise max_wait?"
        )
        error.failures = self.failures
        raise error


def growing_pauses(first: float) -> Iterator[float]:
    """Pauses in seconds, each 1 % longer than the one before, up to 300 times the first."""
    pause = first
    while True:
        yield pause
        pause = min(pause * _GROWTH, first * _LONGEST_PAUSE)


class _Callbacks:
    """Callbacks with their timers."""

    def __init__(self, callbacks: Iterable[WaitLoopCallBack]) -> None:
        self._callbacks = tuple(callbacks)
        self._last_run = dict.fromkeys((callback.func for callback in self._callbacks), monotonic())

    def run_due(self) -> None:
        for callback in self._callbacks:
            if monotonic() - self._last_run[callback.func] > callback.frequency:
                callback.func(**callback.kwargs)
                self._last_run[callback.func] = monotonic()


class _WorkerChecks:
    """Whether tasks are still held by somebody, asked now and then."""

    def __init__(self, patience: Patience) -> None:
        self._enabled = bool(patience.check_task_worker_frequency and patience.fail_on_worker_failures)
        self._patience = patience
        self._last_check = monotonic()
        self._misses: dict[int, int] = {}

    def zombies(self, pending: Mapping[int, Any], time_left: float) -> dict[int, Exception]:
        """Errors for tasks that were found dead often enough, by index."""
        if not self._enabled or monotonic() - self._last_check <= self._patience.check_task_worker_frequency:
            return {}
        dead = {id_of(result) for result in zombies_among(pending.values(), patience=min(time_left, 60))}
        self._last_check = monotonic()
        self._misses = {
            index: self._misses.get(index, 0) + 1 for index, result in pending.items() if id_of(result) in dead
        }
        return {
            index: _named(ChainInterruptedByZombieTaskException, pending[index])
            for index, misses in self._misses.items()
            if misses >= self._patience.fail_on_worker_failures
        }


class _RevokedBodies:
    """Bodies of revoked tasks: Celery calls a task revoked before its ``finally`` blocks ran."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def still_run(self, member: Any, state: str) -> bool:
        if state != REVOKED or not body_runs(member):
            return False
        return monotonic() - self._seen.setdefault(id_of(member), monotonic()) < _BODY_PATIENCE


# ── the judgement ─────────────────────────────────────────────────────────────────────────


class _Facts:
    """States of results and of the members of their chains, read together, and what follows from them."""

    def __init__(self, results: Iterable[Any]) -> None:
        members = {id_of(member): member for result in results for member in (result, *parents_of(result))}
        self.states = refresh(list(members.values()))
        pending = [member for member_id, member in members.items() if self.states[member_id] == PENDING]
        fields = (_wire.FIELD_REVOKED, _wire.FIELD_ATTEMPT, _wire.FIELD_NO_RESULT)
        self._known = records_of_many(pending, fields)

    def has_ended(self, result: Any) -> bool:
        """Whether a task will not change its state any more."""
        return self.states[id_of(result)] in READY_STATES or self.leaves_no_result(result)

    def leaves_no_result(self, result: Any) -> bool:
        """Whether a task with ``ignore_result`` has succeeded: nothing more will ever be known of it."""
        return _wire.FIELD_NO_RESULT in self._known.get(id_of(result), ())

    def first_to_blame(self, result: Any) -> Any:
        """The member that broke the chain of a result; Celery marks what follows a failure as failed, too."""
        above = parents_of(result)
        blamed = next((parent for parent in above if self._is_broken(parent)), None)
        if blamed is None:
            return result if self._is_broken(result) else None
        for parent in above:
            if self.states[id_of(blamed)] != FAILURE or self.states[id_of(parent)] != FAILURE:
                break
            blamed = parent
        return blamed

    def _is_broken(self, member: Any) -> bool:
        state = self.states[id_of(member)]
        return state in (FAILURE, REVOKED) or (state == PENDING and self._is_revoked_before_start(member))

    def _is_revoked_before_start(self, member: Any) -> bool:
        """Revoked and never started. The state wins over the list: what started will end in a state of its own."""
        known = self._known[id_of(member)]
        if _wire.FIELD_ATTEMPT in known:
            return False
        return _wire.FIELD_REVOKED in known or RevokedRequests.instance().is_revoked(member.id)


def _error_of(member: Any, state: str) -> Exception:
    if state == FAILURE:
        cause = getattr(member, "result", None)  # a group has none
        return ChainInterruptedException(
            id_of(member), get_task_name_from_result(member), cause if isinstance(cause, Exception) else None
        )
    return _named(ChainRevokedException if state == REVOKED else ChainRevokedPreRunException, member)


def _named(kind: Callable[[str, str], ChainException], member: Any) -> Exception:
    return kind(id_of(member), get_task_name_from_result(member))
