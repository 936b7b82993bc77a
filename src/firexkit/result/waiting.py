"""The ways of waiting for tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from math import inf
from time import monotonic
from typing import Any, Final

from firexkit import _wire
from firexkit._announce import is_heard
from firexkit._celery import outbox
from firexkit._celery.lending import lent_slot
from firexkit._crash_points import crash_point
from firexkit.result.errors import (
    BrokerDataLostError,
    ChainInterruptedException,
    ChainRevokedException,
    MultipleFailuresException,
)
from firexkit.result.hearing import Hearing
from firexkit.result.lookups import body_runs, get_task_postrun_info, get_tasks_names_from_results
from firexkit.result.tree import parents_of
from firexkit.result.watch import Patience, WaitLoopCallBack, Watch

logger: logging.Logger = logging.getLogger(__name__)


_MOST_NAMED: Final = 16
"""Tasks that a waiting task names; of more it names none, since those that it named would be over first."""


@contextmanager
def _telling(caller_task: Any, awaited: Iterable[Any]) -> Iterator[Callable[[], None]]:
    """A function to call when a task really waits; that it goes on is told then, too, however the wait ends."""
    told = False

    def blocked() -> None:
        nonlocal told
        if told:
            return
        told = caller_task is not None and not caller_task.request.called_directly and is_heard(caller_task)
        if told:
            ids = tuple(islice(_ids_of(awaited), _MOST_NAMED + 1))
            setattr(caller_task.request, _wire.AWAITED, ids if len(ids) <= _MOST_NAMED else ())
            caller_task.send_event(_wire.EVENT_BLOCKED)

    try:
        yield blocked
    finally:
        if told:
            caller_task.send_event(_wire.EVENT_UNBLOCKED)


def _ids_of(results: Iterable[Any]) -> Iterator[str]:
    """Their ids, each with those of the tasks before it in its chain."""
    for result in results:
        yield from (str(member.id) for member in (result, *parents_of(result)))


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
        BrokerDataLostError: the broker has lost its data, and with them what was waited for.
        MultipleFailuresException: several chains failed; its ``failures`` tell how each did.
    """
    awaited = _as_list(results)
    if not awaited:
        return
    if log_msg and logger.isEnabledFor(logging.DEBUG):
        logger.debug("Waiting for %s", get_tasks_names_from_results(awaited))
    patience = Patience(max_wait, sleep_between_iterations, check_task_worker_frequency, fail_on_worker_failures)
    with _telling(caller_task, awaited) as blocked:
        watch = Watch(awaited, patience, callbacks, blocked)
        crash_point("wait: before")
        watch.settle()
        crash_point("wait: after")
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
        raise_exception_on_failure: raise when a chain failed. A revocation always raises, alone or among failures, and
            so does the loss of the broker's data.
        caller_task: the task that waits.
        **kwargs: options of :func:`wait_on_async_results`.
    """
    try:
        wait_on_async_results(results, caller_task=caller_task, **kwargs)
    except ChainInterruptedException as error:
        if raise_exception_on_failure or isinstance(error, BrokerDataLostError):
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
    **kwargs: Any,
) -> Iterator[Any]:
    """Yield each result as it ends; the caller may stop after the first.

    Args:
        results: one result or several.
        max_wait: seconds for the whole wait; None for ever, 0 to look once.
        poll_max_wait: twice the seconds between the first two looks.
        log_msg: documented; a wait of this kind logs nothing of its own.
        callbacks: what to do from time to time meanwhile.
        **kwargs: ``raise_exception_on_failure`` (True): raise for a result that failed, else yield it like the
            others; ``caller_task``: the task that waits; and as for :func:`wait_on_async_results`:
            ``sleep_between_iterations``, ``check_task_worker_frequency``, ``fail_on_worker_failures``.

    Raises:
        WaitOnChainTimeoutError: ``max_wait`` passed.
        ChainInterruptedException: a chain failed.
        ChainRevokedException: a member of a chain was revoked.
    """
    awaited = _as_list(results)
    if not awaited:
        return
    given = {name: kwargs[name] for name in Patience._fields if name in kwargs}
    patience = Patience(**{"sleep_between_iterations": poll_max_wait / 2, **given, "max_wait": max_wait})
    raising = kwargs.get("raise_exception_on_failure", True)
    with _telling(kwargs.get("caller_task"), awaited) as blocked:
        for result, error in Watch(awaited, patience, callbacks, blocked).settled():
            if error is not None and (raising or isinstance(error, ChainRevokedException)):
                raise error
            yield result


class Window:
    """Results under way, never more than a number of them.

    Args:
        size: how many.
        raises: raise for a result that failed; for one that was revoked that is always so.
        caller_task: the task that sends them; from its first wait on it is told that it waits.
    """

    def __init__(self, size: int, *, raises: bool, caller_task: Any = None) -> None:
        self._size = size
        self._raises = raises
        self._telling = ExitStack()
        self._watch = Watch((), Patience(), on_block=self._telling.enter_context(_telling(caller_task, ())))
        self._settled = self._watch.settled()

    def add(self, result: Any) -> None:
        """One more is under way."""
        self._watch.add(result)

    def make_room(self) -> None:
        """Wait until there is room for one more.

        Raises:
            ChainInterruptedException: a chain failed.
            ChainRevokedException: a member of a chain was revoked.
        """
        while self._watch.pending >= self._size:
            _, error = next(self._settled)
            if error is not None and (self._raises or isinstance(error, ChainRevokedException)):
                raise error

    def close(self) -> None:
        """Look at them no more."""
        with self._telling:
            self._watch.stop()


def wait_for_running_tasks_from_results(
    results: Any, max_wait: float | None = 120, sleep_between_iterations: float = 0.05
) -> None:
    """Wait until the bodies of tasks have really ended: Celery calls a task revoked before its ``finally`` ran.

    Args:
        results: one result or several; those that never started are no reason to wait.
        max_wait: seconds after which to go on with a log line; None for ever.
        sleep_between_iterations: seconds between two looks at first; pauses grow by 1 %.
    """
    outbox.dispatched()
    hearing = Hearing(sleep_between_iterations)
    running = dict(enumerate(_as_list(results)))
    deadline = inf if max_wait is None else monotonic() + max_wait
    try:
        for index, result in running.items():
            hearing.add(index, result, must_look=True)
        for index in hearing.due():
            if not body_runs(running[index]):
                del running[index]
                hearing.remove(index)
        while running and monotonic() < deadline:
            with lent_slot():
                hearing.wait(max(0.0, deadline - monotonic()))
            for index in [index for index in hearing.due() if get_task_postrun_info(running[index])]:
                del running[index]
                hearing.remove(index)
    finally:
        hearing.stop()
    if running:
        logger.error("Still running after %s s: %s", max_wait, get_tasks_names_from_results(running.values()))
