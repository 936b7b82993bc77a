"""Secrets that a task's function has put into a text after all: what is logged, and what it fails with.

This is a net, not a promise: it knows the secret texts that a call was given, as they are. What else was made of one, a
part of it or its form in an address, it does not find.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from firexkit._serialization.exceptions import RemoteError
from firexkit._serialization.large import entries_of
from firexkit._serialization.text import safe_str
from firexkit.secret import MASK, NEVER_SECRET, Secret, SecretNames, revealed

SHORTEST: Final = 4
"""Characters; shorter ones stand in too many texts by chance."""
_MOST_CAUSES: Final = 20
_DEEPEST: Final = 8
"""Levels of lists and dicts that are looked into."""
_TO_LOOK_AT: Final = frozenset({Secret, dict})
_NOT_IN_VARS: Final = {OSError: ("strerror", "filename", "filename2"), SyntaxError: ("msg", "text", "filename")}
"""What built-in errors make their text of."""

_call: Final[ContextVar[set[str] | None]] = ContextVar("firexkit_secrets_of_call", default=None)
"""The secret texts of the call that runs here."""
_calls: Final[Counter[str]] = Counter()
"""Of how many calls that run in this process now a text is a secret: what a call hands to threads is logged there."""
_longest_first: list[str] = []
"""One may be a part of another."""
_lock: Final = threading.Lock()
_made_before: Final[list[Callable[..., logging.LogRecord]]] = []


@contextmanager
def forgetting() -> Iterator[None]:
    """A call: what is known of its secrets in the block is forgotten after it."""
    texts: set[str] = set()
    token = _call.set(texts)
    try:
        yield
    finally:
        _call.reset(token)
        if texts:
            _count(texts, -1)


def know(values: Mapping[str, Any], names: SecretNames) -> None:
    """Hide the secrets among the values that a call was given, as long as it lasts; those in dicts among them, too.

    Args:
        values: by name.
        names: of those that are secret whatever their type.
    """
    kept = dict(entries_of(values))
    if not names.among(kept) and _TO_LOOK_AT.isdisjoint(map(type, kept.values())):
        return  # as most
    know_all(_secrets_in(kept, names))
    for value in kept.values():
        if type(value) is dict:
            know_all(_secrets_in(value, names))


def _secrets_in(values: Mapping[Any, Any], names: SecretNames) -> Iterator[Any]:
    secret = names.among(values)
    return (value for name, value in values.items() if type(value) is Secret or name in secret)


def know_all(secrets: Iterable[Any]) -> None:
    """Hide these values from now on, in whatever form they have as text; nothing where no call goes on."""
    call = _call.get()
    if call is None:
        return
    texts = {text for secret in secrets for text in _texts_of(secret, 0) if len(text) >= SHORTEST}
    texts = {text for text in texts if text.lower() not in NEVER_SECRET} - call
    if texts:
        call |= texts
        _count(texts, 1)
        _install()


def _texts_of(value: Any, depth: int) -> Iterator[str]:
    value = revealed(value)
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict | list | tuple | set | frozenset) and depth < _DEEPEST:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_of(inner, depth + 1)


def _count(texts: Iterable[str], by: int) -> None:
    with _lock:
        for text in texts:
            _calls[text] += by
        _longest_first[:] = sorted(+_calls, key=len, reverse=True)
        for text in [text for text, number in _calls.items() if number <= 0]:
            del _calls[text]


def known() -> tuple[str, ...]:
    """The secret texts of the calls that run in this process, the longest first."""
    return tuple(_longest_first)


def redacted(text: str) -> str:
    """A text without the secrets that are known here."""
    for secret in known():
        text = text.replace(secret, MASK)
    return text


def cleaned(error: BaseException) -> BaseException:
    """An error that shows no secret, and neither do its causes: many people read that.

    It is the same one, but for errors whose text can't be changed: another one has their name and text then.
    """
    if not known():
        return error
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(seen) < _MOST_CAUSES:
        one = waiting.pop()
        if not isinstance(one, BaseException) or any(one is other for other in seen):
            continue
        seen.append(one)
        # Groups have several; Celery's Retry has the error that it is for.
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ()), getattr(one, "exc", None)]
        _clean(one)
    if all(redacted(text) == text for text in map(safe_str, seen)):
        return error
    stand_in = RemoteError(f"{type(error).__module__}.{type(error).__qualname__}", redacted(safe_str(error)))
    stand_in.__suppress_context__ = True
    return stand_in.with_traceback(error.__traceback__)


def _clean(error: BaseException) -> None:
    args = tuple(_without(arg, 0) for arg in error.args)
    if any(new is not old for new, old in zip(args, error.args, strict=True)):
        error.args = args
    names = [name for kind, names in _NOT_IN_VARS.items() if isinstance(error, kind) for name in names]
    for name, value in {**vars(error), **{name: getattr(error, name) for name in names}}.items():
        if (new := _without(value, 0)) is not value:
            with suppress(Exception):  # what refuses to be changed is replaced
                BaseException.__setattr__(error, name, new)


def _without(value: Any, depth: int) -> Any:
    """A value without secrets: the same object if there are none in it."""
    if isinstance(value, str):
        text = redacted(value)
        return value if text == value else text
    if type(value) not in (list, tuple, dict) or depth >= _DEEPEST:
        return value
    items = [*value.values()] if isinstance(value, dict) else [*value]
    shown = [_without(item, depth + 1) for item in items]
    if all(new is old for new, old in zip(shown, items, strict=True)):
        return value
    return dict(zip(value, shown, strict=True)) if isinstance(value, dict) else type(value)(shown)


# ── logs ─────────────────────────────────────────────────────────────────────────────────


def _install() -> None:
    """Look at what is logged, by whomever, once there is a secret in this process."""
    if logging.getLogRecordFactory() is not _record:
        _made_before[:] = [logging.getLogRecordFactory()]
        logging.setLogRecordFactory(_record)


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _made_before[0](*args, **kwargs)
    if not known():
        return record
    text = safe_str(_Message(record))
    if (told := redacted(text)) != text:
        record.msg, record.args = told, ()
    if record.exc_info and record.exc_info[0] is not None:
        trace = "".join(traceback.format_exception(*record.exc_info))
        if (told := redacted(trace)) != trace:
            # A formatter that finds the text there makes none itself.
            record.exc_text = told.rstrip("\n")
    return record


class _Message:
    """The text of a record, which may fail to be made."""

    def __init__(self, record: logging.LogRecord) -> None:
        self._record = record

    def __str__(self) -> str:
        return self._record.getMessage()
