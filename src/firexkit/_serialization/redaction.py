"""Secrets that a task's function has put into a text after all: what is logged, and what it fails with.

This is a net, not a promise: it knows the secret texts that a call was given, as they are. What else was made of one, a
part of it or its form in an address, it does not find.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from firexkit._serialization.large import entries_of
from firexkit._serialization.text import safe_str
from firexkit.secret import MASK, NEVER_SECRET, Secret, SecretNames, revealed

SHORTEST: Final = 4
"""Characters; shorter ones stand in too many texts by chance."""
_MOST_CAUSES: Final = 20
_OF_THE_SYSTEM: Final = ("strerror", "filename", "filename2")

_known: Final[ContextVar[tuple[str, ...]]] = ContextVar("firexkit_known_secrets", default=())
_made_before: Final[list[Callable[..., logging.LogRecord]]] = []


@contextmanager
def forgetting() -> Iterator[None]:
    """Let what :func:`know` is told in the block be forgotten after it."""
    token = _known.set(_known.get())
    try:
        yield
    finally:
        _known.reset(token)


def know(values: Mapping[str, Any], names: SecretNames) -> None:
    """Hide the secrets among these values from now on.

    Args:
        values: by name.
        names: of those that are secret whatever their type.
    """
    kept = dict(entries_of(values))
    secret = names.among(kept)
    if not secret and Secret not in map(type, kept.values()):
        return
    found = [revealed(value) for name, value in kept.items() if type(value) is Secret or name in secret]
    texts = {text for text in found if isinstance(text, str) and len(text) >= SHORTEST}
    texts = {text for text in texts if text.lower() not in NEVER_SECRET}
    if texts - {*_known.get()}:
        # The longest first: one may be a part of another.
        _known.set(tuple(sorted({*_known.get(), *texts}, key=len, reverse=True)))
        _install()


def known() -> tuple[str, ...]:
    """The secret texts of the call that runs here."""
    return _known.get()


def redacted(text: str) -> str:
    """A text without the secrets that are known here."""
    for secret in _known.get():
        text = text.replace(secret, MASK)
    return text


def clean(error: BaseException) -> None:
    """Hide the secrets in what an error says, and in what its causes say: many people read that."""
    if not _known.get():
        return
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(seen) < _MOST_CAUSES:
        one = waiting.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__]
        _clean(one)


def _clean(error: BaseException) -> None:
    args = tuple(_without(arg) for arg in error.args)
    if any(new is not old for new, old in zip(args, error.args, strict=True)):
        error.args = args
    system = {name: getattr(error, name) for name in _OF_THE_SYSTEM} if isinstance(error, OSError) else {}
    for name, value in {**vars(error), **system}.items():
        if (new := _without(value)) is not value:
            BaseException.__setattr__(error, name, new)


def _without(value: Any) -> Any:
    if isinstance(value, list) and any(_without(item) is not item for item in value):
        return [_without(item) for item in value]
    if not isinstance(value, str):
        return value
    text = redacted(value)
    return value if text == value else text


# ── logs ─────────────────────────────────────────────────────────────────────────────────


def _install() -> None:
    """Look at what is logged, by whomever, once there is a secret in this process."""
    if logging.getLogRecordFactory() is not _record:
        _made_before[:] = [logging.getLogRecordFactory()]
        logging.setLogRecordFactory(_record)


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _made_before[0](*args, **kwargs)
    if not _known.get():
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
