"""What a task tells the broker at one moment, in one round trip: its state, its records, its events, its messages.

Between the start of a task and its function, and between the function's end and the stored result, Celery and this kit
tell the broker several things, each in a round trip of its own. An outbox that is open in a thread gathers them; they
leave in the order they came when it is sent. Nothing is gathered while code of a user may wait for an effect of it.

Events and messages of tasks go to the broker, states and records to the result backend. They share an outbox when both
are one Redis server; else each goes its own way, and in the same order.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any, Final

from firexkit import _lazy
from firexkit._celery.dispatch import Command, Dispatch, Dispensable, accepted, busy_dispatch_to, dispatch_to
from firexkit._celery.patience import is_transient, outages, patience_of, patiently
from firexkit._crash_points import crash_point

logger: Final = logging.getLogger(__name__)

_TRANSPORT: Final = "redis+"
_KEY_PREFIX: Final = "global_keyprefix"


class Outbox:
    """Commands for one result backend that wait for others to leave with them.

    Args:
        backend: a Celery result backend on Redis.
        dispatch: how they leave; else by any connection of the backend.

    Attributes:
        takes_messages: Keep messages of tasks, too; else a message takes everything along at once.
    """

    def __init__(self, backend: Any, dispatch: Dispatch | None = None) -> None:
        self._backend = backend
        self._dispatch = dispatch
        self._commands: list[Command] = []
        self._events: list[Command] = []
        self.takes_messages = False

    def add(self, commands: Iterable[Command]) -> None:
        """Keep commands until the outbox is sent."""
        self._commands.extend(commands)

    def add_events(self, commands: list[Command]) -> None:
        """Keep events until the outbox is sent, which then tells how many have heard them."""
        self._events = commands
        self.add(commands)

    def send(self, *last: Command) -> None:
        """Send what was kept, and ``last`` after it. What an outage stopped is still kept, to try again."""
        self._send([*self._commands, *last])

    def send_after(self, first: Iterable[Command]) -> None:
        """Send what was kept, and ``first`` before it; where that brings a message, the server does all or nothing."""
        commands = [*first, *self._commands]
        if any(command[0] == "LPUSH" for command in commands):
            # One that is refused would have the server do none of them.
            told = [command for command in commands if type(command) is Dispensable]
            together = [command for command in commands if type(command) is not Dispensable]
            commands = [*told, ("MULTI",), *together, ("EXEC",)]
        self._send(commands)

    def add_fields(self, key: str, *fields: Any) -> Iterator[Command]:
        """Write fields of a hash with others that are kept for it; the command to send, if there are none."""
        for at, command in enumerate(self._commands):
            if command[:2] == ("HSET", key):
                self._commands[at] = (*command, *fields)
                return
        yield ("HSET", key, *fields)

    def put(self, *message: Command) -> None:
        """Send a message of a task, and what was kept before it. In a task nobody waits for the answer yet."""
        if self.takes_messages:
            self.add(message)
        elif self._dispatch is None:
            self.send(*message)
        else:
            commands = [*self._commands, *message]
            crash_point("send: before a message")
            self._dispatch.post(commands, partial(_accepted, self._events, commands, monotonic()), only_once=True)
            crash_point("send: after a message")
            self._commands, self._events = [], []

    def post(self) -> None:
        """Send what was kept, and wait for no answer."""
        if self._dispatch is None or not self._commands:
            self.send()
            return
        self._dispatch.post(self._commands, partial(_note_hearers, self._events, self._commands, monotonic()))
        self._commands, self._events = [], []

    def _send(self, commands: list[Command]) -> None:
        if not commands:
            return
        try:
            answers = self._dispatch.send(commands) if self._dispatch else run(self._backend, commands)
        except Exception as error:
            if not is_transient(error):
                self._commands, self._events = [], []
            raise
        _note_hearers(self._events, commands, monotonic(), answers)
        self._commands, self._events = [], []

    def patience(self) -> float:
        """Seconds for which a broker that is away is waited for."""
        return patience_of(self._backend.app.conf)

    def is_for(self, backend: Any) -> bool:
        """Whether commands for this backend may be kept here."""
        return backend is self._backend or _server(backend.client.connection_pool) == self._address

    def is_on(self, channel: Any) -> bool:
        """Whether a channel of the broker leads to the same server.

        Raises:
            ConnectionError: it was closed: the connection that it belonged to has ended.
        """
        if channel.closed:
            raise ConnectionError("the connection to the broker has ended")
        return not channel.global_keyprefix and self._address == _server(channel.pool) is not None

    def is_of_events(self, exchange: str) -> bool:
        """Whether events go to this exchange."""
        return bool(exchange == self._backend.app.conf.event_exchange)

    @property
    def _address(self) -> Any:
        return _server(self._backend.client.connection_pool)


class _Heard(threading.local):
    """How many have heard the latest event of this thread, and when."""

    at = 0.0
    by = 1

    def note(self, at: float, by: int) -> None:
        self.at, self.by = at, by

    def by_nobody(self, within: float) -> bool:
        """Whether an event of so many seconds ago at most was heard by nobody."""
        return self.by == 0 and monotonic() - self.at < within


heard: Final = _Heard()


def _note_hearers(events: Collection[Command], commands: list[Command], at: float, answers: list[Any]) -> None:
    counts = [answers[commands.index(event)] for event in events]
    if all(isinstance(count, int) for count in counts) and counts:
        heard.note(at, sum(counts))


def _accepted(events: Collection[Command], commands: list[Command], at: float, answers: list[Any]) -> None:
    accepted(commands, answers)
    _note_hearers(events, commands, at, answers)


_open: ContextVar[Outbox | None] = ContextVar("firexkit_outbox", default=None)


def run(backend: Any, commands: Iterable[Command]) -> list[Any]:
    """Send commands in one round trip, after all that this thread has sent before; their answers."""
    client = backend.client
    if is_redis(backend) and (dispatch := busy_dispatch_to(client.connection_pool)) is not None:
        return dispatch.send([*commands])
    sent = [*commands]
    with client.pipeline(transaction=False) as pipe:
        for command in sent:
            pipe.execute_command(*command)
        return accepted(sent, pipe.execute(raise_on_error=False))


def ask(backend: Any, commands: Iterable[Command]) -> list[Any]:
    """Send commands over a connection that only this thread has, in one round trip; their answers."""
    return dispatch_to(backend.client.connection_pool).send([*commands])


def confirmed(backend: Any) -> None:
    """Wait until all that this thread has sent has arrived.

    Raises:
        redis.exceptions.ResponseError: the server refuses a message of a task.
    """
    if is_redis(backend) and (dispatch := busy_dispatch_to(backend.client.connection_pool)) is not None:
        patiently(dispatch.send, (), timeout=partial(patience_of, backend.app.conf))


def connect(backend: Any) -> None:
    """Have connections for what this thread will send and read.

    Raises:
        redis.exceptions.ConnectionError: the server can't be reached.
    """
    if is_redis(backend):
        backend.client.ping()
        dispatch_to(backend.client.connection_pool).send([("PING",)])


def catch_up(backend: Any) -> None:
    """Read the answers to what this thread has sent and not waited for."""
    if is_redis(backend) and (dispatch := busy_dispatch_to(backend.client.connection_pool)) is not None:
        with suppress(*outages()):  # it is sent again with what comes next
            dispatch.send(())


def opened(backend: Any) -> None:
    """Gather in this thread from now on what goes to a backend; nothing when that is not Redis."""
    dispatched()
    if is_redis(backend):
        _open.set(Outbox(backend, dispatch_to(backend.client.connection_pool)))


def is_redis(backend: Any) -> bool:
    """Whether a result backend keeps its results in Redis."""
    return isinstance(backend, _lazy.class_if_imported("celery.backends.redis", "RedisBackend"))


def current() -> Outbox | None:
    """What this thread gathers in; None when it does not."""
    return _open.get()


def is_open() -> bool:
    """Whether this thread gathers."""
    return _open.get() is not None


def takes_from(channel: Any) -> bool:
    """Whether what is published on a channel of the broker is gathered now."""
    box = _open.get()
    return box is not None and _is_of_redis(channel) and box.is_on(channel)


def is_shared(backend: Any) -> bool:
    """Whether messages of tasks can leave with what goes to this backend: both are one server."""
    conf = backend.app.conf
    # Celery takes this word off the address of a result backend, and leaves it in that of a broker.
    if not is_redis(backend) or backend.url != str(conf.broker_write_url).removeprefix(_TRANSPORT):
        return False
    return _server(backend.client.connection_pool) is not None and not conf.broker_transport_options.get(_KEY_PREFIX)


def dispatched() -> None:
    """Send what this thread has gathered, and gather no more. A broker that is away is waited for a while."""
    box = _open.get()
    if box is None:
        return
    try:
        patiently(box.post, timeout=box.patience)
    except Exception as error:
        if not is_transient(error):
            raise
        logger.warning("What a task told is lost, the broker is away: %s", error)
    finally:
        _open.set(None)


def dropped() -> None:
    """Forget what this thread has gathered, and gather no more."""
    _open.set(None)


@contextmanager
def gathered(backend: Any, *, posts: bool = False) -> Iterator[None]:
    """Gather in a block, unless that is done already around it.

    Args:
        backend: where to.
        posts: do not wait for answers; whoever says so calls :func:`confirmed`.
    """
    if _open.get() is not None or not is_redis(backend):
        yield
        return
    box = Outbox(backend, dispatch_to(backend.client.connection_pool) if posts else None)
    token = _open.set(box)
    try:
        yield
    finally:
        _open.reset(token)
    box.send()


def tell(backend: Any, commands: Iterable[Command]) -> None:
    """Let commands leave with what this thread gathers, or at once when it gathers nothing."""
    box = _open.get()
    if box is not None and box.is_for(backend):
        box.add(commands)
    else:
        run(backend, commands)


def tell_soon(backend: Any, commands: list[Command]) -> None:
    """Let commands leave with what this thread gathers, or at once; nobody waits for the answers.

    Raises:
        redis.exceptions.ConnectionError: the server can't be reached.
    """
    box = _open.get()
    if box is not None and box.is_for(backend):
        box.add(commands)
    else:
        dispatch_to(backend.client.connection_pool).post(commands, _unread)


def _unread(_answers: list[Any]) -> None:
    pass


def tell_now(backend: Any, *commands: Command) -> None:
    """Send commands with what this thread has gathered: before messages that wait for them, else after everything."""
    box = _open.get()
    if box is None or not box.is_for(backend):
        run(backend, commands)
    elif box.takes_messages:
        box.send_after(commands)
        _open.set(None)  # hooks of the task come now
    else:
        box.send(*commands)


def last_words(backend: Any) -> None:
    """Keep messages of tasks, too, from now on: only the stored result is still to come in this thread."""
    if (box := _open.get()) is None:
        opened(backend)
        box = _open.get()
    if box is not None:
        box.takes_messages = True


def _is_of_redis(channel: Any) -> bool:
    return isinstance(channel, _lazy.class_if_imported("kombu.transport.redis", "Channel"))


def _server(pool: Any) -> tuple[Any, ...] | None:
    """Where a pool of connections leads, and as whom; None where that is not fixed."""
    options = pool.connection_kwargs
    place = options.get("path") or options.get("host")
    if place is None:
        return None
    return place, options.get("port"), int(options.get("db") or 0), options.get("username")
