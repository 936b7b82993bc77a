"""The one place where facts about tasks are told to listeners.

Celery's event dispatcher is the first listener; others (a journal, say) attach with :func:`listen`. A listener that
fails is logged and never fails the task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from firexkit import _wire
from firexkit._celery import events
from firexkit._celery.patience import is_transient

logger: logging.Logger = logging.getLogger(__name__)

Listener = Callable[..., None]
"""Called as ``listener(task, event_type, **fields)`` while the task's request is current."""


def _tell_celery(task: Any, event_type: str, **fields: Any) -> None:
    # Nobody monitors a task that runs in its caller's process, and there may be no broker at all.
    if task.request.is_eager or event_type == _wire.EVENT_FAILING:
        return
    events.send(task, event_type, fields)


_listeners: list[Listener] = [_tell_celery]


def is_heard(task: Any) -> bool:
    """Whether what the kit tells by itself may reach anybody: nobody needs to render what nobody heard just now."""
    is_overridden = type(task).send_event.__module__ != f"{__package__}.task.base"
    return is_overridden or len(_listeners) > 1 or not events.are_unheard(task)


def listen(listener: Listener) -> None:
    """Tell every fact to this listener as well, from now on."""
    if listener not in _listeners:
        _listeners.append(listener)


def announce(task: Any, event_type: str, **fields: Any) -> None:
    """Tell every listener a fact about the task that runs now.

    Args:
        task: the task; its current request tells which execution.
        event_type: the event's name, from ``_wire``.
        **fields: what is told; JSON-able.
    """
    for listener in tuple(_listeners):
        try:
            listener(task, event_type, **fields)
        except SoftTimeLimitExceeded:
            raise  # it is meant for the task that tells, and may strike anywhere
        except Exception as error:
            if is_transient(error):
                logger.warning("%s: nobody was told %s, the broker is away: %s", task.name, event_type, error)
            else:
                logger.exception("%s: nobody was told %s by %r", task.name, event_type, listener)
