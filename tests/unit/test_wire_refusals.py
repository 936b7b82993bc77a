"""What cannot travel says so at once, and what was forged is not believed."""

import json
import sys
import threading
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import count
from typing import Any

import pytest

from firexkit import _wire
from firexkit._serialization import MAX_DEPTH, WireError, allow, decode, encode


@allow
class Colour(Enum):
    RED = "r"


@allow
class Level(IntEnum):
    LOW = 1


@allow
@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0


class Plain:
    pass


def through(value):
    """The value after a journey as text."""
    return decode(json.loads(json.dumps(encode(value))))


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Raising(Broken):
    def __json__(self) -> object:
        raise self.error

    error = ValueError("no form")


class Circular:
    def __json__(self) -> object:
        return self


def nested(levels, kind=lambda inner: [inner]):
    value = "end"
    for _ in range(levels):
        value = kind(value)
    return value


def in_itself():
    ring: list[object] = []
    ring.append({"ring": ring})
    return ring


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [0, 1, 2, Point(Plain())]}, r"\['a'\]\[3\]\.x is a .*Plain, which no message carries"),
        ({1: {(2,): Plain()}}, r"\[1\]\[\(2,\)\] is a"),
        (count(), "it is a itertools.count.*make a list"),
        ((n for n in [1]), "generator.*make a list"),
        (Plain, "the class .*Plain"),
        (len, "builtin_function_or_method"),
        (lambda: 1, "function"),
        (threading.Lock(), "lock"),
        (sys.__stdin__, "path"),
        ({"a": 1}.keys(), "dict_keys"),
        (range(3), "range"),
        (Broken(), "Broken"),
        ({Broken(): 1}, "Broken.*whose repr.. raised RuntimeError"),
        (Raising(), "cannot be read: ValueError..no form"),
        (Circular(), "100 levels"),
        (in_itself(), "100 levels"),
        (nested(MAX_DEPTH + 1), "100 levels"),
        (nested(5_000), "100 levels"),
        (nested(5_000, lambda inner: {1: (inner,)}), "100 levels"),
        (nested(5_000, Point), "100 levels"),
        ([Point], "the class"),
    ],
)
def test_what_cannot_travel_is_refused_at_once(value, text):
    """The error names the place, the path, the type and what to do; nothing unknown is iterated."""
    with pytest.raises(WireError, match=text) as refused:
        encode(value, where="argument 'x' of task pkg.t")

    assert str(refused.value).startswith("argument 'x' of task pkg.t cannot be sent: ")
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("kind", [lambda inner: [inner], lambda inner: {1: inner}, Point, lambda inner: (inner,)])
def test_a_hundred_levels_are_carried(kind):
    """The deepest value that is sent is also read, whatever its levels are made of."""
    value = nested(MAX_DEPTH, kind)

    assert through(value) == value


@pytest.mark.parametrize(
    "forged",
    [
        {_wire.ENVELOPE: 1},
        {_wire.ENVELOPE: 2, "value": 1},
        {_wire.ENVELOPE: 1, "value": 1, "more": 1},
        *(
            {_wire.ENVELOPE: 1, "value": {_wire.TAG: tag, **rest}}
            for tag in ("set", "dict", "enum", "object", "datetime", "uuid", "timedelta", "bytes", "nope", 1, [])
            for rest in ({}, {"value": 5}, {"value": [[[]]], "class": f"{__name__}:Point"}, {"value": "../../etc"})
        ),
        {_wire.ENVELOPE: 1, "value": {_wire.TAG: "enum", "class": f"{__name__}:Colour", "value": "PINK"}},
        {_wire.ENVELOPE: 1, "value": {_wire.TAG: "enum", "class": f"{__name__}:Level", "value": 1}},
        {_wire.ENVELOPE: 1, "value": {_wire.TAG: "object", "class": f"{__name__}:Point", "value": {"z": 1}}},
        {_wire.ENVELOPE: 1, "value": {_wire.TAG: "object", "class": f"{__name__}:Point", "value": {}}},
        {_wire.ENVELOPE: 1, "value": {_wire.TAG: "datetime", "value": ["2024-01-01", 0, "../../../etc/passwd"]}},
        {_wire.ENVELOPE: 1, "value": nested(5_000)},
        {_wire.ENVELOPE: 1, "value": {1, 2}},
    ],
)
def test_forged_messages_are_refused(forged):
    """A tag that holds what it cannot mean is a WireError, never another error or a strange value."""
    with pytest.raises(WireError):
        decode(forged)
