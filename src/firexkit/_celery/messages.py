"""Values on their way through Celery: encoded before kombu sees them, decoded before a task does.

kombu's JSON turns tuples into lists and integer keys into text, and trusts ``__type__``; so values of FireX tasks are
encoded here while the content type stays ``json``. Another serializer gets its values untouched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from celery import current_app
from celery.app import trace
from celery.backends.base import Backend
from celery.canvas import maybe_signature
from celery.result import AsyncResult
from kombu.utils import json as kombu_json

from firexkit import _lazy
from firexkit._celery.large_values import KeeperFor, taken_out, taken_out_encoded
from firexkit._celery.secret_settings import hidden, hidden_call, sealing_for, secret_names
from firexkit._serialization import WireError, decode, decode_exception, encode, encode_exception
from firexkit._serialization.keeping import Keeper, candidates
from firexkit._serialization.large import LateDict, Read, entries_of, fetched, late
from firexkit._serialization.masking import masked
from firexkit._wire import (
    ENCODED_ARGS_OPTION,
    ENCODED_HEADER,
    EXCEPTION_EXTRA,
    RETURN_KEYS_KEY,
    WIRE_VERSION,
)
from firexkit.secret import SecretNames

JSON = "json"
_NO_NAMES = SecretNames(())
_DECODED = "firexkit_decoded"
_CALLBACKS = frozenset({"link", "link_error"})


class Carried(LateDict):
    """A returned bag that knows its encoded form, so that it is encoded once for the backend and the next task."""

    __slots__ = ("encoded",)

    encoded: Any


def carried(
    bag: Mapping[str, Any], keeper: Callable[[], Keeper] | None, *, task_name: str, secret: SecretNames = _NO_NAMES
) -> Carried:
    """A bag ready to be stored and sent on.

    Args:
        bag: the bag.
        keeper: makes what stores its large values; None when it shall travel whole.
        task_name: for errors.
        secret: names whose values nobody shall read on the way.

    Raises:
        WireError: a value can't travel; the text names the task, the key path and the type.
    """
    parcel, sent = Carried(entries_of(bag)), dict(entries_of(hidden(bag, secret)))
    if keeper is not None and (large := candidates(entry for entry in sent.items() if entry[0] != RETURN_KEYS_KEY)):
        sent.update(keeper().sent_for(large))
    parcel.encoded = encode(_listed(sent, list), where=f"what task {task_name} returned")
    return parcel


def _listed(bag: Any, kind: Callable[[Iterable[str]], Any]) -> Any:
    """A bag whose names of returns are in another kind of sequence: lists travel as plain JSON, tuples do not."""
    if not isinstance(bag, dict) or not isinstance(bag.get(RETURN_KEYS_KEY), list | tuple):
        return bag
    listed = dict(entries_of(bag))
    listed[RETURN_KEYS_KEY] = kind(bag[RETURN_KEYS_KEY])
    return listed


def following_of(request: Any, app: Any) -> Any:
    """The next member of a task's chain; None when it is the last."""
    return maybe_signature(request.chain[-1], app=app) if request.chain else None


def travels_whole(request: Any, following: Any) -> bool:
    """Whether what a task returns goes to others than its result and one of our tasks: they fetch no large values."""
    return bool(request.callbacks or request.chord) or not (following is None or _fetches(following))


def _fetches(following: Any) -> bool:
    return not is_chain_like(following) and takes_bag(following)


def check_for_plain_task(bag: Mapping[str, Any], following: Any, *, task_name: str) -> None:
    """Refuse a bag that the next member of the chain, a plain Celery task, can't be sent.

    Raises:
        WireError: a value is no plain JSON; the text names both tasks, the key and the type.
    """
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
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    task: Any,
    serializer: str,
    keeper_for: KeeperFor,
) -> tuple[Sequence[Any], Mapping[str, Any], dict[str, Any]]:
    """Arguments and options of one message.

    A chain member's own arguments were encoded when its chain was applied; what Celery put before them, the previous
    task's result, was not.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        options: options of the message.
        task: to which they go.
        serializer: what the message will be written with.
        keeper_for: makes what stores large values.
    """
    options = dict(options)
    ready = options.pop(ENCODED_ARGS_OPTION, None)
    if ready is None and serializer != JSON:
        return list(fetched(dict(enumerate(args))).values()), fetched(kwargs), options
    for name in _CALLBACKS & options.keys():
        options[name] = [_encoded_callback(callback) for callback in _as_list(options[name])]
    options["headers"] = {**(options.get("headers") or {}), ENCODED_HEADER: WIRE_VERSION}
    task_name = task.name
    if ready is None:
        args, kwargs = taken_out(hidden_call(task, args, kwargs), options, keeper_for)
        return encoded_positionals(args, task_name), encoded_keywords(kwargs, task_name), options
    fresh = len(args) - ready
    before, own = args[:fresh], args[fresh:]
    # What an earlier member or attempt sends on was looked at when the chain was sent.
    if not options.get("retries") and not any(type(value) is Carried for value in before):
        own, kwargs = taken_out_encoded((own, kwargs), options, keeper_for)
    return [*encoded_positionals(before, task_name), *own], kwargs, options


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


def encoded_signature(sig: Any, secret: frozenset[str] = frozenset()) -> Any:
    """The signature with its own arguments encoded, the mark that they are, and the name that every worker knows.

    Args:
        sig: the signature; it is changed.
        secret: names that other members of its chain take for secrets.
    """
    args, kwargs = sig.args, sig.kwargs
    if (task := sig.app.tasks.get(sig.task)) is not None:
        sig["task"] = published_name(task)
        args, kwargs = hidden_call(task, args, kwargs, secret)
    sig["options"] = {**sig.options, ENCODED_ARGS_OPTION: len(args)}
    sig["args"] = tuple(encoded_positionals(args, sig.task))
    sig["kwargs"] = encoded_keywords(kwargs, sig.task)
    return sig


def header_of(request: Any, name: str) -> Any:
    """A header of the message that a request came with: Celery keeps it apart in eager mode."""
    return getattr(request, name, None) or (getattr(request, "headers", None) or {}).get(name)


def is_encoded(request: Any) -> bool:
    """Whether the arguments of a request were encoded by us."""
    return header_of(request, ENCODED_HEADER) is not None


def received(
    request: Any, args: Iterable[Any], kwargs: Mapping[str, Any], read: Read
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a request as the sender knew them, large ones to be fetched.

    Args:
        request: the request.
        args: its positional arguments.
        kwargs: its keyword arguments.
        read: reads large values.

    Raises:
        WireError: the message names a class that may not be rebuilt here.
    """
    if not is_encoded(request):
        return tuple(args), dict(kwargs)
    return tuple(decode(value, read) for value in args), {name: decode(value, read) for name, value in kwargs.items()}


# ── results ───────────────────────────────────────────────────────────────────────────────


def install(reader_of: Callable[[Any], Read]) -> None:
    """Teach Celery's result backends our encoding; once per process, for every app in it.

    Args:
        reader_of: what reads the large values of an app.
    """
    if getattr(Backend, "speaks_firexkit", False):
        return
    _store_encoded_values()
    _store_whole_exceptions()
    _read_encoded_values(reader_of)
    _read_encoded_chord_parts(reader_of)
    _give_values_or_reasons()
    _describe_without_fetching()
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
            with sealing_for(self.app):
                stored[EXCEPTION_EXTRA] = encode_exception(failure.original if is_stand_in else exc)
        return stored

    def exception_to_python(self: Any, exc: Any) -> Any:
        if isinstance(exc, dict) and EXCEPTION_EXTRA in exc:
            with sealing_for(self.app):
                return decode_exception(exc[EXCEPTION_EXTRA])
        return read(self, exc)

    trace.get_pickleable_exception = remember_original
    Backend.prepare_exception = prepare_exception
    Backend.exception_to_python = exception_to_python


def _read_encoded_values(reader_of: Callable[[Any], Read]) -> None:
    original = Backend.meta_from_decoded

    def meta_from_decoded(self: Any, meta: dict[str, Any]) -> Any:
        meta = original(self, meta)
        # Celery calls this twice for one meta; a decoded value must not be decoded again.
        if self.serializer == JSON and _DECODED not in meta and "result" in meta:
            with sealing_for(self.app):
                meta["result"] = _readable(meta["result"], reader_of(self.app))
            meta[_DECODED] = True
        return meta

    Backend.meta_from_decoded = meta_from_decoded


class _Unreadable:
    """In the place of a value that may not be rebuilt here: the state of its task can be read all the same."""

    def __init__(self, error: WireError) -> None:
        self.error = error


def _readable(stored: Any, read: Read) -> Any:
    try:
        return _readable_bag(decode(stored, read))
    except WireError as error:
        return _Unreadable(error)


def _readable_bag(value: Any) -> Any:
    listed = _listed(value, tuple)
    return late(listed) if isinstance(value, LateDict) else listed


def _give_values_or_reasons() -> None:
    """Whoever asks for a result gets it with its large values, or the error that says why there is none."""
    read, throw = AsyncResult.result.fget, AsyncResult.maybe_throw

    def result(self: Any) -> Any:
        value = _or_raise(read(self))
        if isinstance(value, LateDict):
            value = self._get_task_meta()["result"] = fetched(value)
        return value

    def maybe_throw(self: Any, *args: Any, **kwargs: Any) -> Any:
        value = _or_raise(throw(self, *args, **kwargs))
        return self.result if isinstance(value, LateDict) else value

    AsyncResult.result = AsyncResult.info = property(result, doc=AsyncResult.result.__doc__)
    AsyncResult.maybe_throw = AsyncResult.maybe_reraise = maybe_throw


def _or_raise(value: Any) -> Any:
    if isinstance(value, _Unreadable):
        raise value.error
    return value


def bag_of(result: Any) -> Mapping[str, Any] | None:
    """What a task returned, large values to be fetched; None when that is no bag."""
    is_plain = isinstance(result, AsyncResult) and type(result).result is AsyncResult.result
    value = _or_raise(result._get_task_meta().get("result")) if is_plain else getattr(result, "result", None)
    return value if isinstance(value, Mapping) else None


def _describe_without_fetching() -> None:
    """Celery describes what each task returned, for its log and events: nothing is read for that, no secret told."""
    original = trace.saferepr

    def saferepr(value: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(value, dict):
            value = dict(entries_of(masked(value, secret_names(current_app))))
        return str(original(value, *args, **kwargs))

    trace.saferepr = saferepr


def _read_encoded_chord_parts(reader_of: Callable[[Any], Read]) -> None:
    """Redis keeps what the members of a chord returned in a list of its own."""
    _lazy.when_imported("celery.backends.redis", partial(_mend_chord_parts, reader_of))


def _mend_chord_parts(reader_of: Callable[[Any], Read], module: Any) -> None:
    original = module.RedisBackend._unpack_chord_result

    def unpack_chord_result(self: Any, *args: Any, **kwargs: Any) -> Any:
        returned = original(self, *args, **kwargs)
        with sealing_for(self.app):
            return _readable_bag(decode(returned, reader_of(self.app))) if self.serializer == JSON else returned

    module.RedisBackend._unpack_chord_result = unpack_chord_result
