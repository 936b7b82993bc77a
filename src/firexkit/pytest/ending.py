"""How a chain ended: what it returned, and which task failed by itself, of what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firexkit.result import (
    ChainException,
    first_non_chain_interrupted_exception,
    get_results,
    last_causing_chain_interrupted_exception,
)

if TYPE_CHECKING:
    from firexkit._celery.types import AsyncResult


@dataclass(frozen=True)
class Ending:
    """How a chain ended.

    Attributes:
        results: what it returned, by name, as far as it came.
        error: what the task that failed by itself raised; None if the chain succeeded.
        failed_id: that task; empty if none is to blame.
    """

    results: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    failed_id: str = ""


def ending_of(error: ChainException, result: AsyncResult) -> Ending:
    """How a chain ended that was interrupted.

    Args:
        error: what waiting for it ended with.
        result: of its last task.
    """
    blamed = getattr(last_causing_chain_interrupted_exception(error), "task_id", None)
    return Ending(get_results(result), first_non_chain_interrupted_exception(error), str(blamed or ""))
