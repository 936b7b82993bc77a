"""The request under which a task runs."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import billiard
import celery
from celery._state import _task_stack
from celery.app.task import Context

_MACHINERY = tuple(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (billiard, celery))

_BILLIARDS_EXIT = "exit"
"""What a process of billiard's pool has in the place of ``sys.exit``."""


class RequestForDirectCall:
    """A request for a task that is called as a function, within the run of the task that calls it.

    A class, because a generator would cost as much as all that is done here.

    Args:
        task: the task.
        args: the positional arguments of the call.
        kwargs: the keyword arguments of the call.
    """

    __slots__ = ("_request", "_task")

    def __init__(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        caller = _task_stack.top
        root_id = caller.request.root_id if caller is not None else None
        # Made without Celery's search for headers of a message: there is none, and it takes as long as all the rest.
        self._task, self._request = task, Context.__new__(Context)
        self._request.update(args=args, kwargs=kwargs, root_id=root_id)

    def __enter__(self) -> None:
        _task_stack.push(self._task)
        self._task.request_stack.push(self._request)

    def __exit__(self, *_: object) -> None:
        self._task.request_stack.pop()
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
