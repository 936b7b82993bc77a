"""A task on its way to a queue: its published name, its encoded arguments, and the app that sends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from celery import current_task

from firexkit._celery import outbox
from firexkit._celery.messages import published_name, to_send
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import Wakeup, addressee
from firexkit._wire import WAITER_HEADER
from firexkit.task.large_values import keeper_for_message

_publishing: ContextVar[Any] = ContextVar("firexkit_publishing_app", default=None)


class Publication(NamedTuple):
    """What Celery is asked to send."""

    task: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: dict[str, Any]
    wakeup: Wakeup | None

    def sent(self, result: AsyncResult) -> AsyncResult:
        """Note on the result that this thread is going to be told of it, if so."""
        if self.wakeup is not None:
            self.wakeup.mark(result)
        return result


def publishing_app() -> Any:
    """The app whose task is being sent now: Celery's signal does not tell. None outside of sending."""
    return _publishing.get()


@contextmanager
def publication(
    task: Any, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[Publication]:
    """Prepare one message; parameters are those of Celery's ``apply_async``."""
    serializer = options.get("serializer") or task.serializer or task.app.conf.task_serializer
    how = {"task_name": task.name, "serializer": serializer, "keeper_for": partial(keeper_for_message, task.app)}
    given, named, options = to_send(args or (), kwargs or {}, options, **how)
    wakeup = _addressed(options, task.app.backend)
    token = _publishing.set(task.app)
    try:
        # What a task's body sends has arrived before the task waits for anything, or ends.
        with outbox.gathered(task.app.backend, posts=wakeup is not None and bool(current_task)):
            yield Publication(_under_published_name(task), given, named, options, wakeup)
    finally:
        _publishing.reset(token)


def _addressed(options: dict[str, Any], backend: Any) -> Wakeup | None:
    """Name in a message whoever is told of the task's end; this thread's wakeup if that is it."""
    headers = options.get("headers") or {}
    if WAITER_HEADER in headers:
        return None
    waiter, wakeup = addressee(backend, [options.get("task_id")])
    if waiter:
        options["headers"] = {**headers, WAITER_HEADER: waiter}
    return wakeup


def _under_published_name(task: Any) -> Any:
    """A plugin is sent under the name of the task it replaces, which workers without the plugin know, too."""
    name = published_name(task)
    if name == task.name:
        return task
    # Another object, because every thread uses the task itself.
    stand_in = object.__new__(type(task))
    vars(stand_in).update(vars(task), name=name)
    return stand_in
