"""Be told that tasks have ended, instead of asking again and again.

Each thread that waits has one channel of its own, for good. Tasks that it sends carry the channel's name in a header of
their messages, and whoever stores how such a task ended publishes there, in the same round trip. What comes early
waits in the socket, so nothing has to be subscribed or read for each wait, and the broker keeps nothing. For tasks that
others have sent, the thread subscribes to the channels of their results first, and reads their states once then.

A connection that broke may have lost something: whoever waits is told to read everything once. An exception that a
signal raises in the middle of a read (a soft time limit, a revocation) takes the connection down with it, too.
"""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic, sleep
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from celery import current_task

from firexkit._celery.dispatch import no_retry
from firexkit._celery.messages import header_of
from firexkit._celery.outbox import is_redis
from firexkit._celery.patience import is_transient, outages
from firexkit._wire import LOOK_AT, WAITER_HEADER, WAKE_CHANNEL

_PAUSE_WITHOUT_BROKER: Final = 0.5
"""Seconds between two tries to connect again."""
_ANSWER_TIME: Final = 10.0
"""Seconds for the broker to confirm a subscription."""

_OF_OURS: Final = {"protocol": 2}
"""How our connections differ from the pool's: messages come as answers, and nothing is tried again behind our back."""

_MOST_UNCLAIMED: Final = 10_000
"""Ends of tasks that nobody has waited for yet; when there are more, their states are to be read."""

_MOST_WHOLE: Final = 500
"""How many of these are kept whole; of more, only which tasks they are."""

_SENT_BEFORE_A_LOOK: Final = 64

_TAKEN: Final = 0
"""In the place of the number of a connection, which begin at 1."""

_LOOK_AT: Final = LOOK_AT.encode()

Meta: TypeAlias = Mapping[str, Any]
"""What is stored about the end of a task; only its ``task_id`` when that is long."""


class Listener(Protocol):
    """Somebody who waits."""

    def hear(self, meta: Meta) -> bool:
        """Something was published about a task; whether a result that this listener waits for takes it."""

    def miss(self) -> None:
        """Something may not have been heard."""


class Wakeup:
    """What one thread hears from one result backend.

    Args:
        backend: a Celery result backend on Redis.
    """

    has_waited = False
    """Whether somebody has waited in this thread for tasks whose ends were not told to it."""

    def __init__(self, backend: Any) -> None:
        self._backend = weakref.proxy(backend)
        self._process = os.getpid()
        self._connection: Any = None
        self._connected = 0
        self._followed: dict[bytes, int] = {}
        self._sent = 0
        self._unclaimed: dict[str, Meta] = {}
        self.listeners: WeakSet[Listener] = WeakSet()
        self.channel: str = f"{WAKE_CHANNEL}{uuid.uuid4().hex}"
        self._own = self.channel.encode()

    @property
    def is_ours(self) -> bool:
        """Whether this process made it: what a process that forked hears is not ours to read."""
        return self._process == os.getpid()

    # ── what is sent with the channel's name ──────────────────────────────────────────────

    def address(self) -> str:
        """The channel, for a task that is about to be sent: what is published there is heard from now on.

        Empty while the broker is away.
        """
        self._sent += 1
        if self._connection is None or self._sent % _SENT_BEFORE_A_LOOK == 0:
            self.wait(0)  # also for whoever never waits: what was published would fill the socket
        return self.channel if self._connection is not None else ""

    def mark(self, result: Any) -> None:
        """Note on a result that its task was sent with the address."""
        result.firexkit_told = (self.channel, self._connected)

    def tells_of(self, result: Any) -> bool:
        """Whether the end of a task comes by the channel."""
        told = getattr(result, "firexkit_told", None)
        return told is not None and bool(told[0] == self.channel)

    def take(self, result: Any) -> bool:
        """Note that somebody heard what comes by the channel for a result; whether anything does."""
        if not self.tells_of(result):
            return False
        result.firexkit_told = (self.channel, _TAKEN)
        return True

    def has_missed_nothing_of(self, result: Any) -> bool:
        """Whether that has been so ever since the task was sent, and nobody has taken it."""
        return getattr(result, "firexkit_told", None) == (self.channel, self._connected)

    # ── waiting ───────────────────────────────────────────────────────────────────────────

    def follow(self, channels: Collection[str]) -> None:
        """Hear these channels, too; all that is published there from now on. Many may follow one channel."""
        names = [name.encode() for name in channels]
        new = [name for name in dict.fromkeys(names) if name not in self._followed]
        for name in names:
            self._followed[name] = self._followed.get(name, 0) + 1
        if new:
            with suppress(*outages()):  # the next wait connects, and everything is read then
                if not self._connect():
                    self._subscribe(new)

    def leave(self, channels: Iterable[str]) -> None:
        """Hear these channels no more."""
        gone = []
        for name in (channel.encode() for channel in channels):
            left = self._followed.pop(name, 0) - 1
            if left > 0:
                self._followed[name] = left
            else:
                gone.append(name)
        if gone and self._connection is not None:
            with suppress(*outages()):  # without a connection there is nothing to leave
                self._guarded(lambda: self._connection.send_command("UNSUBSCRIBE", *gone, check_health=False))

    def heard_of(self, task_id: str) -> Meta | None:
        """What was published about a task before anybody listened."""
        return self._unclaimed.pop(task_id, None)

    def wait(self, timeout: float) -> None:
        """Tell the listeners what is published, as soon as there is something.

        Args:
            timeout: seconds to wait at most; 0 to look only.
        """
        try:
            if not self._connect():
                self._guarded(lambda: self._hear(self._read(timeout)))
        except Exception as error:
            if not is_transient(error):
                raise
            sleep(min(timeout, _PAUSE_WITHOUT_BROKER))

    def close(self) -> None:
        """Let the connection go; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    # ── the connection ────────────────────────────────────────────────────────────────────

    def _connect(self) -> bool:
        """Have a connection that hears everything; whether it is a new one."""
        if self._connection is not None:
            return False
        pool = self._backend.client.connection_pool
        connection = pool.connection_class(**{**pool.connection_kwargs, **_OF_OURS, "retry": no_retry()})
        self._connection = connection
        self._guarded(self._connect_and_subscribe)
        return True

    def _connect_and_subscribe(self) -> None:
        self._miss()
        self._connection.connect()
        self._subscribe([self._own, *self._followed])

    def _miss(self) -> None:
        self._connected += 1
        self._unclaimed.clear()
        for listener in self.listeners:
            listener.miss()

    def _subscribe(self, names: Collection[bytes]) -> None:
        def subscribe() -> None:
            self._connection.send_command("SUBSCRIBE", *names, check_health=False)
            missing, deadline = set(names), monotonic() + _ANSWER_TIME
            while missing:
                messages = self._read(deadline - monotonic())
                if not messages:
                    raise TimeoutError(f"the broker did not confirm a subscription within {_ANSWER_TIME:g} s")
                missing -= {name for kind, name, _ in messages if kind == b"subscribe"}
                self._hear(messages)

        self._guarded(subscribe)

    def _guarded(self, use: Any) -> Any:
        """Use the connection; whatever goes wrong in the middle, nobody uses that connection again."""
        try:
            return use()
        except BaseException:
            self.close()
            raise

    def _read(self, timeout: float) -> list[tuple[bytes, bytes, bytes]]:
        """All that has come within some seconds."""
        connection = self._connection
        messages: list[tuple[bytes, bytes, bytes]] = []
        while connection.can_read(timeout=0 if messages else max(0.0, timeout)):
            messages.append(connection.read_response())
        return messages

    def _meta(self, data: bytes) -> Meta:
        if data.startswith(_LOOK_AT):
            return {"task_id": data.removeprefix(_LOOK_AT).decode()}
        meta: Meta = self._backend.decode(data)
        return meta

    def _hear(self, messages: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        for kind, name, data in messages:
            if kind == b"message":
                meta = self._meta(data)
                claims = [listener.hear(meta) for listener in self.listeners]  # each of them hears it
                if name == self._own and not any(claims):
                    task_id = meta["task_id"]
                    self._unclaimed[task_id] = meta if len(self._unclaimed) < _MOST_WHOLE else {"task_id": task_id}
        if len(self._unclaimed) > _MOST_UNCLAIMED:
            self._miss()


# ── the one of this thread ────────────────────────────────────────────────────────────────


class _Threads(threading.local):
    def __init__(self) -> None:
        self.wakeups: WeakKeyDictionary[Any, Wakeup] = WeakKeyDictionary()


_threads: Final = _Threads()


_asks_to_be_told: ContextVar[bool] = ContextVar("firexkit_asks_to_be_told", default=False)


@contextmanager
def being_told() -> Iterator[None]:
    """Send tasks in a block, by this thread, so that their ends are told to it."""
    token = _asks_to_be_told.set(True)
    try:
        yield
    finally:
        _asks_to_be_told.reset(token)


def addressee(backend: Any, task_ids: Collection[Any]) -> tuple[str, Wakeup | None]:
    """The channel of whoever is told of the end of tasks that are sent now, and the thread's wakeup if it is that one.

    The channel is empty when nobody is told.
    """
    request = current_task.request if current_task else None
    if request is not None and request.id and request.id in task_ids:
        # The task sends itself again, or others in its place: who waits for it goes on waiting.
        return str(header_of(request, WAITER_HEADER) or ""), None
    wakeup = asking_wakeup(backend)
    return (wakeup.channel, wakeup) if wakeup is not None else ("", None)


def asking_wakeup(backend: Any) -> Wakeup | None:
    """The thread's wakeup if what it sends now is to be told to it, and can be.

    That is so in the body of a task, and outside of tasks for whoever says so, or has waited once.
    """
    wakeup = wakeup_of(backend)
    if wakeup is None or not (_asks_to_be_told.get() or (wakeup.has_waited and not current_task)):
        return None
    return wakeup if wakeup.address() else None


@contextmanager
def told_of(backend: Any, channel: str) -> Iterator[Callable[[float], None]]:
    """A function that waits some seconds at most for what is published on a channel from now on, or elsewhere."""
    wakeup = wakeup_of(backend)
    if wakeup is None:
        yield sleep
        return
    wakeup.follow([channel])
    try:
        yield wakeup.wait
    finally:
        wakeup.leave([channel])


def wakeup_of(backend: Any) -> Wakeup | None:
    """What the calling thread hears from a result backend; None when that tells nothing."""
    if not is_redis(backend):
        return None
    wakeup = _threads.wakeups.get(backend)
    if wakeup is None or not wakeup.is_ours:
        wakeup = _threads.wakeups[backend] = Wakeup(backend)
    return wakeup
