"""The request under which a task runs."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import billiard
import celery
from celery import current_task
from celery._state import _task_stack
from celery.app.task import Context

_MACHINERY = tuple(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (billiard, celery))

_BILLIARDS_EXIT = "exit"
"""What a process of billiard's pool has in the place of ``sys.exit``."""


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


def raised_by_machinery(error: BaseException) -> bool:
    """Whether Celery or its pool raised something itself, as their signal handlers do, and no function of a user."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    if codes and codes[-1].co_name == _BILLIARDS_EXIT and codes[-1].co_filename.startswith(_MACHINERY):
        codes.pop()
    return not codes or codes[-1].co_filename.startswith(_MACHINERY)
