"""States of many results in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from celery.backends.base import DisabledBackend
from celery.result import AsyncResult
from celery.states import FAILURE, PENDING, REVOKED, SUCCESS

from firexkit._celery.patience import patience_of, patiently


def refresh(results: Sequence[Any]) -> dict[str, str]:
    """The states of results by id, read together where the backend can.

    What ended is remembered by the result itself, so nobody reads it again; but for REVOKED, which Celery says before
    the body has ended, and which how that ends replaces.

    Args:
        results: AsyncResults, or objects that only have ``id`` and ``state``.
    """
    states: dict[str, str] = {}
    unread: dict[Any, list[AsyncResult]] = {}
    for result in results:
        if is_remembered(result) and result._cache["status"] == REVOKED:
            forget_what_was_read(result)
        if _can_be_read_together(result):
            unread.setdefault(result.backend, []).append(result)
        else:
            states[result.id] = str(patiently(_state, result))
    for backend, together in unread.items():
        states.update(_read(backend, together))
    return states


def keeps_results(backend: Any) -> bool:
    """Whether a backend can tell how a task ended: an app without one can't."""
    return not isinstance(backend, DisabledBackend)


def _state(result: Any) -> Any:
    """The state of anything that can be waited for; a group's follows from its members'."""
    if not keeps_results(getattr(result, "backend", None)):
        # Celery's own error for it says what is missing; asking for the state would not.
        return result.backend.get_state(result.id)
    if hasattr(result, "state") or not hasattr(result, "results"):
        return result.state
    if not result.ready():
        return PENDING
    return FAILURE if result.failed() else SUCCESS


def remember(results: Iterable[Any], meta: Mapping[str, Any]) -> None:
    """Let results of one task know what was stored about it, as if they had read it themselves."""
    for result in results:
        if isinstance(result, AsyncResult) and result._cache is None:
            result._maybe_set_cache(dict(meta))


def is_remembered(result: Any) -> bool:
    """Whether a result knows how its task ended."""
    return getattr(result, "_cache", None) is not None


def forget_what_was_read(result: AsyncResult) -> None:
    """Make a result read its state anew."""
    result._cache = None


def _can_be_read_together(result: Any) -> bool:
    # Somebody who overrides `state` wants to be asked; an ended result answers from memory.
    return (
        isinstance(result, AsyncResult)
        and type(result).state is AsyncResult.state
        and result._cache is None
        and hasattr(getattr(result.backend, "client", None), "hgetall")
    )


def _read(backend: Any, results: list[AsyncResult]) -> dict[str, str]:
    keys = [backend.get_key_for_task(result.id) for result in results]
    payloads = patiently(backend.mget, keys, timeout=partial(patience_of, backend.app.conf))
    states = {}
    for result, payload in zip(results, payloads, strict=True):
        meta = backend.decode_result(payload) if payload else {"status": PENDING, "result": None}
        states[result.id] = str(meta["status"])
        result._maybe_set_cache(meta)
    return states
