"""Waiting for tasks: one watch over any number of results, whatever the way of waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from time import monotonic, sleep
from typing import Any, NamedTuple

from celery.states import FAILURE, PENDING, READY_STATES, RECEIVED, RETRY, REVOKED, STARTED

from firexkit import _wire
from firexkit._celery.states import refresh
from firexkit.result.errors import (
    ChainException,
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    MultipleFailuresException,
    WaitOnChainTimeoutError,
)
from firexkit.result.liveness import zombies_among
from firexkit.result.lookups import (
    get_task_name_from_result,
    get_task_postrun_info,
    get_tasks_names_from_results,
    id_of,
    records_behind,
)
from firexkit.result.tree import parents_of, state_of
from firexkit.revoke import RevokedRequests

logger = logging.getLogger(__name__)

_GROWTH = 1.01
_LONGEST_PAUSE = 300
"""How many times the first pause a pause may become."""
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


class Watch:
    """One waiting call: tells each result as it settles, with the error it ended in if any.

    Args:
        results: what to wait for.
        patience: how long, how often.
        callbacks: what to do meanwhile.

    ``failures`` holds the errors told so far, in the order of ``results``.
    """

    def __init__(self, results: Iterable[Any], patience: Patience, callbacks: Iterable[WaitLoopCallBack] = ()) -> None:
        self._pending = dict(enumerate(results))
        self._patience = patience
        self._callbacks = _Callbacks(callbacks)
        self._workers = _WorkerChecks(patience)
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
        pauses = _pauses(self._patience.sleep_between_iterations)
        while self._pending:
            for index, (result, error) in self._settled_now().items():
                del self._pending[index]
                if error is not None:
                    self._failures[index] = error
                yield result, error
            if self._pending:
                self._give_up_when_late()
                self._callbacks.run_due()
                sleep(min(next(pauses), max(0.0, self._deadline - monotonic())))

    def _settled_now(self) -> dict[int, tuple[Any, Exception | None]]:
        states = _states_of_chains(self._pending.values())
        verdicts = {index: _verdict(result, states) for index, result in self._pending.items()}
        settled = {
            index: (self._pending[index], verdict.error)
            for index, verdict in verdicts.items()
            if verdict is not _UNSETTLED
        }
        remaining = {index: result for index, result in self._pending.items() if index not in settled}
        for index, error in self._workers.zombies(remaining, self._deadline - monotonic()).items():
            settled[index] = (self._pending[index], error)
        return settled

    def _give_up_when_late(self) -> None:
        if monotonic() < self._deadline:
            return
        names = ", ".join(get_tasks_names_from_results(self._pending.values()))
        error = WaitOnChainTimeoutError(
            f"Still waiting for {names} after {self._patience.max_wait:g} s; raise max_wait?"
        )
        error.failures = self.failures
        raise error


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
        self._last_check = monotonic()
        dead = {id_of(result) for result in zombies_among(pending.values(), patience=min(time_left, 60))}
        self._misses = {
            index: self._misses.get(index, 0) + 1 for index, result in pending.items() if id_of(result) in dead
        }
        return {
            index: _named(ChainInterruptedByZombieTaskException, pending[index])
            for index, misses in self._misses.items()
            if misses >= self._patience.fail_on_worker_failures
        }


def _pauses(first: float) -> Iterator[float]:
    pause = first
    while True:
        yield pause
        pause = min(pause * _GROWTH, first * _LONGEST_PAUSE)


# ── the judgement ─────────────────────────────────────────────────────────────────────────


class _Verdict(NamedTuple):
    error: Exception | None


_UNSETTLED = _Verdict(None)


def _states_of_chains(results: Iterable[Any]) -> dict[str, str]:
    return refresh([member for result in results for member in (result, *parents_of(result))])


def _verdict(result: Any, states: Mapping[str, str]) -> _Verdict:
    """How a result ended, the members of its chain considered; `_UNSETTLED` while it has not."""
    blamed = _first_to_blame(result, states)
    if blamed is not None:
        return _Verdict(_error_of(blamed, states[blamed.id]))
    return _Verdict(None) if states[result.id] in READY_STATES else _UNSETTLED


def _first_to_blame(result: Any, states: Mapping[str, str]) -> Any:
    """The member that broke the chain. Celery marks what comes after it as failed too, so the first failed counts."""
    above = parents_of(result)
    blamed = next((parent for parent in above if _is_broken(parent, states[parent.id])), None)
    if blamed is None:
        return result if _is_broken(result, states[result.id]) else None
    for parent in above:
        if states[blamed.id] != FAILURE or states[parent.id] != FAILURE:
            break
        blamed = parent
    return blamed


def _is_broken(member: Any, state: str) -> bool:
    return state in (FAILURE, REVOKED) or (state == PENDING and _is_revoked_before_start(member))


def _is_revoked_before_start(member: Any) -> bool:
    """Revoked and never started. The state wins over the list: what started will end in a state of its own."""
    records = records_behind(member)
    (known,) = records.tasks.fields([id_of(member)], (_wire.FIELD_REVOKED, _wire.FIELD_ATTEMPT))
    if _wire.FIELD_ATTEMPT in known:
        return False
    return _wire.FIELD_REVOKED in known or RevokedRequests.instance().is_revoked(member.id)


def _error_of(member: Any, state: str) -> Exception:
    if state == FAILURE:
        cause = member.result
        return ChainInterruptedException(
            id_of(member), get_task_name_from_result(member), cause if isinstance(cause, Exception) else None
        )
    if state == REVOKED:
        wait_for_running_tasks_from_results([member], max_wait=_BODY_PATIENCE)
        return _named(ChainRevokedException, member)
    return _named(ChainRevokedPreRunException, member)


def _named(kind: type[ChainException], member: Any) -> Exception:
    return kind(id_of(member), get_task_name_from_result(member))


# ── the ways of waiting ───────────────────────────────────────────────────────────────────


@contextmanager
def _blocked(caller_task: Any) -> Iterator[None]:
    """Tell that a task waits, and that it goes on, however the wait ends."""
    told = caller_task is not None and not caller_task.request.called_directly
    if told:
        caller_task.send_event(_wire.EVENT_BLOCKED)
    try:
        yield
    finally:
        if told:
            caller_task.send_event(_wire.EVENT_UNBLOCKED)


def _as_list(results: Any) -> list[Any]:
    if not results:
        return []
    return list(results) if isinstance(results, Iterable) and not hasattr(results, "id") else [results]


def wait_on_async_results(
    results: Any,
    max_wait: float | None = None,
    callbacks: Iterable[WaitLoopCallBack] = (),
    sleep_between_iterations: float = 0.05,
    check_task_worker_frequency: float = 600,
    fail_on_worker_failures: int = 3,
    log_msg: bool = True,
    *,
    caller_task: Any = None,
    **_ignored: Any,
) -> None:
    """Wait until all results have ended; failures are raised after all of them have.

    Args:
        results: one result or several.
        max_wait: seconds for the whole call; None for ever, 0 to look once.
        callbacks: what to do from time to time meanwhile.
        sleep_between_iterations: seconds between two looks at first; pauses grow by 1 %.
        check_task_worker_frequency: seconds between two checks that somebody still holds the tasks; 0 for none.
        fail_on_worker_failures: how many checks in a row must find nobody; 0 for none.
        log_msg: log what is waited for.
        caller_task: the task that waits; it is told to monitors as blocked meanwhile.

    Raises:
        WaitOnChainTimeoutError: ``max_wait`` passed; its ``failures`` tell what had failed by then.
        ChainInterruptedException: a member of one chain failed.
        ChainRevokedException: a member of one chain was revoked.
        MultipleFailuresException: several chains failed; its ``failures`` tell how each did.
    """
    awaited = _as_list(results)
    if not awaited:
        return
    if log_msg and logger.isEnabledFor(logging.DEBUG):
        logger.debug("Waiting for %s", get_tasks_names_from_results(awaited))
    patience = Patience(max_wait, sleep_between_iterations, check_task_worker_frequency, fail_on_worker_failures)
    watch = Watch(awaited, patience, callbacks)
    with _blocked(caller_task):
        for _settled in watch.settled():
            pass
    _raise_failures(watch.failures)


def _raise_failures(failures: list[Exception]) -> None:
    if not failures:
        return
    if len(failures) == 1:
        raise failures[0]
    error = MultipleFailuresException([_blamed_id(failure) for failure in failures])
    error.failures = failures
    raise error


def _blamed_id(failure: Exception) -> str:
    return str(getattr(failure, "task_id", None) or "UNKNOWN")


def wait_on_async_results_and_maybe_raise(
    results: Any, raise_exception_on_failure: bool = True, caller_task: Any = None, **kwargs: Any
) -> None:
    """As :func:`wait_on_async_results`; failures may be left to the caller to look up.

    Args:
        results: one result or several.
        raise_exception_on_failure: raise when a chain failed. A revocation always raises, alone or among failures.
        caller_task: the task that waits.
        **kwargs: options of :func:`wait_on_async_results`.
    """
    try:
        wait_on_async_results(results, caller_task=caller_task, **kwargs)
    except ChainInterruptedException as error:
        if raise_exception_on_failure:
            raise
        _raise_revocation(getattr(error, "failures", ()))


def _raise_revocation(failures: Iterable[Exception]) -> None:
    for failure in failures:
        if isinstance(failure, ChainRevokedException):
            raise failure


def wait_for_any_results(
    results: Any,
    max_wait: float | None = None,
    poll_max_wait: float = 0.1,
    log_msg: bool = False,  # noqa: ARG001 - documented
    callbacks: Iterable[WaitLoopCallBack] = (),
    *,
    raise_exception_on_failure: bool = True,
    caller_task: Any = None,
    sleep_between_iterations: float | None = None,
    check_task_worker_frequency: float = 600,
    fail_on_worker_failures: int = 3,
    **_ignored: Any,
) -> Iterator[Any]:
    """Yield each result as it ends; the caller may stop after the first.

    Args:
        results: one result or several.
        max_wait: seconds for the whole wait; None for ever, 0 to look once.
        poll_max_wait: seconds between two looks, at most.
        log_msg: documented; a wait of this kind logs nothing of its own.
        callbacks: what to do from time to time meanwhile.
        raise_exception_on_failure: raise for a result that failed; else it is yielded like the others.
        caller_task: the task that waits; it is told to monitors as blocked meanwhile.
        sleep_between_iterations: seconds between two looks at first; half of ``poll_max_wait`` when not given.
        check_task_worker_frequency: as for :func:`wait_on_async_results`.
        fail_on_worker_failures: as for :func:`wait_on_async_results`.

    Raises:
        WaitOnChainTimeoutError: ``max_wait`` passed.
        ChainInterruptedException: a chain failed.
        ChainRevokedException: a member of a chain was revoked.
    """
    awaited = _as_list(results)
    if not awaited:
        return
    pause = poll_max_wait / 2 if sleep_between_iterations is None else sleep_between_iterations
    patience = Patience(max_wait, pause, check_task_worker_frequency, fail_on_worker_failures)
    with _blocked(caller_task):
        for result, error in Watch(awaited, patience, callbacks).settled():
            if error is not None and (raise_exception_on_failure or isinstance(error, ChainRevokedException)):
                raise error
            yield result


def wait_for_running_tasks_from_results(
    results: Any, max_wait: float | None = 120, sleep_between_iterations: float = 0.05
) -> None:
    """Wait until the bodies of tasks have really ended: Celery calls a task revoked before its ``finally`` ran.

    Args:
        results: one result or several; those that never started are no reason to wait.
        max_wait: seconds after which to go on with a log line; None for ever.
        sleep_between_iterations: seconds between two looks at first; pauses grow by 1 %.
    """
    running = [result for result in _as_list(results) if _runs(result)]
    deadline = inf if max_wait is None else monotonic() + max_wait
    pauses = _pauses(sleep_between_iterations)
    while running and monotonic() < deadline:
        sleep(min(next(pauses), max(0.0, deadline - monotonic())))
        running = [result for result in running if not get_task_postrun_info(result)]
    if running:
        logger.error("Still running after %s s: %s", max_wait, get_tasks_names_from_results(running))


def _runs(result: Any) -> bool:
    """Whether the body of a task started and has not ended."""
    if state_of(result) not in (*READY_STATES, STARTED, RETRY, RECEIVED) or get_task_postrun_info(result):
        return False
    (known,) = records_behind(result).tasks.fields([id_of(result)], (_wire.FIELD_ATTEMPT,))
    return bool(known)
