"""Which of a task's hooks are its user's: nothing is kept back while one of those runs."""

from __future__ import annotations

from typing import Any, Final

_OURS: Final = frozenset({f"{__package__}.base", "celery.app.task"})


def is_users(task: Any, hook: str) -> bool:
    """Whether a hook of a task is neither the kit's own nor Celery's."""
    # Not type(): Celery may hand over a promise of the task.
    return getattr(task.__class__, hook).__module__ not in _OURS
