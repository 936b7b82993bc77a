"""A retry repeats the whole call: the message is sent again as it came."""

from __future__ import annotations

import logging
from typing import Any

from firexkit._celery.messages import is_encoded, received
from firexkit._serialization.large import Read
from firexkit._wire import ENCODED_ARGS_OPTION, USE_CACHE
from firexkit.task.large_values import reader_of

logger: logging.Logger = logging.getLogger(__name__)

_POSITIONAL = ("args", "kwargs", "exc", "throw", "eta", "countdown", "max_retries")
"""The parameters of Celery's ``Task.retry``, in order."""


def options_of_retry(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Options for Celery's ``Task.retry``; the attempt that failed is logged."""
    options = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
    if task.request.called_directly:
        return options
    limit = options.get("max_retries")
    _log_attempt(task, task.max_retries if limit is None else limit)
    return _with_message(task.request, options, reader_of(task.app))


def _log_attempt(task: Any, max_retries: int | None) -> None:
    done = task.request.retries
    if done == max_retries:
        logger.error("%s: all %s attempts failed", task.name, done + 1)
    else:
        logger.warning("%s: attempt %s failed; trying again", task.name, done + 1)


def _with_message(request: Any, options: dict[str, Any], read: Read) -> dict[str, Any]:
    use_cache = (request.properties or {}).get(USE_CACHE)
    if use_cache is not None:
        options.setdefault(USE_CACHE, use_cache)
    if not is_encoded(request):
        return options
    if options.get("args") is None and options.get("kwargs") is None:
        return {**options, ENCODED_ARGS_OPTION: len(request.args or ())}
    args, kwargs = received(request, request.args or (), request.kwargs or {}, read)
    given = {name: value for name, value in options.items() if value is not None}
    return {"args": args, "kwargs": kwargs, **given}
