"""A task that must run before another one unless its arguments say that it need not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import current_task

from firexkit._wire import NOT_INHERITED
from firexkit.argument_conversion import ConverterRegister
from firexkit.task.names import short


def task_prerequisite(
    pre_req_task: Any, key: str | None = None, trigger: Callable[[Any], Any] = bool
) -> Callable[[Any], Any]:
    """Register a prerequisite to a task. Written above ``@app.task``; of several, the lowest runs first.

    Args:
        pre_req_task: the task to be run, and waited for, if the trigger returns something false.
        key: the argument the trigger gets; without it, the trigger gets all arguments as a dict.
        trigger: decides.

    Raises:
        TypeError: the trigger is not callable.
    """
    if not callable(trigger):
        raise TypeError(f"trigger must be callable, not {type(trigger).__name__}")

    def decorate(task: Any) -> Any:
        def needs(kwargs: dict[str, Any]) -> None:
            if not trigger(kwargs.get(key) if key else kwargs):
                given = {name: value for name, value in kwargs.items() if name not in NOT_INHERITED}
                current_task.enqueue_child(pre_req_task.s(**given), block=True)

        needs.__name__ = f"{short(task.name)}Needs{short(pre_req_task.name)}"
        before = ConverterRegister.list_converters(task.name, pre_task=True)
        ConverterRegister.register_for_task(task, True, *before)(needs)
        return task

    return decorate
