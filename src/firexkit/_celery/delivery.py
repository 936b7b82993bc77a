"""A message keeps its delivery tag, however often it is handed to the broker: a second copy of it can be told.

kombu makes a new tag at each try. A broker that took a message, and whose answer was lost, would have two then that
nobody knows to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, Final

from firexkit import _lazy

_TAG: Final = "delivery_tag"

_tags: ContextVar[dict[str, str] | None] = ContextVar("firexkit_delivery_tags", default=None)
"""Tags by the id of the task that is being sent; empty until its message is handed over for the first time."""


@cache
def install() -> None:
    """Let messages of `one_delivery` keep their tags; calling it again does nothing."""
    _lazy.when_imported("kombu.transport.redis", _mend_channels)


@contextmanager
def one_delivery(task_id: str) -> Iterator[None]:
    """All messages for a task that are published in a block are the same one."""
    token = _tags.set({task_id: ""})
    try:
        yield
    finally:
        _tags.reset(token)


def _mend_channels(module: Any) -> None:
    module.Channel._inplace_augment_message = _keeping(module.Channel._inplace_augment_message)


def _keeping(augment: Callable[..., None]) -> Callable[..., None]:
    @wraps(augment)
    def augment_and_keep(channel: Any, message: Any, exchange: str, routing_key: str) -> None:
        augment(channel, message, exchange, routing_key)
        tags, task_id = _tags.get(), (message.get("headers") or {}).get("id")
        if tags is not None and task_id in tags:
            properties = message["properties"]
            tags[task_id] = properties[_TAG] = tags[task_id] or properties[_TAG]

    return augment_and_keep
