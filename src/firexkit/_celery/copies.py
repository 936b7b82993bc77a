"""A task once more, under another name."""

from __future__ import annotations

from typing import Any
from weakref import ReferenceType

from celery import signals


def under_name(task: Any, name: str, **attributes: Any) -> Any:
    """A task that differs from another one in its name only, not registered yet.

    Both have one stack of requests: in the function of a task that is not bound, the task's global name stands for
    the first, whichever of the two runs.

    Args:
        task: the task.
        name: the full name of the other one.
        **attributes: of its class.
    """
    made, kind = vars(task), type(task)
    namespace = {"__doc__": kind.__doc__, "__module__": kind.__module__, "name": name, **attributes}
    copy: Any = object.__new__(type(kind.__name__, (kind,), namespace))
    vars(copy).update(made)
    # A retry would be one of the first task's: these are made anew when the copy is registered.
    bound = ("__trace__", "name", *(("run", "_orig_run") if "_orig_run" in made else ()))
    for attribute in bound:
        vars(copy).pop(attribute, None)
    return copy


def copy_receivers(task: Any, copy: Any) -> None:
    """Let those who receive Celery's signals about a task, or about its name, receive them about its copy, too."""
    for signal in (getattr(signals, name) for name in signals.__all__):
        for (receiver_id, sender_id), kept in list(signal.receivers):
            sender = {id(task): copy, task.name: copy.name}.get(sender_id)
            weak = isinstance(kept, ReferenceType)
            receiver = kept() if weak else kept
            if sender is not None and receiver is not None:
                signal.connect(receiver, sender=sender, weak=weak, dispatch_uid=receiver_id)
