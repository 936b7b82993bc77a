"""Tasks as spans of OpenTelemetry: one for each that has ended, all of a run in one trace. Needs the extra ``otel``.

Ids follow from the run and its tasks, so whoever tells a task again tells the same span. Names, ids, states and times
leave, and classes of errors; no values, and no texts of errors, which may hold some.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from firexkit import _wire
from firexkit.journal.model import Began, Blocked, Fact, Failed, Lost, Queued, Retried, Returned, Revoked, Unblocked
from firexkit.journal.tree import State, Task, Tree
from firexkit.uid import is_run_id

MOST_WAITING: Final = 10_000
"""Spans that wait to be sent; a recorder that starts late has many at once."""
CLOSING_PATIENCE: Final = 5.0
"""Seconds for the last spans of a run."""
_SYSTEM: Final = "celery"
_NANOSECONDS: Final = 1_000_000_000
_UNKNOWN_SERVICE: Final = "unknown_service"
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_EVENTS: Final[Mapping[type[Fact], str]] = {
    Queued: "queued",
    Began: "began",
    Blocked: "blocked",
    Unblocked: "unblocked",
    Retried: "retried",
    Lost: "lost",
    Revoked: "revoked",
    Failed: _wire.SPAN_EXCEPTION,
}


def trace_id(run_id: str) -> int:
    """The trace of a run: the hexadecimal digits at the end of its id, so that people find one by the other."""
    digits = run_id.rpartition("-")[2] if is_run_id(run_id) else sha256(run_id.encode()).hexdigest()[: 2 * _TRACE_BYTES]
    return int(digits, 16) or 1


def span_id(task_id: str) -> int:
    """The span of a task, all its attempts in it: a child knows no more of its parent than the id."""
    return int.from_bytes(sha256(task_id.encode()).digest()[:_SPAN_BYTES]) or 1


def span_of(tree: Tree, task: Task, run_id: str, resource: Resource | None = None) -> ReadableSpan:
    """A task that has ended, as a span.

    Args:
        tree: what is known of its run.
        task: the task.
        run_id: the run.
        resource: who tells it; None for this process' environment.
    """
    began = task.began
    started = task.started_at if task.started_at is not None else _first_time(task)
    return ReadableSpan(
        name=task.name or task.id,
        context=_context(run_id, task.id),
        parent=_context(run_id, above) if (above := tree.parent_of(task) or task.parent) else None,
        resource=resource or resource_of_environment(),
        attributes={key: value for key, value in _attributes(task, began, run_id) if value},
        events=[*_events(task)],
        links=[*_links(tree, task, run_id)],
        kind=SpanKind.CONSUMER,
        status=_status(task),
        start_time=_nanoseconds(started),
        # Machines differ in their clocks; no span ends before it begins.
        end_time=_nanoseconds(max(started, task.ended_at or started)),
        instrumentation_scope=InstrumentationScope(_wire.SPAN_SERVICE),
    )


def resource_of_environment() -> Resource:
    """Who tells spans: as the environment says, else by our own name."""
    known = Resource.create()
    is_named = not str(known.attributes.get(SERVICE_NAME, _UNKNOWN_SERVICE)).startswith(_UNKNOWN_SERVICE)
    return known if is_named else known.merge(Resource({SERVICE_NAME: _wire.SPAN_SERVICE}))


def _first_time(task: Task) -> float:
    return min((fact.at for fact in task.facts), default=0.0)


def _nanoseconds(at: float) -> int:
    return max(0, round(at * _NANOSECONDS))


def _context(run_id: str, task_id: str) -> SpanContext:
    return SpanContext(trace_id(run_id), span_id(task_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _attributes(task: Task, began: Began | None, run_id: str) -> Iterator[tuple[str, str | int]]:
    yield from ((_wire.SPAN_SYSTEM, _SYSTEM), (_wire.SPAN_OPERATION, "process"))
    yield from ((_wire.SPAN_MESSAGE, task.id), (_wire.SPAN_CONVERSATION, run_id))
    yield from ((_wire.SPAN_TASK, task.name), (_wire.SPAN_STATE, str(task.state)))
    yield _wire.SPAN_ATTEMPTS, len(task.bodies)
    if task.queued is not None:
        yield _wire.SPAN_QUEUE, task.queued.queue
    if began is not None:
        yield from ((_wire.SPAN_WORKER, began.worker), (_wire.SPAN_CODE, began.code))
    if task.state is State.FAILED and task.failure is not None:
        yield _wire.SPAN_ERROR, task.failure.error
    yield _wire.SPAN_CACHED_FROM, next((fact.cached_from for fact in task.facts if isinstance(fact, Returned)), "")


def _events(task: Task) -> Iterator[Event]:
    for fact in task.facts:
        if (name := _EVENTS.get(type(fact))) is not None:
            attributes: dict[str, str | int] = {_wire.SPAN_ATTEMPT: fact.attempt} if fact.attempt else {}
            if isinstance(fact, Failed):
                attributes[_wire.SPAN_EXCEPTION_TYPE] = fact.error
            yield Event(name, attributes, _nanoseconds(fact.at))


def _links(tree: Tree, task: Task, run_id: str) -> Iterator[Link]:
    """To the member before it in its chain, and to the task that it failed because of."""
    if task.queued is not None and task.queued.after:
        yield Link(_context(run_id, task.queued.after), {_wire.SPAN_LINK: "after"})
    if task.state is State.FAILED and (cause := tree.root_cause(task)).id != task.id:
        yield Link(_context(run_id, cause.id), {_wire.SPAN_LINK: "cause"})


def _status(task: Task) -> Status:
    if task.state is State.SUCCEEDED:
        return Status(StatusCode.OK)
    error = task.failure.error if task.state is State.FAILED and task.failure is not None else str(task.state)
    return Status(StatusCode.ERROR, error)


class Spans:
    """The spans of one run, on their way to an exporter; a thread sends them in batches.

    Args:
        run_id: the run.
        exporter: where to.
    """

    def __init__(self, run_id: str, exporter: SpanExporter) -> None:
        self._run_id = run_id
        self._resource = resource_of_environment()
        self._sender = BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING)
        self._told: dict[str, int] = {}

    def tell(self, tree: Tree, task: Task) -> bool:
        """Send a task that has ended; once, unless it was run again.

        Args:
            tree: what is known of its run.
            task: the task; it may not have ended.

        Returns:
            Whether it is sent.
        """
        attempts = len(task.bodies)
        if not task.has_ended or self._told.get(task.id) == attempts:
            return False
        self._told[task.id] = attempts
        self._sender.on_end(span_of(tree, task, self._run_id, self._resource))
        return True

    def close(self, patience: float = CLOSING_PATIENCE) -> bool:
        """Send what is left; whether the exporter was done with it in time.

        Args:
            patience: seconds for it. An exporter whose collector is away tries for a minute, whatever it is told.
        """
        closing = threading.Thread(target=self._close, name="firexkit-spans", daemon=True)
        closing.start()
        closing.join(patience)
        return not closing.is_alive()

    def _close(self) -> None:
        self._sender.shutdown()  # type: ignore[no-untyped-call]  # the SDK is typed in parts; it sends what is left
