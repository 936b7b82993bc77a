"""What a worker's main process does when one of its own dies: the task that it ran may run again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from firexkit._crash_points import crash_point


@cache
def install(lost_bodies: Callable[[Any, str, str], int]) -> None:
    """Ask before a task fails whose process has died; calling it again does nothing.

    Args:
        lost_bodies: gets the app, the task's id and the cause, and sends the task again if it may run again; how many
            of its bodies are lost if it does not, else 0.
    """
    setattr(Request, "on_failure", _asking(Request.on_failure, lost_bodies))  # noqa: B010 - mypy takes methods for fixed


def _asking(fail: Callable[..., None], lost_bodies: Callable[[Any, str, str], int]) -> Callable[..., None]:
    @wraps(fail)
    def fail_unless_sent_again(request: Request, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        error = getattr(exc_info.exception, "exc", exc_info.exception)  # billiard wraps it with its traceback
        if isinstance(error, WorkerLostError):
            crash_point("lost: before it is sent again")
            bodies = lost_bodies(request.task.app, request.id, str(error))
            if not bodies:
                crash_point("lost: before its message is acknowledged")
                task_ready(request)
                request.acknowledge()
                return
            times = f", the last of {bodies}" if bodies > 1 else ""
            told = f"{request.name}[{request.id}] lost its process{times} in {request.hostname}: {error}"
            exc_info.exception = WorkerLostError(told)
        fail(request, exc_info, *args, **kwargs)

    return fail_unless_sent_again
