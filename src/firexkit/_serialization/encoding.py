"""From values to JSON. Plain JSON passes untouched; whatever else is inside gets a tag."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from io import IOBase
from itertools import islice
from typing import Any, Final, TypeAlias

from firexkit import _wire
from firexkit._serialization.classes import allowed_kind, class_key
from firexkit._serialization.errors import Json, Refused, WireError
from firexkit._serialization.large import LargeValue, told
from firexkit._serialization.objects import Kind, kind_for
from firexkit._serialization.scalars import SCALARS, Scalar
from firexkit._serialization.sealing import Hidden, sealed
from firexkit._serialization.telling import Telling
from firexkit._serialization.text import safe_repr, shortened, type_name
from firexkit.secret import Secret

_Method: TypeAlias = "Callable[[Encoder, Any, int], Json]"

MAX_DEPTH: Final = 100

_LEAVES: Final = frozenset({str, float, bool, type(None)})
_TEXT: Final = frozenset({str})
_INTS: Final = frozenset({int})
# Python reads and writes longer decimal numbers only if told to; 2048 bits stay below the strictest limit.
_HIGH: Final = 1 << 2048
_LOW: Final = -_HIGH
_RESERVED: Final = frozenset({_wire.TAG, _wire.KOMBU_TAG, _wire.ENVELOPE})
_KEY_LIMIT: Final = 80


def encode(value: object, *, where: str = "value") -> Json:
    """The value as JSON that any JSON library and kombu carry without change.

    Args:
        value: what shall travel. Plain JSON (dicts with string keys, lists, strings, numbers, booleans, None) comes
            back as it is, perhaps as the same object.
        where: what the value is, for the error: ``argument 'x' of task pkg.t``.

    Returns:
        Plain JSON; with an envelope around it if anything inside needed a tag.

    Raises:
        WireError: something inside cannot travel.
    """
    if type(value) in _LEAVES:
        return value  # type: ignore[return-value]  # the table of types says so
    encoder = Encoder()
    try:
        encoded = encoder.walk(value, 1)
    except Refused as refused:
        raise WireError(refused.sentence(where)) from refused.__cause__
    except RecursionError as error:
        raise WireError(f"{where} cannot be sent: it is nested too deeply for the rest of this stack") from error
    return encoder.wrapped(encoded)


def encode_exception(error: BaseException) -> dict[str, Json]:
    """The exception as JSON: class, text, arguments, attributes, notes and cause.

    This never fails: an argument that cannot travel is told by its repr, an attribute that cannot is left out.
    """
    return Encoder().told(error, 1)


class Encoder:
    """One walk over one value; remembers whether it needed a tag, and the exceptions it met."""

    __slots__ = ("_telling", "tagged")

    def __init__(self) -> None:
        self.tagged = False
        self._telling: Telling | None = None

    def walk(self, value: object, depth: int) -> Json:
        """Any value; ``depth`` is its level, counted from 1, should it turn out to hold others."""
        kind = type(value)
        if kind in _LEAVES:
            return value  # type: ignore[return-value]  # the table of types says so
        method = _CONTAINERS.get(kind)
        if method is None and (scalar := _SCALARS.get(kind)) is not None:
            return scalar(self, value, depth)
        if depth > MAX_DEPTH:
            raise Refused(f"is nested more than {MAX_DEPTH} levels deep, or contains itself; send something flatter")
        return method(self, value, depth + 1) if method is not None else self.unusual(value, depth + 1)

    def wrapped(self, encoded: Json) -> Json:
        """What was walked, in an envelope if a tag is in it."""
        return {_wire.ENVELOPE: _wire.WIRE_VERSION, _wire.VALUE: encoded} if self.tagged else encoded

    # ── containers: what they hold is at ``depth`` ───────────────────────────────────────
    def items(self, items: Iterable[Any], depth: int) -> list[Json]:
        """Each item of a sequence."""
        encoded: list[Json] = []
        try:
            for item in items:
                kind = type(item)
                plain = kind in _LEAVES or (kind is int and _LOW < item < _HIGH)
                encoded.append(item if plain else self.walk(item, depth))
        except Refused as refused:
            refused.path.append(f"[{len(encoded)}]")
            raise
        return encoded

    def fields(self, fields: Mapping[str, Any], depth: int, spot: str = ".{}") -> dict[str, Json]:
        """Each value under its name; ``spot`` is how the path to one is written."""
        encoded: dict[str, Json] = {}
        name = ""
        try:
            for name, value in fields.items():
                kind = type(value)
                plain = kind in _LEAVES or (kind is int and _LOW < value < _HIGH)
                encoded[name] = value if plain else self.walk(value, depth)
        except Refused as refused:
            refused.path.append(spot.format(shortened(name, _KEY_LIMIT)))
            raise
        return encoded

    def pairs(self, items: Iterable[tuple[Any, Any]], depth: int) -> Json:
        """A dict whose keys JSON or kombu would change."""
        pairs: list[Json] = []
        for key, value in items:
            try:
                pairs.append([self.walk(key, depth), self.walk(value, depth)])
            except Refused as refused:
                refused.path.append(f"[{shortened(safe_repr(key), _KEY_LIMIT)}]")
                raise
        return self.tag(_wire.TAG_DICT, pairs)

    def list_(self, items: list[Any], depth: int) -> Json:
        """A list; one of nothing but plain leaves passes as it is."""
        kinds = set(map(type, items))
        if kinds <= _LEAVES or (kinds == _INTS and min(items) > _LOW and max(items) < _HIGH):
            return items
        return self.items(items, depth)

    def dict_(self, mapping: dict[Any, Any], depth: int) -> Json:
        """A dict, escaped if a key is no plain string or one of ours."""
        if _TEXT.issuperset(map(type, mapping)) and mapping.keys().isdisjoint(_RESERVED):
            return self.fields(mapping, depth, "[{!r}]")
        return self.pairs(mapping.items(), depth)

    def tag(self, tag: str, value: Json, **extra: Json) -> dict[str, Json]:
        """A value that JSON does not know."""
        self.tagged = True
        return {_wire.TAG: tag, **extra, _wire.VALUE: value}

    # ── everything else ──────────────────────────────────────────────────────────────────
    def unusual(self, value: object, depth: int) -> Json:
        """A value of a type in no table: an allowed class (even one with ``__json__()``), a relative, or refused."""
        kind = allowed_kind(type(value))
        try:
            return self.instance(kind, value, depth) if kind else _method_for(value)(self, value, depth)
        except (Refused, RecursionError):
            raise
        except Exception as error:
            raise Refused(f"({type_name(type(value))}) cannot be read: {safe_repr(error)}") from error

    def instance(self, kind: Kind, value: object, depth: int) -> Json:
        """An instance of an allowed class."""
        key = class_key(type(value))
        if kind.tag == _wire.TAG_ENUM:
            return self.tag(kind.tag, kind.apart(value), **{_wire.CLASS: key})
        fields, state = kind.apart(value)
        extra = {_wire.STATE: self.dict_(state, depth)} if state else {}
        return self.tag(kind.tag, self.named(fields, depth), **{_wire.CLASS: key}, **extra)

    def named(self, fields: dict[str, Any], depth: int) -> Json:
        """Fields by name; kombu would take two of these names together for its own."""
        return self.fields(fields, depth) if fields.keys().isdisjoint(_RESERVED) else self.dict_(fields, depth)

    def exception(self, error: BaseException, depth: int) -> Json:
        """An exception as a value; met again, it is only its number."""
        number = self._telling.number(error) if self._telling is not None else None
        if number is not None:
            return self.tag(_wire.TAG_AGAIN, number)
        return self.tag(_wire.TAG_EXCEPTION, self.told(error, depth))

    def told(self, error: BaseException, depth: int) -> dict[str, Json]:
        """What is told about an exception."""
        if self._telling is None:
            self._telling = Telling(self.walk)
        return self._telling.tell(error, depth)

    def large(self, value: LargeValue, depth: int) -> Json:
        """A large value that is stored already: only where; the value itself if somebody may have changed it."""
        return self.walk(value.get(), depth) if value.may_have_changed else self.tag(_wire.TAG_LARGE, told(value))

    def secret(self, value: Secret[Any] | Hidden, depth: int) -> Json:
        """A value that nobody reads on its way."""
        inside = Encoder()
        content = json.dumps(inside.wrapped(inside.walk(value.reveal(), depth + 1)))
        return self.tag(_wire.TAG_SECRET if type(value) is Secret else _wire.TAG_HIDDEN, sealed(content))

    def own_json(self, value: Any, depth: int) -> Json:
        """What the value says about itself, as kombu would ask it."""
        return self.walk(value.__json__(), depth)


def _method_for(value: object) -> _Method:
    return next((method for fits, method in _UNUSUAL if fits(value)), _refuse)


def _refuse(_: Encoder, value: object, __: int) -> Json:
    advice = next(advice for fits, advice in _ADVICE if fits(value))
    raise Refused(f"is {_described(value)}, which no message carries; {advice}")


def _described(value: object) -> str:
    return f"the class {type_name(value)}" if isinstance(value, type) else f"a {type_name(type(value))}"


def _scalar(row: Scalar) -> _Method:
    return lambda encoder, value, _: encoder.tag(row.tag, row.apart(value))


def _integer(encoder: Encoder, value: int, _: int) -> Json:
    return value if _LOW < value < _HIGH else encoder.tag(_wire.TAG_INT, hex(value))


def _tagged_items(tag: str) -> _Method:
    return lambda encoder, value, depth: encoder.tag(tag, encoder.items(value, depth))


def _mapping(encoder: Encoder, value: Mapping[Any, Any], depth: int) -> Json:
    return encoder.dict_(dict(_sized(value.items())), depth)


def _sized(collection: Collection[Any]) -> Iterator[Any]:
    """Its items and no more: an iterator of its own making may never end."""
    return islice(collection, len(collection))


def _is(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _has_own_json(value: object) -> bool:
    return hasattr(type(value), "__json__")


def _needs_allowing(value: object) -> bool:
    return kind_for(type(value)) is not None


_SCALARS: Final[dict[type, _Method]] = {row.kind: _scalar(row) for row in SCALARS} | {
    int: _integer,
    LargeValue: Encoder.large,
    Secret: Encoder.secret,
    Hidden: Encoder.secret,
}
_CONTAINERS: Final[dict[type, _Method]] = {
    list: Encoder.list_,
    dict: Encoder.dict_,
    tuple: _tagged_items(_wire.TAG_TUPLE),
    set: _tagged_items(_wire.TAG_SET),
    frozenset: _tagged_items(_wire.TAG_FROZENSET),
}
_UNUSUAL: Final[tuple[tuple[Callable[[object], bool], _Method], ...]] = (
    (_is(type), _refuse),
    (_is(BaseException), Encoder.exception),
    (_has_own_json, Encoder.own_json),
    (_needs_allowing, _refuse),
    (_is(str), lambda _, value, __: str.__str__(value)),
    (_is(int), lambda encoder, value, depth: _integer(encoder, int.__int__(value), depth)),
    (_is(float), lambda _, value, __: float.__float__(value)),
    *((_is(row.kind), _scalar(row)) for row in SCALARS),
    (_is(list), lambda encoder, value, depth: encoder.list_(list(list.__iter__(value)), depth)),
    *(
        (_is(kind), lambda encoder, value, depth, kind=kind: _CONTAINERS[kind](encoder, kind.__iter__(value), depth))
        for kind in (tuple, set, frozenset)
    ),
    (_is(Mapping), _mapping),
)
"""For subclasses, in the order to ask. The base's own methods read them, because theirs may say anything."""
_ADVICE: Final[tuple[tuple[Callable[[object], bool], str], ...]] = (
    (_needs_allowing, "annotate the parameter or the return with this class, or call firexkit.allow() on it"),
    (_is(IOBase), "send its path"),
    (_is(Iterator), "make a list or a tuple of it first"),
    (lambda _: True, "send plain data made from it, or give its class a __json__() method"),
)
