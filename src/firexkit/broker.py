"""Calls that survive a broker which is away for a moment, and the event that tells about them."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar, overload

from celery import current_task

from firexkit._celery.patience import is_transient, patiently
from firexkit._wire import (
    BROKER_CAME_BACK,
    BROKER_STAYED_AWAY,
    BROKER_TRIES,
    EVENT_INSTRUMENTATION,
    INSTRUMENTATION_LABEL,
    INSTRUMENTATION_STACK,
)

__all__ = ["handle_broker_timeout", "send_task_instrumentation_event"]

logger: logging.Logger = logging.getLogger(__name__)

Value = TypeVar("Value")


@overload
def handle_broker_timeout(
    callable_func: Callable[..., Value],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    timeout: float | None = 900,
    retry_delay: float = 1,
    reraise_on_timeout: Literal[True] = True,
) -> Value: ...
@overload
def handle_broker_timeout(
    callable_func: Callable[..., Value],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    timeout: float | None = 900,
    retry_delay: float = 1,
    reraise_on_timeout: bool = True,
) -> Value | None: ...
def handle_broker_timeout(
    callable_func: Callable[..., Value],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    timeout: float | None = 900,
    retry_delay: float = 1,
    reraise_on_timeout: bool = True,
) -> Value | None:
    """Return what ``callable_func(*args, **kwargs)`` returns, trying again while the broker is away.

    Args:
        callable_func: what to do; it must be safe to repeat after it failed.
        args: its positional arguments.
        kwargs: its keyword arguments.
        timeout: seconds after which a failure is final; None or 0 tries forever.
        retry_delay: seconds before the second try; later pauses grow to ten times as much.
        reraise_on_timeout: when false, a final failure returns None.

    Returns:
        What the call returned.

    Raises:
        Exception: what the call raised, at once if it isn't about the connection, else after ``timeout``.
    """
    call = partial(callable_func, *args, **(kwargs or {}))
    try:
        return patiently(call, timeout=timeout or None, retry_delay=retry_delay, report=_report)
    except Exception as error:
        if reraise_on_timeout or not is_transient(error):
            raise
        return None


def _report(succeeded: bool, tries: int) -> None:
    label = BROKER_CAME_BACK if succeeded else BROKER_STAYED_AWAY
    fields: dict[str, Any] = {INSTRUMENTATION_LABEL: label, BROKER_TRIES: tries}
    send_task_instrumentation_event(**fields)


def send_task_instrumentation_event(event_type: str = EVENT_INSTRUMENTATION, **fields: Any) -> None:
    """Tell listeners, in the name of the current task, about the kit's own work; with the stack of the caller.

    Without a current task, and in a task called as a plain function, nothing is sent.

    Args:
        event_type: name of the event.
        **fields: what JSON can carry.
    """
    if not current_task or current_task.request.called_directly:
        return
    stack = traceback.format_stack()[:-1]
    try:
        current_task.send_event(event_type, **{INSTRUMENTATION_STACK: stack, **fields})
    except Exception:
        # The event is about a broker in trouble; losing it must not fail the task that got through.
        logger.warning("could not send the event %s", event_type, exc_info=True)
