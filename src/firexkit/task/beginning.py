"""The beginning of a body: the store decides whether it may begin, and who holds it from then on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from time import monotonic
from typing import Any, Final

from celery.exceptions import Ignore

from firexkit import _wire
from firexkit._celery.leases import lease_time, main_lease, own_lease
from firexkit._celery.patience import patience_of, patiently
from firexkit._crash_points import crash_point
from firexkit._records import Begun, RedisHolding, Refusal

logger: logging.Logger = logging.getLogger(__name__)

MODES: Final = (_wire.FAIL_LOST, _wire.RETRY_LOST)
_BEGUN: Final = "firexkit_begun"
"""Attribute of a request: what the store answered."""
_FAILED: Final = "firexkit_begin_error"
"""Attribute of a request: why the store could not answer."""
_CALL: Final = "firexkit_call"
"""Attribute of a request: what tells its beginning from every other."""
_calls: Final = itertools.count()


def begin(task: Any, holding: RedisHolding, run: str) -> None:
    """Ask whether a body may begin, and hold it if so; a broker that is away is waited for, however long.

    Args:
        task: its request is the one of this call.
        holding: who holds the tasks of its app.
        run: the run it belongs to.
    """
    crash_point("begin: before the script")
    try:
        begun = patiently(_begun, task, holding, run, timeout=None)
    except Exception as error:
        setattr(task.request, _FAILED, error)  # Celery would only log it
        return
    crash_point("begin: after the script")
    setattr(task.request, _BEGUN, begun)
    setattr(task.request, _wire.ATTEMPT, begun.attempt)
    if begun.refusal is None:
        lease = own_lease()
        lease.task_ids.add(task.request.id)
        lease.keep(task.backend)
        return
    logger.warning("%s[%s] does not begin here: %s", task.name, task.request.id, begun.refusal.value)
    if begun.refusal is Refusal.REVOKED:
        task.backend.mark_as_revoked(task.request.id, "revoked", request=task.request)
        task.send_event("task-revoked", terminated=False, signum=None, expired=False)


def end(task: Any) -> None:
    """Hold the body no more."""
    if (begun := _answer(task.request)) is not None and begun.refusal is None:
        own_lease().drop(task.request.id)


def check_begun(task: Any) -> None:
    """Let a body go on only if it may.

    Args:
        task: its request is the one of this call.

    Raises:
        Ignore: it was refused: another body counts, or the task has ended.
        RuntimeError: the store could not decide.
    """
    request = task.request
    if (error := getattr(request, _FAILED, None)) is not None:
        told = f"{task.name}[{request.id}] does not begin, as the broker refuses to note that: {error}"
        raise RuntimeError(told) from error
    if (refusal := refusal_of(request)) is not None:
        raise Ignore(refusal.value)


def refusal_of(request: Any) -> Refusal | None:
    """Why a body must not begin; None when it may."""
    begun = _answer(request)
    return None if begun is None else begun.refusal


def _answer(request: Any) -> Begun | None:
    return getattr(request, _BEGUN, None)


def _begun(task: Any, holding: RedisHolding, run: str) -> Begun:
    request, lease, at = task.request, own_lease(), monotonic()
    renewal = lease.due(task.app.conf)
    begun = holding.begin(
        request.id,
        tag=tag_of(request),
        call=_call_of(request),
        holder=" ".join(dict.fromkeys((lease.name, main_lease().name))),
        is_forced=not getattr(task, "takes_chain_depth", False),
        fields=[*_fields(task, run)],
        also=renewal,
    )
    if renewal:
        lease.renewed(at)
    return begun


def _call_of(request: Any) -> str:
    """The same for each time that one call asks: an answer may get lost."""
    if not hasattr(request, _CALL):
        setattr(request, _CALL, f"{own_lease().name}#{next(_calls)}")
    return str(getattr(request, _CALL))


def tag_of(request: Any) -> str:
    """The delivery tag of the message that a call came with."""
    return str((request.properties or {}).get("delivery_tag") or "")


def _fields(task: Any, run: str) -> Iterator[Any]:
    yield from (_wire.FIELD_NAME, task.name, _wire.FIELD_RUN, run, _wire.FIELD_ON_LOST, mode_of(task))
    if task.request.parent_id:
        yield from (_wire.FIELD_PARENT, task.request.parent_id)
    if task.acks_late:
        yield from (_wire.FIELD_LATE, 1)


def mode_of(task: Any) -> str:
    """What becomes of a task whose process dies: its own word, else the app's, else Celery's."""
    if (own := getattr(task, "on_lost", None)) is not None:
        return str(own)
    celerys = _wire.RETRY_LOST if task.reject_on_worker_lost else _wire.FAIL_LOST
    return str(task.app.conf.get(_wire.ON_LOST_SETTING) or celerys)


def check_settings(conf: Any) -> None:
    """Check what an app says about processes that die.

    Args:
        conf: its configuration.

    Raises:
        ValueError: a setting makes no sense.
    """
    lease_time(conf)
    patience_of(conf)
    check_mode(conf.get(_wire.ON_LOST_SETTING), _wire.ON_LOST_SETTING)


def check_mode(mode: Any, where: str) -> None:
    """Check what somebody says about tasks whose process dies.

    Args:
        mode: what they say; None for nothing.
        where: where they say it.

    Raises:
        ValueError: it is no mode.
    """
    if mode is not None and mode not in MODES:
        raise ValueError(f"{where} is {mode!r}; give {' or '.join(map(repr, MODES))}")
