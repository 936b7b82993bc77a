"""What a worker's main process does when one of its own dies: the task that it ran may run again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, Final

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from firexkit._celery.patience import outages
from firexkit._celery.recovery import later
from firexkit._crash_points import crash_point

logger: Final = logging.getLogger(__name__)

_AGAIN: Final = 0.5
"""Seconds until a broker that is away is asked again."""


@cache
def install(revive: Callable[[Any, str, str], int]) -> None:
    """Ask before a task fails whose process has died; calling it again does nothing.

    Args:
        revive: gets the app, the task's id and the cause; how many of its processes have died if the task has to fail,
            0 if its message is to be acknowledged and nothing else.
    """
    setattr(Request, "on_failure", _asking(Request.on_failure, revive))  # noqa: B010 - mypy takes methods for fixed


def _asking(fail: Callable[..., None], revive: Callable[[Any, str, str], int]) -> Callable[..., None]:
    @wraps(fail)
    def fail_unless_sent_again(request: Request, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        error = getattr(exc_info.exception, "exc", exc_info.exception)  # billiard wraps it with its traceback
        if isinstance(error, WorkerLostError):
            crash_point("lost: before it is sent again")
            try:
                bodies = revive(request.task.app, request.id, str(error))
            except outages() as outage:
                logger.debug("%s lost its process, and the broker is away: %s", request.id, outage)
                later(_AGAIN, fail_unless_sent_again, request, exc_info, *args, **kwargs)
                return
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
