"""What came of a run: its results, or which task failed first, where, and what that took down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from firexkit._celery.types import AsyncResult
from firexkit._serialization import convert_to_serializable
from firexkit.firex_exceptions import exit_code_of
from firexkit.result import (
    ChainException,
    ChainRevokedException,
    find_unsuccessful_in_chain,
    first_non_chain_interrupted_exception,
    get_results,
    get_task_name_from_result,
    last_causing_chain_interrupted_exception,
)
from firexkit.runtime.progress import Progress, TaskSeen
from firexkit.runtime.record import Revocation
from firexkit.runtime.tracebacks import own_traceback


@dataclass(frozen=True)
class Failure:
    """One task that failed by itself.

    Attributes:
        uuid: its id.
        name: its full name.
        error: what it failed with, as text.
        traceback: where, without the frames of Celery and of the kit.
        worker: the full name of its worker; empty when unknown.
        log: its log file, on the worker's machine; None when it has none.
        took_down: names of the tasks that failed because of it, the nearest first.
    """

    uuid: str
    name: str
    error: str
    traceback: str
    worker: str = ""
    log: str | None = None
    took_down: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        returncode: the exit code of ``firex run``.
        results: what the tasks of the chain returned, by name.
        failures: the tasks that failed by themselves, the one that ended the run first.
        not_run: names of the tasks of the chain that never began.
        unsuccessful: failed and never-run tasks of the chain, as ``run.json`` tells them.
        revocation: who ended the run early.
        trouble: why the run could not go on, when no task is to blame.
    """

    returncode: int
    results: dict[str, Any] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    not_run: tuple[str, ...] = ()
    unsuccessful: dict[str, Any] = field(default_factory=dict)
    revocation: Revocation | None = None
    trouble: str = ""


def succeeded(result: AsyncResult, progress: Progress) -> Outcome:
    """All tasks of the chain ended well; others may have failed, and a parent thought nothing of it.

    Args:
        result: of the chain's last task.
        progress: what events told.
    """
    failures = tuple(_seen(task) for task in progress.failures())
    return Outcome(returncode=0, results=get_results(result), failures=failures)


def interrupted(error: ChainException, result: AsyncResult | None, names: Sequence[str], progress: Progress) -> Outcome:
    """A task failed, or somebody revoked one.

    Args:
        error: what waiting for the run ended with.
        result: of the chain's last task.
        names: short names of the chain's tasks.
        progress: what events told.
    """
    return replace(
        _partial(result, names),
        returncode=exit_code_of(error) or 1,
        failures=_failures_behind(error, progress),
        trouble=str(error) if isinstance(error, ChainRevokedException) else "",
    )


def stopped(result: AsyncResult | None, names: Sequence[str], revocation: Revocation, returncode: int) -> Outcome:
    """Somebody ended the run early."""
    return replace(_partial(result, names), returncode=returncode, revocation=revocation)


def members_of(result: AsyncResult | None) -> list[AsyncResult]:
    """The results of a chain's tasks, the first task's first."""
    members: list[AsyncResult] = []
    while result is not None:
        members.append(result)
        result = result.parent
    return members[::-1]


def _partial(result: AsyncResult | None, names: Sequence[str]) -> Outcome:
    """What there is of a chain that did not come to its end."""
    if result is None:
        return Outcome(returncode=1)
    unsuccessful = find_unsuccessful_in_chain(result)
    # A task that was never sent is on record nowhere.
    name_of = dict(zip((member.id for member in members_of(result)), names, strict=True))
    return Outcome(
        returncode=1,
        results=get_results(result),
        not_run=tuple(name_of[member.id] for member in unsuccessful.get("not_run", ())),
        unsuccessful={
            # As text now: told later, a failed result would have to be read from a broker that is gone.
            fate: convert_to_serializable(members) if fate == "failed" else [name_of[member.id] for member in members]
            for fate, members in unsuccessful.items()
        },
    )


def _failures_behind(error: BaseException, progress: Progress) -> tuple[Failure, ...]:
    """The tasks that failed by themselves, the one at the bottom of ``error`` first."""
    interruption = last_causing_chain_interrupted_exception(error)
    uuid = getattr(interruption, "task_id", None)
    if not isinstance(interruption, ChainException) or uuid is None:
        return tuple(_seen(task) for task in progress.failures())
    first = _first(AsyncResult(uuid), error, progress)
    others = [_seen(task) for task in progress.failures() if task.uuid != uuid]
    return (first, *others)


def _first(result: AsyncResult, error: BaseException, progress: Progress) -> Failure:
    cause = first_non_chain_interrupted_exception(error)
    task = progress.get(result.id) or TaskSeen(result.id)
    return Failure(
        uuid=result.id,
        name=task.name or get_task_name_from_result(result) or result.id,
        error=f"{type(cause).__name__}: {cause}",
        traceback=own_traceback(result.traceback or task.traceback),
        worker=task.worker,
        log=task.log,
        took_down=tuple(_interrupted(error, but=result.id)),
    )


def _interrupted(error: BaseException | None, but: str) -> list[str]:
    """Names of the tasks on the way down to the root cause, the nearest to it first."""
    names: list[str] = []
    while isinstance(error, ChainException):
        if error.task_id != but and error.task_name:
            names.append(error.task_name.rsplit(".", 1)[-1])
        error = error.__cause__
    return names[::-1]


def _seen(task: TaskSeen) -> Failure:
    return Failure(task.uuid, task.name, task.exception, own_traceback(task.traceback), task.worker, task.log)
