"""Results switched off, one by one or all that live: a garbage-collected AsyncResult still talks to its backend."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from celery.result import AsyncResult

from firexkit._wire import FIREX_AR_REFS_ATTR

_ORIGINAL = "__firex_untracked_init__"


def disable_async_result(result: Any) -> None:
    """Cut a result, and its known children, off their backend.

    Args:
        result: an AsyncResult; it must not be used afterwards.
    """
    known = getattr(result, "_cache", None) or {}
    # First of all: nothing below may reach for a broker that is gone.
    result.backend = None
    for child in known.get("children") or ():
        disable_async_result(child)


def is_async_result_monkey_patched_to_track() -> bool:
    """Whether every new AsyncResult is remembered."""
    return hasattr(AsyncResult, FIREX_AR_REFS_ATTR)


def monkey_patch_async_result_to_track_instances() -> None:
    """Remember, by weak reference, every AsyncResult made from now on; ``get_ar_instances()`` tells the live ones.

    Raises:
        AssertionError: it is done already.
    """
    if is_async_result_monkey_patched_to_track():
        raise AssertionError("AsyncResult is tracked already")
    references: list[weakref.ref[Any]] = []
    original: Callable[..., None] = AsyncResult.__init__

    def tracked_init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        references.append(weakref.ref(self, references.remove))

    def get_ar_instances() -> list[Any]:
        return [result for reference in tuple(references) if (result := reference()) is not None]

    setattr(AsyncResult, _ORIGINAL, original)
    setattr(AsyncResult, FIREX_AR_REFS_ATTR, references)
    AsyncResult.get_ar_instances = staticmethod(get_ar_instances)
    AsyncResult.__init__ = tracked_init


def teardown_monkey_patch_async_result_to_track_instances() -> None:
    """Stop remembering; safe when nothing was patched."""
    if not is_async_result_monkey_patched_to_track():
        return
    AsyncResult.__init__ = getattr(AsyncResult, _ORIGINAL)
    for name in (_ORIGINAL, FIREX_AR_REFS_ATTR, "get_ar_instances"):
        delattr(AsyncResult, name)


def disable_all_async_results() -> None:
    """Cut every remembered result off its backend; nothing when they are not remembered."""
    if is_async_result_monkey_patched_to_track():
        for result in AsyncResult.get_ar_instances():
            disable_async_result(result)
