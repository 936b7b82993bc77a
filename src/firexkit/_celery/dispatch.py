"""Commands on their way to a Redis server: sent at once, their answers read when somebody needs them.

A task that begins has nothing to learn from the answers to what it tells, so it does not wait for them; they are read
with those to the next commands of its thread. When the connection breaks before that, the commands are sent again,
before the next ones: their order stays, and none is lost.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from time import monotonic
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from firexkit import _lazy
from firexkit._celery.patience import is_transient, outages

logger: Final = logging.getLogger(__name__)

_IDLE: Final = 0.1
"""Seconds after which a connection is looked at before it is written to."""

Command: TypeAlias = tuple[Any, ...]
"""A Redis command with its arguments."""


class Dispensable(tuple[Any, ...]):
    """A command that the server may refuse: whatever it was to tell is no reason for a task to fail."""


Answered: TypeAlias = Callable[[list[Any]], None]
"""Gets the answers to commands, in their order; a refusal is an exception among them."""


@cache
def no_retry() -> Any:
    """For connections of ours: nothing is tried again behind our back."""
    return _lazy.module("redis.retry").Retry(_lazy.module("redis.backoff").NoBackoff(), 0)


def _refusal() -> Any:
    """The class of what the server answers to a command that it does not accept."""
    return _lazy.class_if_imported("redis.exceptions", "ResponseError")


@dataclass
class _Posted:
    """Commands that were sent, and whose answers are still to be read."""

    commands: Sequence[Command]
    answered: Answered
    only_once: bool
    answers: list[Any] = field(default_factory=list)
    is_under_way: bool = False
    """Whether they were sent over the connection that is there now."""

    @property
    def unanswered(self) -> Sequence[Command]:
        return self.commands[len(self.answers) :]


class Dispatch:
    """What one thread sends to one server, on a connection of its own.

    Args:
        pool: the connections of a Redis client.
    """

    def __init__(self, pool: Any) -> None:
        self._connection = pool.connection_class(**{**pool.connection_kwargs, "retry": no_retry()})
        self._process = os.getpid()
        self._posted: _Posted | None = None
        self._used: float | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process made it: what a process that forked had under way is not ours."""
        return self._process == os.getpid()

    @property
    def is_busy(self) -> bool:
        """Whether something was posted and is not answered yet."""
        return self._posted is not None

    def post(self, commands: Sequence[Command], answered: Answered, *, only_once: bool = False) -> None:
        """Send commands, and wait for no answer: whoever wants to know gets them with those to the next.

        Args:
            commands: what to send.
            answered: gets the answers.
            only_once: look for the answers before anything else is sent: if the connection broke after they came,
                the commands are not sent again.

        Raises:
            redis.exceptions.ConnectionError: the server can't be reached.
        """
        self.send(())
        self._posted = _Posted(commands, answered, only_once)
        try:
            self._guarded(self._begin, self._posted)
        except BaseException:
            self._posted = None
            raise

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands; their answers. Those to what was posted before come first.

        Raises:
            redis.exceptions.ConnectionError: the server can't be reached; what was posted before is still to come.
            redis.exceptions.ResponseError: the server refuses one of them; the others are done.
        """
        posted = self._posted
        if posted is None:
            return accepted(commands, self._guarded(self._exchange, commands)) if commands else []
        if posted.only_once and commands:
            self.send(())
            return self.send(commands)
        try:
            answers = self._guarded(self._exchange_after, posted, commands)
        except Exception as error:
            if not is_transient(error) or not posted.unanswered:
                raise
            answers = self._guarded(self._exchange_after, posted, commands)
        finally:
            if not posted.unanswered:
                self._posted = None
                posted.answered(posted.answers)
        return accepted(commands, answers)

    @property
    def _was_idle(self) -> bool:
        """Whether the connection was left alone for so long that it may have ended."""
        return self._used is not None and monotonic() - self._used > _IDLE

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        self._write_on_live_connection(commands)
        return self._read(len(commands))

    def _write_on_live_connection(self, commands: Sequence[Command]) -> None:
        """Nothing is to come: what can be read is the connection's end, or nobody's."""
        if self._was_idle:
            self._leave_if_ended()
        self._write(commands)

    def _leave_if_ended(self) -> None:
        try:
            has_ended = self._connection.can_read(timeout=0)
        except outages():
            has_ended = True
        if has_ended:
            self._connection.disconnect()

    def _write(self, commands: Sequence[Command]) -> None:
        if commands:
            self._connection.send_packed_command([packed(commands)], check_health=False)
            self._used = monotonic()

    def _read(self, count: int) -> list[Any]:
        return [self._answer() for _ in range(count)]

    def _begin(self, posted: _Posted) -> None:
        self._write_on_live_connection(posted.commands)
        posted.is_under_way = True

    def _exchange_after(self, posted: _Posted, commands: Sequence[Command]) -> list[Any]:
        if posted.is_under_way and self._was_idle and self._connection.can_read(timeout=0):
            self._read_posted(posted)  # a connection that has ended can't be written to, but what had come is there
            self._leave_if_ended()
        # Nobody knows whether what was sent over another connection, and not answered, has arrived.
        again = () if posted.is_under_way else posted.unanswered
        self._write([*again, *commands])
        posted.is_under_way = True
        self._read_posted(posted)
        return self._read(len(commands))

    def _read_posted(self, posted: _Posted) -> None:
        while posted.unanswered:
            posted.answers.append(self._answer())

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except _refusal() as refusal:
            return refusal

    def _guarded(self, use: Callable[..., Any], *args: Any) -> Any:
        """Use the connection; whatever goes wrong in the middle, nothing that is left in it is read."""
        try:
            return use(*args)
        except BaseException:
            self._connection.disconnect()
            self._used = None
            if self._posted is not None:
                self._posted.is_under_way = False
            raise


def packed(commands: Sequence[Command]) -> bytes:
    """Commands as they travel (RESP): the client's own way tries more types, and takes nearly twice as long."""
    parts = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            data = bytes(word) if isinstance(word, bytes | bytearray | memoryview) else str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def accepted(commands: Sequence[Command], answers: list[Any]) -> list[Any]:
    """The answers to commands.

    Raises:
        redis.exceptions.ResponseError: the server refuses one that is not dispensable.
    """
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, _refusal()):
            if type(command) is not Dispensable:
                raise answer
            _tell_refusal(str(command[0]), str(answer))
    return answers


@cache
def _tell_refusal(command: str, why: str) -> None:
    logger.warning("The broker refuses %s: %s", command, why)


class _Threads(threading.local):
    def __init__(self) -> None:
        self.dispatches: WeakKeyDictionary[Any, Dispatch] = WeakKeyDictionary()


_threads: Final = _Threads()


def busy_dispatch_to(pool: Any) -> Dispatch | None:
    """The same when something that it has sent is not answered yet, and what is sent now is to come after that."""
    dispatch = _threads.dispatches.get(pool)
    return dispatch if dispatch is not None and dispatch.is_ours and dispatch.is_busy else None


def dispatch_to(pool: Any) -> Dispatch:
    """What the calling thread sends to the server of a pool of connections."""
    dispatch = _threads.dispatches.get(pool)
    if dispatch is None or not dispatch.is_ours:
        dispatch = _threads.dispatches[pool] = Dispatch(pool)
    return dispatch
