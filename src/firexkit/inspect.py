"""Questions to running workers: what they run, hold, have planned and were told to revoke.

Each function returns the answers by worker name, or None if nobody answered; each takes the options of
`inspect_with_retry`, as keywords.
"""

from typing import Any

from firexkit._celery.control import ask, inspect_with_retry

__all__ = [
    "get_active",
    "get_active_queues",
    "get_reserved",
    "get_revoked",
    "get_scheduled",
    "get_task",
    "inspect_with_retry",
    "ping",
]


def get_active(**options: Any) -> dict[str, Any] | None:
    """The calls each worker is executing; options as in `inspect_with_retry`."""
    return ask("active", **options)


def get_reserved(**options: Any) -> dict[str, Any] | None:
    """The calls each worker took from its queues and has not started; options as in `inspect_with_retry`."""
    return ask("reserved", **options)


def get_scheduled(**options: Any) -> dict[str, Any] | None:
    """The calls each worker holds until their time has come; options as in `inspect_with_retry`."""
    return ask("scheduled", **options)


def get_revoked(**options: Any) -> dict[str, Any] | None:
    """The ids each worker will not execute; options as in `inspect_with_retry`."""
    return ask("revoked", **options)


def get_active_queues(**options: Any) -> dict[str, Any] | None:
    """The queues each worker takes calls from; options as in `inspect_with_retry`."""
    return ask("active_queues", **options)


def get_task(**options: Any) -> dict[str, Any] | None:
    """What each worker knows of the ids in ``method_args``; other options as in `inspect_with_retry`."""
    return ask("query_task", **options)


def ping(**options: Any) -> dict[str, Any] | None:
    """The workers that are alive; options as in `inspect_with_retry`."""
    return ask("ping", **options)
