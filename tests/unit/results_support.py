"""Stand-ins for Celery's result objects, and real ones whose backend is this process's memory.

Nothing here stands for code of ours: a `FakeResult` is Celery's handle, `HashBackend` a Redis, `Telephone` Celery's
control.
Celery's in-memory store is one per process, so every result gets an id of its own.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import ClassVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from celery import Celery
from celery.app import app_or_default
from celery.app.control import Control
from celery.app.task import Context, Task
from celery.backends.base import KeyValueStoreBackend
from celery.result import AsyncResult
from celery.signals import task_postrun, task_prerun
from celery.states import FAILURE, PENDING, READY_STATES, SUCCESS

import firexkit.task  # noqa: F401 - its signal handlers put on record what is published and run
from firexkit.revoke import RevokedRequests


def new_id() -> str:
    """An id nobody has used."""
    return uuid4().hex


# ── fakes of Celery's result ─────────────────────────────────────────────────────────────
def script(state):
    """A function that gives the next state: of a list one per call (the last one stays), of a callable its answer."""
    if callable(state):
        return state
    waiting = deque([state] if isinstance(state, str) else state)
    return lambda: waiting.popleft() if len(waiting) > 1 else waiting[0]


class FakeResult:
    """What users' tests hand in for a result: a plain object, told its state."""

    def __init__(self, state=SUCCESS, result=None, *, id=None, parent=None, children=()):
        self.id = id or new_id()
        self.next_state = script(state)
        self.result = result
        self.parent = parent
        self.children = children
        self.forgotten = False

    @property
    def state(self):
        return self.next_state()

    def ready(self):
        return self.state in READY_STATES

    def successful(self):
        return self.state == SUCCESS

    def failed(self):
        return self.state == FAILURE

    def forget(self):
        self.forgotten = True


class ScriptedResult(AsyncResult):
    """A real result class whose state, value and children are told, as users' subclasses do."""

    def __init__(self, state=SUCCESS, result=None, *, id=None, parent=None, children=(), app=None):
        super().__init__(id or new_id(), app=app or MEMORY, parent=parent)
        self.next_state = script(state)
        self.told_result = result
        self.told_children = children

    @property
    def state(self):
        return self.next_state()

    @property
    def result(self):
        return self.told_result

    @property
    def children(self):
        return self.told_children


def scripted_chain(*states) -> list[ScriptedResult]:
    """Results of one chain, first member first; each is the parent of the next."""
    chain: list[ScriptedResult] = []
    for state in states:
        chain.append(ScriptedResult(state, parent=chain[-1] if chain else None))
    return chain


# ── fakes of what Celery talks to ────────────────────────────────────────────────────────
class HashClient:
    """The part of a Redis client that our records need; everything comes back as bytes, nothing expires."""

    def __init__(self, store):
        self.store = store

    def pipeline(self, transaction=True):
        return Pipeline(self)

    def get(self, name):
        return self.store.get(text(name))

    def mget(self, names):
        return [self.get(name) for name in names]

    def set(self, name, value, ex=None, px=None, nx=False):
        if nx and text(name) in self.store:
            return None
        self.store[text(name)] = data(value)
        return True

    def incr(self, name):
        self.set(name, int(self.get(name) or 0) + 1)
        return int(self.get(name))

    def delete(self, *names):
        return sum(self.store.pop(text(name), None) is not None for name in names)

    def unlink(self, *names):
        return self.delete(*names)

    def exists(self, *names):
        return sum(text(name) in self.store for name in names)

    def expire(self, name, time):
        return text(name) in self.store

    def execute_command(self, command, name, *arguments):
        """A command as the server gets it."""
        if command == "SET":
            value, *flags = arguments
            return self.set(name, value, nx="NX" in flags)
        if command == "HSET":
            return self.hset(name, mapping=dict(zip(arguments[::2], arguments[1::2], strict=True)))
        return getattr(self, command.lower())(name, *arguments)

    def eval(self, script, numkeys, name, key, value, *more):
        """The scripts there are: mark a hash, some only one that exists, and publish that."""
        if "exists" not in script or self.exists(name):
            self.hset(name, key, value)

    def hset(self, name, key=None, value=None, mapping=None):
        fields = {**({} if key is None else {key: value}), **(mapping or {})}
        self.store.setdefault(text(name), {}).update({data(field): data(value) for field, value in fields.items()})

    def hget(self, name, key):
        return self.hgetall(name).get(data(key))

    def hmget(self, name, keys, *more):
        return [self.hget(name, key) for key in (*([keys] if isinstance(keys, str) else keys), *more)]

    def hgetall(self, name):
        return dict(self.store.get(text(name), {}))

    def hdel(self, name, *keys):
        self.keep(name, {key: value for key, value in self.hgetall(name).items() if key not in map(data, keys)})

    def hincrby(self, name, key, amount=1):
        self.hset(name, key, int(self.hget(name, key) or 0) + amount)

    def sadd(self, name, *values):
        self.store.setdefault(text(name), set()).update(map(data, values))

    def srem(self, name, *values):
        self.keep(name, self.smembers(name).difference(map(data, values)))

    def smembers(self, name):
        return set(self.store.get(text(name), set()))

    def sismember(self, name, value):
        return int(data(value) in self.smembers(name))

    def rpush(self, name, *values):
        self.store.setdefault(text(name), []).extend(map(data, values))

    def lrem(self, name, count, value):
        self.keep(name, [kept for kept in self.lrange(name, 0, -1) if kept != data(value)])

    def lrange(self, name, start, end):
        return list(self.store.get(text(name), []))

    def zadd(self, name, mapping):
        scores = {data(member): float(score) for member, score in mapping.items()}
        self.store.setdefault(text(name), {}).update(scores)

    def zrem(self, name, *members):
        self.hdel(name, *members)

    def zrange(self, name, start, end):
        return list(self.hgetall(name))

    def zrangebyscore(self, name, min, max):
        return [member for member, score in self.hgetall(name).items() if float(min) <= score <= float(max)]

    def zremrangebyscore(self, name, min, max):
        self.zrem(name, *self.zrangebyscore(name, min, max))

    def keep(self, name, values):
        """Replace a collection; as in Redis, one without members is no key."""
        self.store[text(name)] = values
        if not values:
            del self.store[text(name)]


class Pipeline:
    """Commands that a client runs together; their answers come with `execute`."""

    def __init__(self, client):
        self.client = client
        self.waiting = []

    def __getattr__(self, command):
        return lambda *args, **kwargs: self.waiting.append((command, args, kwargs))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.waiting.clear()

    def execute(self, raise_on_error=True):
        answers = [getattr(self.client, command)(*args, **kwargs) for command, args, kwargs in self.waiting]
        self.waiting.clear()
        return answers


def text(name) -> str:
    """A key as text."""
    return name.decode() if isinstance(name, bytes) else str(name)


def data(value) -> bytes:
    """A value as the bytes that a Redis keeps."""
    return value if isinstance(value, bytes) else str(value).encode()


class HashBackend(KeyValueStoreBackend):
    """A result backend whose client knows hashes, as Redis's does; each app has its own store, in all its threads."""

    stores: ClassVar = WeakKeyDictionary()

    def __init__(self, *args, url=None, **kwargs):
        super().__init__(*args, **kwargs)
        # Celery makes one backend for each thread.
        self.client = HashClient(self.stores.setdefault(self.app, {}))

    def get(self, key):
        return self.client.get(key)

    def mget(self, keys):
        return self.client.mget(keys)

    def set(self, key, value):
        self.client.set(key, value)

    def delete(self, key):
        self.client.delete(key)


class Telephone(Control):
    """Celery's control, with workers that answer at once; `app.control.calls` are the revokes it was asked for."""

    revoked_by_worker = None

    def __init__(self, app=None):
        super().__init__(app)
        self.calls = []
        self.inspected = []

    def inspect(self, *args, **options):
        self.inspected.append(options)
        return SimpleNamespace(revoked=lambda: self.revoked_by_worker)

    def revoke(self, task_id, destination=None, terminate=False, **options):
        self.calls.append((task_id, terminate))


class CallerTask:
    """What a wait needs of the task that waits: how it was called, and a place to send events to."""

    def __init__(self, *, called_directly=False):
        self.request = SimpleNamespace(called_directly=called_directly, id=new_id())
        self.events = []

    def send_event(self, type, **fields):
        self.events.append(type)


# ── apps and real results ────────────────────────────────────────────────────────────────
def memory_app(backend="cache+memory://", **options) -> Celery:
    """An app that needs no server: by default Celery's in-memory cache, which knows no hashes."""
    return Celery("results", broker="memory://", backend=backend, control=Telephone, set_as_current=False, **options)


def hash_app(**options) -> Celery:
    """An app that needs no server and whose backend knows hashes."""
    return memory_app(backend=f"{__name__}:HashBackend", **options)


MEMORY = memory_app()


@contextmanager
def as_current(app: Celery) -> Iterator[Celery]:
    """Make it Celery's current app; afterwards the former one is."""
    former = app_or_default()
    app.set_current()
    try:
        yield app
    finally:
        former.set_current()


def stored(state=SUCCESS, value=None, *, id=None, parent=None, children=(), app=MEMORY) -> AsyncResult:
    """A real result with that state, value and children in its backend; PENDING leaves no record, as in Celery."""
    result = AsyncResult(id or new_id(), app=app, parent=parent)
    request = Context()
    request.children.extend(children)
    if state != PENDING:
        app.backend.store_result(result.id, value, state, request=request)
    return result


def stored_chain(*states, app=MEMORY) -> list[AsyncResult]:
    """Real results of one chain, first member first; Celery records each as a child of the one before."""
    chain: list[AsyncResult] = []
    for _ in states:
        chain.append(AsyncResult(new_id(), app=app, parent=chain[-1] if chain else None))
    for position, state in enumerate(states):
        stored(state, id=chain[position].id, children=chain[position + 1 : position + 2], app=app)
    return chain


def published(app: Celery, name: str, **options) -> AsyncResult:
    """The result of a task that was really published, to the memory broker, where nobody takes it."""
    with as_current(app):
        return app.send_task(name, **options)


def no_work() -> None:
    """What the tasks of these tests do."""


def began(app: Celery, result: AsyncResult, name: str) -> Task:
    """Tell what Celery's worker tells when it starts a task."""
    task = app.task(no_work, name=name)
    task_prerun.send(sender=task, task_id=result.id, task=task, args=(), kwargs={})
    return task


def ran(app: Celery, result: AsyncResult, name: str) -> None:
    """Tell what Celery's worker tells around a run: the task starts, and its body has ended."""
    task = began(app, result, name)
    task_postrun.send(sender=task, task_id=result.id, task=task, args=(), kwargs={}, retval=None, state=SUCCESS)


# ── the revoked list ─────────────────────────────────────────────────────────────────────
class RevokedIds(set):
    """A stand-in for the revoked-requests singleton, as users install it; what it offers is `is_revoked`."""

    def is_revoked(self, result_id):
        return result_id in self


@contextmanager
def revoked_list(*ids: str) -> Iterator[RevokedIds]:
    """Install a singleton to which only these ids are revoked; afterwards the former one is back."""
    former = RevokedRequests.instance()
    fake = RevokedIds(ids)
    RevokedRequests.instance(fake)
    try:
        yield fake
    finally:
        RevokedRequests.instance(former)
