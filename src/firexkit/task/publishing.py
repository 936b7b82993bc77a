"""A task on its way to a queue: its published name, its encoded arguments, and the app that sends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from firexkit._celery.messages import published_name, to_send

_publishing: ContextVar[Any] = ContextVar("firexkit_publishing_app", default=None)


class Publication(NamedTuple):
    """What Celery is asked to send."""

    task: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: dict[str, Any]


def publishing_app() -> Any:
    """The app whose task is being sent now: Celery's signal does not tell. None outside of sending."""
    return _publishing.get()


@contextmanager
def publication(
    task: Any, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[Publication]:
    """Prepare one message; parameters are those of Celery's ``apply_async``."""
    serializer = options.get("serializer") or task.serializer or task.app.conf.task_serializer
    prepared = to_send(args or (), kwargs or {}, options, task_name=task.name, serializer=serializer)
    token = _publishing.set(task.app)
    try:
        yield Publication(_under_published_name(task), *prepared)
    finally:
        _publishing.reset(token)


def _under_published_name(task: Any) -> Any:
    """A plugin is sent under the name of the task it replaces, which workers without the plugin know, too."""
    name = published_name(task)
    if name == task.name:
        return task
    # Another object, because every thread uses the task itself.
    stand_in = object.__new__(type(task))
    vars(stand_in).update(vars(task), name=name)
    return stand_in
