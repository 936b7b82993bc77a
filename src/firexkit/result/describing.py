"""What a failed result looks like where values are only shown."""

from __future__ import annotations

from typing import Any

from celery.states import FAILURE

from firexkit._celery.types import AsyncResult
from firexkit._serialization import describe_with
from firexkit.result.errors import first_non_chain_interrupted_exception
from firexkit.result.lookups import get_task_name_from_result


def _is_failed(value: Any) -> bool:
    return isinstance(value, AsyncResult) and value.state == FAILURE and bool(get_task_name_from_result(value))


def _describe(result: Any) -> str:
    name = get_task_name_from_result(result).rsplit(".", 1)[-1]
    cause = result.result
    root = first_non_chain_interrupted_exception(cause) if isinstance(cause, BaseException) else cause
    return f"{name} failed: {root}"


def install() -> None:
    """Show failed results by their task and root cause."""
    describe_with(_is_failed, _describe)
