"""One watch over any number of results: what every way of waiting looks through."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from math import inf
from time import monotonic
from typing import Any, NamedTuple

from celery.states import REVOKED

from firexkit._celery import outbox
from firexkit._celery.lending import lent_slot
from firexkit._celery.patience import is_transient, until
from firexkit.result.data_loss import DataChecks
from firexkit.result.errors import ChainInterruptedByZombieTaskException, WaitOnChainTimeoutError
from firexkit.result.hearing import Hearing
from firexkit.result.holders import Holders
from firexkit.result.judgement import Facts, error_of, named
from firexkit.result.liveness import zombies_among
from firexkit.result.lookups import body_runs, get_tasks_names_from_results, id_of

_STORING_PATIENCE = 2
"""Seconds that earlier members of a chain may take to store what they returned, once the last has ended."""
_SOON = 0.01
"""Seconds that a wait may take without lending the task's slot."""
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
        on_block: called when not everything has settled at a look, again after each result that has.
    """

    def __init__(
        self,
        results: Iterable[Any],
        patience: Patience,
        callbacks: Iterable[WaitLoopCallBack] = (),
        on_block: Callable[[], None] = _nothing,
    ) -> None:
        self._pending: dict[int, Any] = {}
        self._added = 0
        self._patience = patience
        self._callbacks = _Callbacks(callbacks, patience.sleep_between_iterations)
        self._workers = _WorkerChecks(patience)
        self._holders = Holders()
        self._data = DataChecks()
        self._bodies = _RevokedBodies()
        self._ended: dict[int, float] = {}
        self._on_block = on_block
        self._deadline = inf if patience.max_wait is None else monotonic() + patience.max_wait
        self._failures: dict[int, Exception] = {}
        self._hearing = Hearing(patience.sleep_between_iterations)
        self._lent: AbstractContextManager[None] | None = None
        for result in results:
            self.add(result)

    @property
    def failures(self) -> list[Exception]:
        """The errors told so far, in the order of the results."""
        return [self._failures[index] for index in sorted(self._failures)]

    @property
    def pending(self) -> int:
        """How many results have not settled."""
        return len(self._pending)

    def add(self, result: Any) -> None:
        """Wait for this one, too."""
        must_look = self._patience.max_wait is not None and self._patience.max_wait <= 0
        self._pending[self._added] = result
        self._hearing.add(self._added, result, must_look=must_look)
        self._added += 1

    def stop(self) -> None:
        """Hear of nothing more; a watch that waited to its end has stopped."""
        self._hearing.stop()

    def settle(self) -> None:
        """Wait until all results have settled.

        Raises:
            WaitOnChainTimeoutError: the time is up; ``failures`` tells what had failed by then.
        """
        for _round in self._rounds():
            pass

    def settled(self) -> Iterator[tuple[Any, Exception | None]]:
        """Each result once it settled, with its error; results may be added meanwhile.

        Raises:
            WaitOnChainTimeoutError: the time is up; ``failures`` tells what had failed by then.
        """
        for together in self._rounds():
            self._take_back()  # the caller works with each
            yield from together

    def _rounds(self) -> Iterator[Collection[tuple[Any, Exception | None]]]:
        blocks = 0
        try:
            while self._pending:
                with self._in_time():
                    settled = self._settled_now()
                if settled:
                    blocks = 0
                    yield self._removed(settled)
                if self._pending and (self._time_to_spare() <= 0 or not self._hearing.has_news()):
                    self._block(is_first=blocks == 0)
                    blocks += 1
        finally:
            try:
                self._take_back()
            finally:
                self._hearing.stop()

    def _removed(self, settled: Mapping[int, tuple[Any, Exception | None]]) -> list[tuple[Any, Exception | None]]:
        for index, (_, error) in settled.items():
            del self._pending[index]
            self._hearing.remove(index)
            if error is not None:
                self._failures[index] = error
        return [*settled.values()]

    def _block(self, *, is_first: bool) -> None:
        """Wait until something may have changed. A wait that is not over at once lends the task's slot to others."""
        if is_first:
            self._on_block()
        self._give_up_when_late()
        self._callbacks.run_due()
        outbox.dispatched()
        if is_first:
            with self._in_time():
                self._hearing.confirm()
            self._hearing.wait(min(_SOON, self._time_to_spare()))
            return
        self._lend()
        self._hearing.wait(self._time_to_spare())

    def _lend(self) -> None:
        if self._lent is None:
            self._lent = lent_slot()
            self._lent.__enter__()

    def _take_back(self) -> None:
        lent, self._lent = self._lent, None
        if lent is not None:
            lent.__exit__(None, None, None)

    def _time_to_spare(self) -> float:
        """Seconds until something is to be done whatever happens."""
        looks = self._workers.due, self._holders.due, self._data.due
        return max(0.0, min(self._deadline, self._callbacks.due, *looks) - monotonic())

    def _settled_now(self) -> dict[int, tuple[Any, Exception | None]]:
        self._holders.look(self._pending.values())
        due = {index: self._pending[index] for index in self._hearing.due() if index in self._pending}
        settled = self._judged(due)
        self._hearing.hold({*due} - {*settled}, {index for index in due if index in self._ended})
        remaining = {index: result for index, result in self._pending.items() if index not in settled}
        for index, error in self._workers.zombies(remaining, self._deadline - monotonic()).items():
            settled[index] = (self._pending[index], error)
        if not settled:
            self._data.look(remaining.values())
        return settled

    def _judged(self, due: Mapping[int, Any]) -> dict[int, tuple[Any, Exception | None]]:
        facts = Facts(due.values(), self._hearing.stores_in_order, asks_workers=self._hearing.looks_far)
        settled: dict[int, tuple[Any, Exception | None]] = {}
        for index, result in due.items():
            blamed = facts.first_to_blame(result)
            if blamed is None and facts.has_ended(result) and self._is_chain_stored(index, result, facts):
                settled[index] = (result, None)
            elif blamed is not None and not self._body_runs(index, blamed, facts.states[id_of(blamed)]):
                settled[index] = (result, error_of(blamed, facts.states[id_of(blamed)]))
        return settled

    def _is_chain_stored(self, index: int, result: Any, facts: Facts) -> bool:
        """Whether all of a chain can be read: Celery starts the next member before it stores the result of one."""
        if facts.is_whole(result):
            return True
        patience_ends = self._ended.setdefault(index, monotonic()) + _STORING_PATIENCE
        return monotonic() >= min(patience_ends, self._deadline)

    def _body_runs(self, index: int, member: Any, state: str) -> bool:
        if not self._bodies.still_run(member, state):
            return False
        self._ended.setdefault(index, monotonic())
        return True

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Wait out an outage as long as there is time for it."""
        try:
            with until(self._deadline):
                yield
        except Exception as error:
            if is_transient(error):
                self._give_up_when_late(error)
            raise

    def _give_up_when_late(self, outage: Exception | None = None) -> None:
        if monotonic() < self._deadline:
            return
        error = WaitOnChainTimeoutError(
            f"Still waiting for {self._names()} after {self._patience.max_wait:g} s; raise max_wait?"
        )
        error.failures = self.failures
        raise error from outage

    def _names(self) -> str:
        try:
            with until(self._deadline):
                return ", ".join(get_tasks_names_from_results(self._pending.values()))
        except Exception as error:
            if not is_transient(error):
                raise
        return ", ".join(f"{getattr(one, 'firexkit_name', '')}[{id_of(one)}]" for one in self._pending.values())


class _Callbacks:
    """Callbacks with their timers."""

    def __init__(self, callbacks: Iterable[WaitLoopCallBack], interval: float) -> None:
        self._callbacks = tuple(one._replace(frequency=max(one.frequency, interval)) for one in callbacks)
        self._last_run = dict.fromkeys((callback.func for callback in self._callbacks), monotonic())

    @property
    def due(self) -> float:
        """When the next one is to run."""
        return min((self._last_run[one.func] + one.frequency for one in self._callbacks), default=inf)

    def run_due(self) -> None:
        """Run those whose time has come."""
        for callback in self._callbacks:
            if monotonic() - self._last_run[callback.func] >= callback.frequency:
                callback.func(**callback.kwargs)
                self._last_run[callback.func] = monotonic()


class _WorkerChecks:
    """Whether tasks are still held by somebody, asked now and then."""

    def __init__(self, patience: Patience) -> None:
        self._enabled = bool(patience.check_task_worker_frequency and patience.fail_on_worker_failures)
        self._patience = patience
        self._last_check = monotonic()
        self._misses: dict[int, int] = {}

    @property
    def due(self) -> float:
        """When to ask next."""
        return self._last_check + self._patience.check_task_worker_frequency if self._enabled else inf

    def zombies(self, pending: Mapping[int, Any], time_left: float) -> dict[int, Exception]:
        """Errors for tasks that were found dead often enough, by index."""
        if monotonic() < self.due:
            return {}
        dead = {id_of(result) for result in zombies_among(pending.values(), patience=min(time_left, 60))}
        self._last_check = monotonic()
        self._misses = {
            index: self._misses.get(index, 0) + 1 for index, result in pending.items() if id_of(result) in dead
        }
        return {
            index: named(ChainInterruptedByZombieTaskException, pending[index])
            for index, misses in self._misses.items()
            if misses >= self._patience.fail_on_worker_failures
        }


class _RevokedBodies:
    """Bodies of revoked tasks: Celery calls a task revoked before its ``finally`` blocks ran."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def still_run(self, member: Any, state: str) -> bool:
        """Whether the body of a member in that state has not ended, and may still be waited for."""
        if state != REVOKED or not body_runs(member):
            return False
        return monotonic() - self._seen.setdefault(id_of(member), monotonic()) < _BODY_PATIENCE
