"""What a process knows of its tasks, told to the stream of their run, with what it tells the broker anyway.

Facts of a body leave with its state. Nothing here makes a task wait, and nothing that goes wrong here fails one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, wraps
from typing import Any, Final, TypeVar

from billiard.einfo import ExceptionInfo
from celery import current_app, current_task, signals
from celery.exceptions import SoftTimeLimitExceeded
from celery.states import EXCEPTION_STATES, FAILURE, RETRY, REVOKED, SUCCESS

from firexkit import _announce, _wire
from firexkit._celery import outbox, storing
from firexkit._celery.dispatch import Command
from firexkit._celery.patience import is_transient
from firexkit.journal import stream
from firexkit.journal.entries import arguments_of, passing_of, results_of
from firexkit.journal.model import (
    Began,
    Blocked,
    Entry,
    Fact,
    Failed,
    Joined,
    Lost,
    Planned,
    Queued,
    Retried,
    Returned,
    Revoked,
    Shown,
    Unblocked,
    encoded,
)
from firexkit.journal.valuing import beginning, end, text_of
from firexkit.result import ChainInterruptedException, ChainRevokedException, last_causing_chain_interrupted_exception
from firexkit.task.publishing import publishing_app

logger: Final = logging.getLogger(__name__)

_RESULTS: Final = "firexkit_results"
"""Attribute of a request: what its body returned, until that is stored."""
_BEGAN: Final = "firexkit_began_told"
"""Attribute of a request."""
_TOLD: Final = "firexkit_end_told"
"""Attribute of a request."""
_KEPT_FOR: Final = 7 * 86400
"""Seconds for which a stream without a recorder is kept, where results are kept for ever."""
_RENEWED_EVERY: Final = 60.0
"""Seconds after which this process says again until when a stream is kept."""
_RUNS: Final = 64
"""Runs of which a process remembers what it has said of their streams."""

_kept_until: Final[dict[str, float]] = {}
Receiver = TypeVar("Receiver", bound=Callable[..., Any])


@cache
def install() -> None:
    """Tell the facts of every task that this process, and those that it forks, sends or runs; once is enough."""
    _announce.listen(_hear)
    storing.listen(_on_state)
    for signal, receiver in ((signals.before_task_publish, _on_publish), (signals.task_postrun, _on_end)):
        signal.connect(receiver, weak=False, dispatch_uid=f"firexkit.journal.{receiver.__name__}")


def _never_in_the_way(receiver: Receiver) -> Receiver:
    """A journal that can't be written is no reason for a task to fail: then nothing is told."""

    @wraps(receiver)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return receiver(*args, **kwargs)
        except SoftTimeLimitExceeded:
            raise  # it is meant for the task, and may strike anywhere
        except Exception as error:
            level = logging.WARNING if is_transient(error) else logging.ERROR
            logger.log(level, "Not in the journal: %s", type(error).__name__, exc_info=level == logging.ERROR)
            return ()

    return guarded  # type: ignore[return-value]  # it takes what the receiver takes


# ── what is told ──────────────────────────────────────────────────────────────────────────


def _hear(task: Any, event_type: str, **fields: Any) -> None:
    if (hear := _HEARD.get(event_type)) is not None and not task.request.is_eager:
        hear(task, fields)


def _on_start(task: Any, fields: Mapping[str, Any]) -> None:
    request = task.request
    run_id, values = _run_of(request), dict[str, bytes]()
    arguments = tuple(arguments_of(task, run_id, values))
    depth, parent = fields.get(_wire.CHAIN_DEPTH), fields.get(_wire.TASK_PARENT_ID) or ""
    began = Began(
        **_of(request),
        name=fields[_wire.LONG_NAME],
        parent="" if depth else parent,
        after=parent if depth else "",
        worker=request.hostname or "",
        arguments=arguments,
        passing=tuple(passing_of(task, arguments, run_id, values)),
        log=fields.get(_wire.LOG_FILEPATH) or "",
        plugin=fields[_wire.CODE_FILEPATH] if fields.get(_wire.FROM_PLUGIN) else "",
        code=fields.get(_wire.CODE_FILEPATH) or "",
    )
    setattr(request, _BEGAN, True)
    _tell(task.backend, run_id, [began], values)


def _on_failing(task: Any, _fields: Mapping[str, Any]) -> None:
    """A converter may have refused what the task was given, before it told that it began."""
    if hasattr(task.request, _BEGAN):
        return
    run_id, values = _run_of(task.request), dict[str, bytes]()
    arguments: tuple[Entry, ...] = ()
    with suppress(TypeError, RuntimeError):  # one is missing, or there are too many
        arguments = tuple(arguments_of(task, run_id, values))
    began = Began(**_of(task.request), name=task.name, worker=task.request.hostname or "", arguments=arguments)
    _tell(task.backend, run_id, [began], values)


def _on_results(task: Any, fields: Mapping[str, Any]) -> None:
    """Remember them until the result is stored: only then has the body ended well."""
    values, cached_from = dict[str, bytes](), str(fields.get(_wire.CACHED_RESULT_FROM) or "")
    results = results_of(task, fields.get(_wire.RESULT), cached_from, _run_of(task.request), values)
    setattr(task.request, _RESULTS, (results, values, cached_from))


def _on_blocked(task: Any, _fields: Mapping[str, Any]) -> None:
    _tell(
        task.backend, _run_of(task.request), [Blocked(**_of(task.request), on=getattr(task.request, _wire.AWAITED, ()))]
    )


def _on_unblocked(task: Any, _fields: Mapping[str, Any]) -> None:
    _tell(task.backend, _run_of(task.request), [Unblocked(**_of(task.request))])


def _on_planned(task: Any, fields: Mapping[str, Any]) -> None:
    children = fields.get(_wire.PLANNED_CHILDREN)
    _tell(task.backend, _run_of(task.request), [Planned(**_of(task.request), children=children)])


def _on_shown(task: Any, fields: Mapping[str, Any]) -> None:
    facts: list[Fact] = [
        Shown(**_of(task.request), key=str(key), html=shown["value"], order=float(shown.get("order") or 0))
        for key, shown in (fields.get(_wire.FLAME_DATA) or {}).items()
        if isinstance(shown, Mapping) and isinstance(shown.get("value"), str)
    ]
    if joined := fields.get(_wire.ADDITIONAL_CHILDREN):
        facts.append(Joined(**_of(task.request), children=tuple(map(str, joined))))
    if facts:
        _tell(task.backend, _run_of(task.request), facts)


_HEARD: Final[dict[str, Callable[[Any, Mapping[str, Any]], None]]] = {
    _wire.EVENT_STARTED_INFO: _on_start,
    _wire.EVENT_FAILING: _on_failing,
    _wire.EVENT_RESULTS: _on_results,
    _wire.EVENT_BLOCKED: _on_blocked,
    _wire.EVENT_UNBLOCKED: _on_unblocked,
    _wire.EVENT_PLANNED: _on_planned,
    _wire.EVENT_FLAME: _on_shown,
}


@_never_in_the_way
def _on_publish(
    sender: str | None = None,
    headers: Mapping[str, Any] | None = None,
    routing_key: str | None = None,
    **_: Any,
) -> None:
    app = publishing_app() or current_app
    if not headers or "id" not in headers or not outbox.is_redis(app.backend):
        return
    sending = getattr(current_task, "request", None)
    parent = headers.get("parent_id") or ""
    # The tracer sends what follows in a chain, when the body has returned.
    follows = sending is not None and sending.id == parent and hasattr(sending, _RESULTS)
    is_again = sending is not None and sending.id == headers["id"]  # its place was told before
    queued = Queued(
        at=time.time(),
        task=str(headers["id"]),
        name=str(sender),
        parent="" if follows or is_again or parent == headers["id"] else str(parent),
        after=str(parent) if follows else "",
        queue=routing_key or "",
    )
    _tell(app.backend, str(headers.get("root_id") or headers["id"]), [queued])


@_never_in_the_way
def _on_state(
    backend: Any, task_id: str, state: str, result: Any = None, traceback: Any = None, request: Any = None
) -> Iterable[tuple[Any, ...]]:
    """What leaves with a state; with one that nobody's message belongs to, nothing is known of its run."""
    if request is None or not outbox.is_redis(backend):
        return ()
    if isinstance(result, dict) and state in EXCEPTION_STATES:
        result = backend.exception_to_python(result)  # it is about to be written
    fact, values = _ended(request, task_id, state, result, traceback)
    if fact is None:
        return ()
    setattr(request, _TOLD, True)
    return _telling(backend, _run_of(request), [fact], values)


@_never_in_the_way
def _on_end(task: Any = None, task_id: str = "", state: str | None = None, retval: Any = None, **_: Any) -> None:
    """A body whose state is stored nowhere has ended all the same."""
    request = task.request
    if state is None or request.is_eager or hasattr(request, _TOLD) or not getattr(request, _wire.ATTEMPT, 1):
        return
    einfo = retval if isinstance(retval, ExceptionInfo) else None
    fact, values = _ended(request, task_id, state, einfo.exception if einfo else retval, einfo and einfo.traceback)
    if fact is not None:
        _tell(task.backend, _run_of(request), [fact], values)


def _ended(
    request: Any, task_id: str, state: str, result: Any, traceback: Any
) -> tuple[Fact | None, Mapping[str, bytes]]:
    of = {**_of(request), "task": task_id}
    if state == SUCCESS:
        results, values, cached_from = getattr(request, _RESULTS, ((), {}, ""))
        return Returned(**of, results=results, cached_from=cached_from), values
    if state == FAILURE:
        return _failed(of, result, traceback), {}
    if state == RETRY:
        return Retried(**of, reason=_text(result)), {}
    if state == REVOKED:
        return Revoked(**of), {}
    if state == storing.LOST_BODY:
        return Lost(**of, cause=_text(result)), {}
    return None, {}


def _failed(of: dict[str, Any], error: Any, traceback: Any) -> Failed:
    cause = ""
    if isinstance(error, ChainInterruptedException | ChainRevokedException):
        cause = getattr(last_causing_chain_interrupted_exception(error), "task_id", None) or ""
    name = type(error).__name__
    return Failed(**of, error=name, message=_text(error), traceback=end(str(traceback or "")), cause=str(cause))


def _text(error: Any) -> str:
    return "" if error is None else beginning(text_of(error))


# ── how it is told ────────────────────────────────────────────────────────────────────────


def _of(request: Any) -> dict[str, Any]:
    # A worker's main process, and whoever judges, speak of a task and of none of its bodies.
    attempt = getattr(request, _wire.ATTEMPT, None)
    if attempt is None:
        attempt = int(request.retries or 0) + 1 if getattr(request, "hostname", None) else 0
    return {"at": time.time(), "task": str(request.id), "attempt": int(attempt)}


def _run_of(request: Any) -> str:
    return str(getattr(request, "root_id", None) or request.id)


def _tell(backend: Any, run_id: str, facts: Iterable[Fact], values: Mapping[str, bytes] | None = None) -> None:
    if outbox.is_redis(backend):
        outbox.tell_soon(backend, _telling(backend, run_id, facts, values or {}))


def _telling(backend: Any, run_id: str, facts: Iterable[Fact], values: Mapping[str, bytes]) -> list[Command]:
    """The commands that tell facts; now and then, they say again how long the stream is kept."""
    commands: list[Command] = [stream.addition(run_id, map(encoded, facts), values)]
    if _kept_until.get(run_id, 0.0) < (now := time.monotonic()):
        if len(_kept_until) > _RUNS:
            _kept_until.clear()
        _kept_until[run_id] = now + _RENEWED_EVERY
        commands += stream.keeping(run_id, int(backend.expires or _KEPT_FOR))
    return commands
