"""The request under which a task runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from celery import current_task
from celery._state import _task_stack
from celery.app.task import Context


@contextmanager
def request_for_direct_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Give a task that is called as a function a request of its own, within the run of the task that calls it."""
    caller = current_task._get_current_object() if current_task else None
    root_id = caller.request.root_id if caller is not None else None
    _task_stack.push(task)
    task.request_stack.push(Context(args=args, kwargs=kwargs, root_id=root_id))
    try:
        yield
    finally:
        task.request_stack.pop()
        _task_stack.pop()


def accept_any_arguments(task: Any) -> None:
    """Let a task be sent with whatever arguments: the bag decides what reaches its function, when it runs."""
    task.__header__ = _accept_all


def _accept_all(*_args: Any, **_kwargs: Any) -> None:
    """Stand in for the check that Celery makes of a function's parameters before it sends a task."""
