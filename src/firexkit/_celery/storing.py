"""States of FireX tasks, written to Redis in one round trip, with what else is told then.

Celery reads a state before it writes one, so that nothing replaces SUCCESS, and publishes each. Here only a write that
may come late is guarded, by a script on the server; a first attempt can replace nothing. STARTED is not published: who
waits is told of ends. The end of a task is published twice: on the channel that Celery's own waiters hear, and on that
of whoever sent the task, if it named one in the message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from typing import Any, Final

from celery.states import FAILURE, READY_STATES, RETRY, REVOKED, STARTED, SUCCESS

from firexkit import _lazy
from firexkit._celery import outbox
from firexkit._celery.dispatch import Command
from firexkit._celery.leases import own_lease
from firexkit._celery.messages import JSON, header_of
from firexkit._crash_points import crash_point
from firexkit._wire import ATTEMPT, LOOK_AT, WAITER_HEADER

logger: Final = logging.getLogger(__name__)

LONGEST_NEWS: Final = 4096
"""Bytes of a stored state that a waiter is sent whole; for longer ones it is told to read."""

# Celery writes the state first, and an attempt's RETRY may come after the end of the next attempt.
_UNLESS: Final = """
local begun = ARGV[5] ~= '' and redis.call('HGET', KEYS[2], 'begun')
if begun and begun ~= ARGV[5] then return -1 end
local stored = redis.call('GET', KEYS[1]) or ''
for at = 6, #ARGV do
    local begins = '{"status": "' .. ARGV[at] .. '"'
    if string.sub(stored, 1, #begins) == begins then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
redis.call('PUBLISH', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
"""
_NEVER_REPLACED: Final = {RETRY: (SUCCESS, FAILURE, REVOKED)}
LOST: Final = -1
"""Answer of the script: the body does not hold the task any more."""
LOST_BODY: Final = "LOST"
"""Told to listeners as if it were a state: a body was lost, and its task is sent again."""
_STORED: Final = "firexkit_stored"
"""Attribute of a request."""
_OUR_STATES: Final = frozenset({STARTED, SUCCESS, FAILURE, RETRY, REVOKED})


Listener = Callable[..., Iterable[Command]]
"""Called as ``listener(backend, task_id, state, result, traceback, request)``; what it returns leaves with a state."""
_listeners: Final[list[Listener]] = []


def listen(listener: Listener) -> None:
    """Tell every state but STARTED that is about to be stored to this listener as well, from now on."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_lost(backend: Any, task_id: str, cause: str, request: Any) -> None:
    """Tell listeners that a body was lost, and that its task is sent again.

    Args:
        backend: its result backend.
        task_id: the task.
        cause: why.
        request: what is left of it.
    """
    if commands := [*_told(backend, task_id, LOST_BODY, cause, None, request)]:
        outbox.tell(backend, commands)


def _told(backend: Any, task_id: str, state: str, result: Any, traceback: Any, request: Any) -> Iterator[Command]:
    if state != STARTED:
        for listener in _listeners:
            yield from listener(backend, task_id, state, result, traceback, request)


@cache
def install() -> None:
    """Write states of FireX tasks so, in every app of this process; calling it again does nothing."""
    _lazy.when_imported("celery.backends.redis", _mend_backend)


def _mend_backend(module: Any) -> None:
    backend = module.RedisBackend
    backend._store_result = _storing(backend._store_result)
    backend.on_task_call = _calling(backend.on_task_call)


def _calling(on_task_call: Callable[..., None]) -> Callable[..., None]:
    @wraps(on_task_call)
    def subscribe_unless_ours(self: Any, producer: Any, task_id: str) -> None:
        # Who waits for a FireX task subscribes then; Celery would for every task, whoever waits.
        if not outbox.is_open():
            on_task_call(self, producer, task_id)

    return subscribe_unless_ours


def _storing(store: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(store)
    def store_in_one_go(
        self: Any, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        told = [*_told(self, task_id, state, result, traceback, request)]
        if self.serializer != JSON or state not in _OUR_STATES or not _is_ours(self.app, request, state):
            if told:
                outbox.tell(self, told)
            return store(self, task_id, result, state, traceback=traceback, request=request, **kwargs)
        if state == STARTED and getattr(request, ATTEMPT, None) == 0:
            return result  # it does not begin
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        value = self.encode({**meta, "task_id": task_id})
        if state in (SUCCESS, FAILURE):
            setattr(request, _STORED, True)
        is_unsure = _is_unsure(self.app, request)
        commands = [*_commands(self, task_id, value, state, request, is_unsure=is_unsure)]
        _write(self, task_id, state, commands, told, is_unsure=is_unsure)
        return result

    return store_in_one_go


def _write(
    backend: Any, task_id: str, state: str, commands: list[Command], told: list[Command], *, is_unsure: bool
) -> None:
    if is_unsure:
        _store_unless_lost(backend, task_id, commands, told)
    elif state == STARTED and outbox.is_open():
        outbox.tell(backend, commands)
    else:
        crash_point("end: before the state")
        backend.ensure(outbox.tell_now, (backend, *commands, *told))
        crash_point("end: after the state")


def stores_in_order(backend: Any) -> bool:
    """Whether the state of a chain's member is stored before the next member is sent."""
    return bool(backend.serializer == JSON) and outbox.is_shared(backend)


def is_stored(request: Any) -> bool:
    """Whether a task has stored how its body ended."""
    return bool(getattr(request, _STORED, False))


def _is_ours(app: Any, request: Any, state: str) -> bool:
    if request is None:
        # A worker that is told to revoke a task says so before it knows anything of it.
        return bool(state == REVOKED)
    task = app.tasks.get(getattr(request, "task", None))
    return bool(getattr(task, "takes_chain_depth", False))


def _commands(
    backend: Any, task_id: str, value: str, state: str, request: Any, *, is_unsure: bool
) -> Iterator[Command]:
    key, expires = backend.get_key_for_task(task_id), int(backend.expires or 0)
    waiter = _waiter(state, request)
    news = value if len(value) <= LONGEST_NEWS else f"{LOOK_AT}{task_id}"
    if is_unsure or _may_be_late(state, request):
        unless = _NEVER_REPLACED.get(state, (SUCCESS,))
        yield ("EVAL", _UNLESS, 2, key, task_id, value, expires, waiter, news, _tag(request), *unless)
        return
    yield ("SETEX", key, expires, value) if expires else ("SET", key, value)
    if state != STARTED:
        yield ("PUBLISH", key, value)
    if waiter:
        yield ("PUBLISH", waiter, news)


def _is_unsure(app: Any, request: Any) -> bool:
    """Whether a body that ends now may have been taken for lost: its process could not say that it lives."""
    return bool(getattr(request, ATTEMPT, 0)) and not own_lease().is_sure_of(request.id, app.conf)


def _tag(request: Any) -> str:
    """The tag of the message whose body tells its state; empty when nobody's body does."""
    return str((request.properties or {}).get("delivery_tag") or "") if getattr(request, ATTEMPT, 0) else ""


def _store_unless_lost(backend: Any, task_id: str, commands: list[Command], told: list[Command]) -> None:
    """Store a state, and send what comes after it, unless the body was taken for lost: then others have the task."""
    if backend.ensure(outbox.ask, (backend, commands))[0] != LOST:
        backend.ensure(outbox.tell_now, (backend, *told))
        return
    outbox.dropped()
    logger.warning("%s: this body was taken for lost; how it ended does not count", task_id)


def _waiter(state: str, request: Any) -> str:
    """The channel of whoever waits for what has ended now: not for a member in the middle of a chain that goes on."""
    if request is None or state not in READY_STATES or (state == SUCCESS and request.chain):
        return ""
    return str(header_of(request, WAITER_HEADER) or _option(request, WAITER_HEADER) or "")


def _option(request: Any, header: str) -> Any:
    """A header of a message that was never sent: Celery fails the rest of a broken chain from its signatures."""
    return ((getattr(request, "options", None) or {}).get("headers") or {}).get(header)


def _may_be_late(state: str, request: Any) -> bool:
    """Whether the task may have ended already: another attempt, or another worker, may have been quicker."""
    if state not in (STARTED, SUCCESS):
        return True
    return bool(request.retries) or bool((request.delivery_info or {}).get("redelivered"))
