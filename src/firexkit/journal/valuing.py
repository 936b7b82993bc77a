"""Values as a journal keeps them: a digest, the beginning as text, the whole once; without secrets that are known."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import msgspec
from celery.exceptions import SoftTimeLimitExceeded

from firexkit._serialization import convert_to_serializable
from firexkit._serialization.large import LargeValue
from firexkit._serialization.redaction import known, redacted
from firexkit.journal.model import Value
from firexkit.uid import Uid

PREVIEW: Final = 2048
"""Bytes of a value that every fact shows."""
TRACEBACK: Final = 8192
"""Characters of a traceback that are kept, those at its end."""
LONGEST: Final = 1024 * 1024
"""Bytes of a value that is kept whole."""
_DIGEST: Final = 16
"""Bytes: no two values of any number of runs have equal ones by chance."""
_REMEMBERED: Final = 4096
"""Whole values of which this process remembers that it has told them."""


def _readable(value: Any) -> Any:
    """What JSON has no word for, as people would write it."""
    if isinstance(value, PurePath | Uid):
        return str(value)
    return convert_to_serializable(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=_readable)
_sorting: Final = msgspec.json.Encoder(enc_hook=_readable, order="deterministic")
"""For sets, whose order differs between processes."""
_NO_NUMBER: Final = re.compile(r"\bNaN\b|\bInfinity\b")


class Valued(NamedTuple):
    """A value, ready to be told.

    Attributes:
        shown: what facts show of it.
        whole: all of it, where it was not told yet and more than is shown.
    """

    shown: Value
    whole: bytes | None

    @property
    def digest(self) -> str:
        """Of the whole value."""
        return self.shown.digest


class Valuer:
    """Makes values ready to be told, and remembers which it has told whole."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, None] = OrderedDict()

    def value(self, run_id: str, value: Any) -> Valued:
        """What is told of a value.

        Args:
            run_id: the run whose facts it is in.
            value: anything.
        """
        if type(value) is LargeValue:
            if not value.is_here:
                return Valued(Value(digest=value.place.digest, preview="", size=value.size), None)
            value = value.get()
        raw = _encoded(value)
        if known():  # a task may have made a text with one of its secrets
            raw = redacted(raw.decode(errors="replace")).encode()
        digest = blake2b(raw, digest_size=_DIGEST).hexdigest()
        shown = Value(digest=digest, preview=raw[:PREVIEW].decode(errors="ignore"), size=len(raw))
        return Valued(shown, raw if self._is_to_be_told(f"{run_id}/{digest}", len(raw)) else None)

    def _is_to_be_told(self, place: str, size: int) -> bool:
        if not PREVIEW < size <= LONGEST or place in self._told:
            return False
        self._told[place] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True


def beginning(text: str) -> str:
    """As much of a text as facts show."""
    return _writable(text if len(text) <= PREVIEW else f"{text[:PREVIEW]} …")


def end(text: str) -> str:
    """The end of a text: of a traceback, that says what happened."""
    return _writable(text if len(text) <= TRACEBACK else f"… {text[-TRACEBACK:]}")


def text_of(value: Any) -> str:
    """What `str` says, or why it says nothing: other people's code makes the text."""
    try:
        return str(value)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        return f"({type(value).__name__} without a text: {type(error).__name__})"


def _writable(text: str) -> str:
    """A text without halves of letters, which UTF-8 has no bytes for."""
    return text.encode(errors="backslashreplace").decode()


def _encoded(value: Any) -> bytes:
    """A value as JSON, whatever it is."""
    for encode in (_as_it_is, _converted, _described):
        try:
            return encode(value)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            continue
    return _encoder.encode(f"({type(value).__name__})")


def _as_it_is(value: Any) -> bytes:
    raw = (_sorting if isinstance(value, (set, frozenset)) else _encoder).encode(value)
    if value is None or b"null" not in raw or len(raw) > LONGEST:
        return raw
    # It writes null for what is no number, too.
    text = json.dumps(convert_to_serializable(value), ensure_ascii=False)
    return text.encode() if _NO_NUMBER.search(text) else raw


def _converted(value: Any) -> bytes:
    return _encoder.encode(convert_to_serializable(value))


def _described(value: Any) -> bytes:
    return _encoder.encode(_writable(repr(value)))
