"""Large values as bytes, as they are stored; and how large a value is, before anybody writes it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from firexkit._serialization.decoding import decode
from firexkit._serialization.encoding import encode
from firexkit._serialization.errors import Json, WireError
from firexkit._serialization.large import GONE, LargeValue
from firexkit._serialization.objects import is_model

_UTF8: Final = ("utf-8", "surrogatepass")
_TEXT, _BYTES, _JSON = b"t", b"b", b"j"
"""The first byte says what follows: text in UTF-8, plain bytes, or JSON."""


def packed(value: object) -> bytes:
    """A value as bytes.

    Raises:
        WireError: something inside cannot travel.
    """
    return _BYTES + value if type(value) is bytes else packed_json(encode(value))


def packed_json(encoded: Json) -> bytes:
    """An encoded value as bytes."""
    if type(encoded) is str:
        return _TEXT + encoded.encode(*_UTF8)
    return _JSON + json.dumps(encoded, separators=(",", ":")).encode()


def unpacked(data: bytes) -> Any:
    """The value that these bytes were made of.

    Raises:
        WireError: they are no value of ours, or hold a class that is not allowed here.
    """
    kind, content = data[:1], data[1:]
    if kind not in _READERS:
        raise WireError(
            f"a stored value of the kind {kind!r} is not known here; use one release of firexkit everywhere"
        )
    return _READERS[kind](content)


_READERS: Final[dict[bytes, Callable[[bytes], Any]]] = {
    _TEXT: lambda content: content.decode(*_UTF8),
    _BYTES: lambda content: content,
    _JSON: lambda content: decode(json.loads(content.decode())),
}


def values_of(stored: Sequence[bytes | None]) -> list[Any]:
    """The values of what was read; ``GONE`` for what was not there."""
    return [GONE if data is None else unpacked(data) for data in stored]


# ── how large ────────────────────────────────────────────────────────────────────────────
_TEXTS: Final = frozenset({str, bytes, bytearray})
_SMALL: Final = frozenset({int, float, bool, type(None), complex})
_LEAVES: Final = _TEXTS | _SMALL
_HOLDING: Final[tuple[Any, ...]] = (list, tuple, set, frozenset)
_AROUND: Final = 6
"""What a number takes, or a text beside its letters: quotes, a comma, a space."""


def exceeds(value: object, limit: int) -> bool:
    """Whether a value, written as JSON, takes more than about ``limit`` bytes; nothing is written to find out."""
    kind = type(value)
    if kind in _TEXTS:
        return len(value) > limit  # type: ignore[arg-type]  # the table of types says so
    return kind not in _SMALL and _weight(value, limit) > limit


def _weight(value: object, limit: int) -> int:
    """About what a value takes; no part is looked at any more once that is beyond ``limit``."""
    weight, waiting = 0, [value]
    while waiting and weight <= limit:
        item = waiting.pop()
        if type(item) is LargeValue:
            weight += item.size
            continue
        parts = _parts(item)
        weight += _AROUND * len(parts)
        if weight <= limit and not _SMALL.issuperset(map(type, parts)):
            weight += sum([len(part) for part in parts if type(part) in _TEXTS])
            waiting.extend([part for part in parts if type(part) not in _LEAVES])
    return weight


def _parts(value: Any) -> Collection[Any]:
    """What a value holds. What an object computes is unknown: it counts as small."""
    # A class may answer any question with an error; whoever encodes the value tells about it.
    with suppress(Exception):
        if isinstance(value, dict):
            return [*dict.keys(value), *dict.values(value)]
        for kind in _HOLDING:
            if isinstance(value, kind):
                # The base's own iterator: a subclass may have one without end.
                return value if type(value) is kind else list(kind.__iter__(value))
        return _parts_of_object(value)
    return ()


def _parts_of_object(value: Any) -> Collection[Any]:
    if isinstance(value, BaseException):
        return [*value.args, *vars(value).values()]
    if is_model(type(value)):
        return list(vars(value).values())
    return [getattr(value, field.name) for field in dataclasses.fields(value)]
