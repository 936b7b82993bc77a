"""Values on their way through Celery: encoded before kombu sees them, decoded before a task does.

kombu's JSON turns tuples into lists and integer keys into text, and trusts ``__type__``; so values of FireX tasks are
encoded here while the content type stays ``json``. Another serializer gets its values untouched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from celery.app import trace
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend
from celery.canvas import maybe_signature
from celery.result import AsyncResult
from kombu.utils import json as kombu_json

from firexkit._serialization import WireError, decode, decode_exception, encode, encode_exception
from firexkit._wire import (
    ENCODED_ARGS_OPTION,
    ENCODED_HEADER,
    EXCEPTION_EXTRA,
    RETURN_KEYS_KEY,
    WIRE_VERSION,
)

JSON = "json"
_DECODED = "firexkit_decoded"
_CALLBACKS = frozenset({"link", "link_error"})


class Carried(dict[str, Any]):
    """A returned bag that knows its encoded form, so that it is encoded once for the backend and the next task."""

    __slots__ = ("encoded",)

    encoded: Any


def carried(bag: Mapping[str, Any], *, task_name: str) -> Carried:
    """A bag ready to be stored and sent on.

    Raises:
        WireError: a value can't travel; the text names the task, the key path and the type.
    """
    parcel = Carried(bag)
    parcel.encoded = encode(_listed(bag, list), where=f"what task {task_name} returned")
    return parcel


def _listed(bag: Any, kind: Callable[[Iterable[str]], Any]) -> Any:
    """A bag whose names of returns are in another kind of sequence: lists travel as plain JSON, tuples do not."""
    if not isinstance(bag, dict) or not isinstance(bag.get(RETURN_KEYS_KEY), list | tuple):
        return bag
    return {**bag, RETURN_KEYS_KEY: kind(bag[RETURN_KEYS_KEY])}


def check_for_plain_task(bag: Mapping[str, Any], request: Any, app: Any, *, task_name: str) -> None:
    """Refuse a bag that the next member of the chain, a plain Celery task, can't be sent.

    Raises:
        WireError: a value is no plain JSON; the text names both tasks, the key and the type.
    """
    following = maybe_signature(request.chain[-1], app=app) if request.chain else None
    if following is None or is_chain_like(following) or takes_bag(following):
        return
    for name, value in bag.items():
        try:
            kombu_json.dumps(value)  # type: ignore[no-untyped-call]  # kombu is typed in parts
        except (TypeError, ValueError) as error:
            raise WireError(
                f"what task {task_name} returned cannot be sent to {following.task}, a plain Celery task: "
                f"[{name!r}] is a {type(value).__name__}; make {following.task} a FireXTask or return plain data"
            ) from error


# ── arguments ─────────────────────────────────────────────────────────────────────────────


def encoded_positionals(args: Iterable[Any], task_name: str) -> list[Any]:
    """Positional arguments as they travel."""
    return [
        value.encoded if type(value) is Carried else encode(value, where=f"argument {index} of task {task_name}")
        for index, value in enumerate(args)
    ]


def encoded_keywords(kwargs: Mapping[str, Any], task_name: str) -> dict[str, Any]:
    """Keyword arguments as they travel."""
    return {name: encode(value, where=f"argument {name!r} of task {task_name}") for name, value in kwargs.items()}


def to_send(
    args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any], *, task_name: str, serializer: str
) -> tuple[Sequence[Any], Mapping[str, Any], dict[str, Any]]:
    """Arguments and options of one message.

    A chain member's own arguments were encoded when its chain was applied; what Celery put before them, the previous
    task's result, was not.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        options: options of the message.
        task_name: for errors.
        serializer: what the message will be written with.
    """
    options = dict(options)
    ready = options.pop(ENCODED_ARGS_OPTION, None)
    if ready is None and serializer != JSON:
        return args, kwargs, options
    fresh = len(args) - (ready or 0)
    travelling = [*encoded_positionals(args[:fresh], task_name), *args[fresh:]]
    keywords = encoded_keywords(kwargs, task_name) if ready is None else kwargs
    for name in _CALLBACKS & options.keys():
        options[name] = [_encoded_callback(callback) for callback in _as_list(options[name])]
    options["headers"] = {**(options.get("headers") or {}), ENCODED_HEADER: WIRE_VERSION}
    return travelling, keywords, options


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def _encoded_callback(callback: Any) -> Any:
    """A signature that is sent when the task ends, as it travels with the task's message."""
    sig = maybe_signature(callback)
    if is_chain_like(sig) or ENCODED_ARGS_OPTION in sig.options or not takes_bag(sig):
        return callback
    return encoded_signature(sig.clone())


def is_chain_like(sig: Any) -> bool:
    """Whether a signature stands for several tasks; each of those is encoded when it is applied."""
    return hasattr(sig, "tasks")


def takes_bag(sig: Any) -> bool:
    """Whether a signature's task is one of ours."""
    return bool(getattr(sig.app.tasks.get(sig.task), "takes_chain_depth", False))


def published_name(task: Any) -> str:
    """The name in a task's messages: a plugin's is that of the task it replaces, which all workers know."""
    if not getattr(task, "from_plugin", False) or task.called_as_orig:
        return str(task.name)
    return str(task.root_orig.name_without_orig)


def encoded_signature(sig: Any) -> Any:
    """The signature with its own arguments encoded, the mark that they are, and the name that every worker knows."""
    if (task := sig.app.tasks.get(sig.task)) is not None:
        sig["task"] = published_name(task)
    sig["options"] = {**sig.options, ENCODED_ARGS_OPTION: len(sig.args)}
    sig["args"] = tuple(encoded_positionals(sig.args, sig.task))
    sig["kwargs"] = encoded_keywords(sig.kwargs, sig.task)
    return sig


def header_of(request: Any, name: str) -> Any:
    """A header of the message that a request came with: Celery keeps it apart in eager mode."""
    return getattr(request, name, None) or (getattr(request, "headers", None) or {}).get(name)


def is_encoded(request: Any) -> bool:
    """Whether the arguments of a request were encoded by us."""
    return header_of(request, ENCODED_HEADER) is not None


def received(request: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a request as the sender knew them.

    Raises:
        WireError: the message names a class that may not be rebuilt here.
    """
    if not is_encoded(request):
        return tuple(args), dict(kwargs)
    return tuple(decode(value) for value in args), {name: decode(value) for name, value in kwargs.items()}


# ── results ───────────────────────────────────────────────────────────────────────────────


def install() -> None:
    """Teach Celery's result backends our encoding; once per process, for every app in it."""
    if getattr(Backend, "speaks_firexkit", False):
        return
    _store_encoded_values()
    _store_whole_exceptions()
    _read_encoded_values()
    _read_encoded_chord_parts()
    _refuse_unreadable_values()
    Backend.speaks_firexkit = True


def _store_encoded_values() -> None:
    original = Backend.prepare_value

    def prepare_value(self: Any, result: Any) -> Any:
        if type(result) is Carried and self.serializer == JSON:
            return result.encoded
        return original(self, result)

    Backend.prepare_value = prepare_value


def _store_whole_exceptions() -> None:
    store, read = Backend.prepare_exception, Backend.exception_to_python
    make_pickleable, failure = trace.get_pickleable_exception, threading.local()

    def remember_original(exc: BaseException) -> BaseException:
        # Celery puts a stand-in into the place of what it can't pickle, even where nothing is pickled.
        failure.original, failure.stand_in = exc, make_pickleable(exc)
        stand_in: BaseException = failure.stand_in
        return stand_in

    def prepare_exception(self: Any, exc: BaseException, serializer: str | None = None) -> Any:
        stored = store(self, exc, serializer)
        if isinstance(stored, dict) and (serializer or self.serializer) == JSON:
            is_stand_in = exc is getattr(failure, "stand_in", None)
            stored[EXCEPTION_EXTRA] = encode_exception(failure.original if is_stand_in else exc)
        return stored

    def exception_to_python(self: Any, exc: Any) -> Any:
        if isinstance(exc, dict) and EXCEPTION_EXTRA in exc:
            return decode_exception(exc[EXCEPTION_EXTRA])
        return read(self, exc)

    trace.get_pickleable_exception = remember_original
    Backend.prepare_exception = prepare_exception
    Backend.exception_to_python = exception_to_python


def _read_encoded_values() -> None:
    original = Backend.meta_from_decoded

    def meta_from_decoded(self: Any, meta: dict[str, Any]) -> Any:
        meta = original(self, meta)
        # Celery calls this twice for one meta; a decoded value must not be decoded again.
        if self.serializer == JSON and _DECODED not in meta and "result" in meta:
            meta["result"] = _readable(meta["result"])
            meta[_DECODED] = True
        return meta

    Backend.meta_from_decoded = meta_from_decoded


class _Unreadable:
    """In the place of a value that may not be rebuilt here: the state of its task can be read all the same."""

    def __init__(self, error: WireError) -> None:
        self.error = error


def _readable(stored: Any) -> Any:
    try:
        return _listed(decode(stored), tuple)
    except WireError as error:
        return _Unreadable(error)


def _refuse_unreadable_values() -> None:
    """Whoever asks for such a value gets the error that says why."""
    read, throw = AsyncResult.result.fget, AsyncResult.maybe_throw

    def result(self: Any) -> Any:
        return _or_raise(read(self))

    def maybe_throw(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _or_raise(throw(self, *args, **kwargs))

    AsyncResult.result = AsyncResult.info = property(result, doc=AsyncResult.result.__doc__)
    AsyncResult.maybe_throw = AsyncResult.maybe_reraise = maybe_throw


def _or_raise(value: Any) -> Any:
    if isinstance(value, _Unreadable):
        raise value.error
    return value


def _read_encoded_chord_parts() -> None:
    """Redis keeps what the members of a chord returned in a list of its own."""
    original = RedisBackend._unpack_chord_result

    def unpack_chord_result(self: Any, *args: Any, **kwargs: Any) -> Any:
        returned = original(self, *args, **kwargs)
        return _listed(decode(returned), tuple) if self.serializer == JSON else returned

    RedisBackend._unpack_chord_result = unpack_chord_result
