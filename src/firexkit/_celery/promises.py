"""Tasks that an app has not made yet, and tasks that every app makes for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.local import PromiseProxy, Proxy


def when_made(task: Any, act: Callable[[], None]) -> None:
    """Call ``act`` once the app has made the task: now if it has, else before anybody can use it.

    ``@app.task`` gives a promise. To look at it makes the task at once, with settings that the app may not have yet.
    """
    if issubclass(type(task), PromiseProxy):
        task.__then__(act)
    else:
        act()


def is_made_by_each_app(task: Any) -> bool:
    """Whether ``@shared_task`` gave it: it stands for another task object in each app."""
    # isinstance would ask the current app for its task.
    return issubclass(type(task), Proxy) and not issubclass(type(task), PromiseProxy)
