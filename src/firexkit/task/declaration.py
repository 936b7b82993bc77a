"""What a task's definition says, read once when the task is made."""

from __future__ import annotations

import inspect
import sys
from contextvars import ContextVar
from typing import Any

from firexkit import _returns
from firexkit._celery.requests import accept_any_arguments
from firexkit._functions import declared_by_decorator, undecorate, undecorate_func
from firexkit._serialization import allow_signature
from firexkit._wire import REPLACEMENT_TASK_NAME_POSTFIX
from firexkit.task.beginning import check_mode
from firexkit.task.errors import IllegalTaskNameException
from firexkit.task.flame import CONFIGS_ATTRIBUTE, configs_from_option
from firexkit.task.secrets import secret_parameters


class Executions:
    """The calls of one task that run in this context, one within the other."""

    def __init__(self) -> None:
        self._running: ContextVar[tuple[Any, ...]] = ContextVar("firexkit_executions", default=())

    @property
    def top(self) -> Any:
        """The innermost; None when none runs."""
        running = self._running.get()
        return running[-1] if running else None

    def push(self, execution: Any) -> None:
        """A call begins."""
        self._running.set((*self._running.get(), execution))

    def pop(self) -> None:
        """The innermost call has ended."""
        self._running.set(self._running.get()[:-1])


def read(task: Any) -> None:
    """Check a task's definition and keep what follows from it on the task.

    Raises:
        IllegalTaskNameException: the name is kept for replaced tasks.
        ReturnsCodingException: the returns are declared twice.
        ValueError: ``on_lost`` is no mode.
    """
    _check_name(task)
    check_mode(task.on_lost, f"{task.name}: on_lost")
    innermost = undecorate_func(task.run)
    task.executions = Executions()
    task.sig = inspect.signature(task.run)
    task.undecorated = undecorate(task)
    task.return_keys = _return_keys(task)
    task.code_filepath = getattr(sys.modules.get(task.__module__), "__file__", None)
    task.from_plugin = False
    task.flame_data_configs = {**getattr(innermost, CONFIGS_ATTRIBUTE, {}), **configs_from_option(task.flame)}
    allow_signature(innermost)
    task.secret_parameters = secret_parameters(innermost)
    accept_any_arguments(task)


def _check_name(task: Any) -> None:
    if task.check_name_for_override_posfix and task.called_as_orig:
        raise IllegalTaskNameException(
            f"{task.name}: names that end with {REPLACEMENT_TASK_NAME_POSTFIX!r} are kept for replaced tasks"
        )


def _return_keys(task: Any) -> tuple[str, ...]:
    decorated = declared_by_decorator(task.run)
    if task.returns and decorated:
        raise _returns.ReturnsCodingException(f"{task.name}: give its returns by @returns or by returns=, not by both")
    return decorated or _returns.declared(task.returns or (), where=str(task.name))
