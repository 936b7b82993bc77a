"""Values made fit for events: whatever it is, something JSON carries comes out, and soon."""

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from itertools import count
from pathlib import PurePosixPath
from types import MappingProxyType

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit._serialization import convert_to_serializable, describe_with, is_jsonable


class Odd:
    def __repr__(self):
        return "<odd>"


class Broken:
    def __repr__(self):
        raise RuntimeError("no words")


class Own:
    def __init__(self, form):
        self.form = form

    def firex_serializable(self):
        return self.form()


class Level(IntEnum):
    LOW = 1


class Colour(Enum):
    RED = "r"


@dataclass
class Point:
    x: object
    y: object = (1, 2)


class Model(pydantic.BaseModel):
    when: datetime
    inner: Point | None = None


class EndlessBag(Collection):
    """Knows its size, and then gives more."""

    def __len__(self):
        return 2

    def __iter__(self):
        return count()

    def __contains__(self, _):
        return True


class Lying(Collection):
    def __len__(self):
        raise RuntimeError("no idea")

    def __iter__(self):
        return count()

    def __contains__(self, _):
        return True


NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


def ring():
    """A list that contains itself, many times."""
    value = [Odd()]
    value += [value] * 30
    return value


def nested(levels, innermost):
    value = innermost
    for _ in range(levels):
        value = [value]
    return value


# ── is_jsonable ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        2.5,
        "x",
        True,
        (1, [2]),
        {"a": {"b": ()}},
        {1: 2, None: 3, 2.5: 4},
        Level.LOW,
        OrderedDict(a=1),
    ],
)
def test_json_takes_it(value):
    """What json.dumps takes is jsonable."""
    assert is_jsonable(value)


@pytest.mark.parametrize("value", [b"x", {1}, NOON, Odd(), [Odd()], {(1,): 2}, {"a": {Odd(): 1}}, [10**5000, "big"]])
def test_json_does_not_take_it(value):
    """What json.dumps refuses is not."""
    assert not is_jsonable(value)


def test_fix_24_circular_and_deep_data_is_not_jsonable():
    """Circular data raised ValueError and deep data RecursionError; both are a plain no."""
    assert not is_jsonable(ring())
    assert not is_jsonable({"a": ring()})
    assert not is_jsonable(nested(100_000, 1))


def test_moderately_deep_data_is_jsonable():
    """JSON carries more levels than are looked at the quick way."""
    assert is_jsonable(nested(200, 1))


# ── convert_to_serializable ──────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("value", "converted"),
    [
        (Level.LOW, 1),
        (NOON, NOON.isoformat()),
        (Own(lambda: {1, 2}), {1, 2}),
        (Own, repr(Own)),
        (Point(1), {"x": 1, "y": (1, 2)}),
        (Point(Odd()), {"x": "<odd>", "y": (1, 2)}),
        (Model(when=NOON), {"when": "2024-01-02T12:00:00Z", "inner": None}),
        ({"a": (1, None)}, {"a": (1, None)}),
        ((1, Odd()), [1, "<odd>"]),
        ([1, Odd(), {"k": Odd()}], [1, "<odd>", {"k": "<odd>"}]),
        ({3}, [3]),
        (frozenset({3}), [3]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        (MappingProxyType({"a": Odd()}), {"a": "<odd>"}),
        (Colour.RED, repr(Colour.RED)),
        (PurePosixPath("/x"), "PurePosixPath('/x')"),
        (10**30, 10**30),
    ],
)
def test_the_nearest_thing_that_json_carries(value, converted):
    """The first rule that fits decides; what JSON takes already stays itself, tuples included."""
    result = convert_to_serializable(value)

    assert result == converted
    assert type(result) is type(converted) or isinstance(value, Level)


def test_the_depth_limit_leaves_a_repr():
    """At the limit the whole remaining container becomes its repr, unless JSON takes it anyway."""
    odd = Odd()

    assert convert_to_serializable([{"a": {"b": {"c": odd}}}], max_recursive_depth=3) == [
        {"a": {"b": repr({"c": odd})}}
    ]
    assert convert_to_serializable([odd], 0) == repr([odd])
    assert convert_to_serializable(nested(30, 1), 3) == nested(30, 1)


def test_fix_24_keys_become_text():
    """Tuple keys, and other keys that JSON refuses, are strings; numbers and None stay."""
    converted = convert_to_serializable({(1, 2): 1, Colour.RED: 2, NOON: 3, b"raw": 4, Odd(): 5, 6: 6, None: Odd()})

    assert converted == {
        "(1, 2)": 1,
        repr(Colour.RED): 2,
        NOON.isoformat(): 3,
        "raw": 4,
        "<odd>": 5,
        6: 6,
        None: "<odd>",
    }


def test_fix_24_bytes_are_text():
    """Bytes became lists of numbers; they are text, or their repr if they are none."""
    assert convert_to_serializable([b"caf\xc3\xa9", bytearray(b"x"), b"\xff"]) == ["café", "x", r"b'\xff'"]


@pytest.mark.timeout(10)
def test_fix_24_circular_data_ends():
    """What contains itself is shown by its repr where it comes again, however often that is."""
    mapping = {"odd": Odd()}
    mapping["self"] = [mapping] * 30

    assert convert_to_serializable(ring())[:2] == ["<odd>", repr(ring())]
    assert json.dumps(convert_to_serializable(mapping))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "value",
    [
        Broken(),
        [Broken()],
        {Broken(): Broken()},
        Point(Broken()),
        nested(5_000, 1),
        nested(5_000, Broken()),
        count(),
        (n for n in count()),
        [Odd(), (n for n in count())],
        EndlessBag(),
        Lying(),
        range(10**15),
        range(10**30),
        threading.Lock(),
        Own(lambda: 1 / 0),
        [10**5000],
        Model.model_construct(when=Broken()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fix_h6_showing_never_fails_nor_hangs(value):
    """A bad repr, endless iterables and deep nesting end in a text, at once."""
    assert json.dumps(convert_to_serializable(value))


def test_an_endless_iterable_is_not_touched():
    """A generator is shown by its repr and can still be read from the start."""
    numbers = (n for n in [1, 2])

    assert convert_to_serializable(numbers) == repr(numbers)
    assert next(numbers) == 1


def test_a_bad_repr_is_told():
    """The text in its place names the class and the error."""
    text = convert_to_serializable(Broken())

    assert text == f"<{__name__}.Broken, whose repr() raised RuntimeError>"


def test_rooms_above_can_describe_their_own():
    """A description that was registered goes before the repr, at the depth limit too."""

    class Result(Odd):
        pass

    describe_with(lambda value: isinstance(value, Result), lambda _: "bake failed: no flour")

    assert convert_to_serializable([Result(), Odd()]) == ["bake failed: no flour", "<odd>"]
    assert convert_to_serializable(Result(), 0) == "bake failed: no flour"


anything = st.recursive(
    st.none()
    | st.integers()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.builds(Odd)
    | st.builds(Broken),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.binary() | st.tuples(st.integers()), inner)
        | st.builds(Point, inner)
        | st.just(iter(()))
    ),
    max_leaves=15,
)


@settings(deadline=None, max_examples=100)
@given(anything, st.integers(0, 10))
def test_the_outcome_is_always_json(value, depth):
    """Whatever goes in, JSON takes what comes out."""
    assert is_jsonable(convert_to_serializable(value, max_recursive_depth=depth))


@settings(deadline=None, max_examples=100)
@given(anything)
def test_what_is_jsonable_is_untouched(value):
    """The quick look and json.dumps agree, and what JSON takes comes back as the same object."""
    converted = convert_to_serializable(value)

    try:
        json.dumps(value)
    except (TypeError, ValueError):
        assert not is_jsonable(value)
    else:
        assert is_jsonable(value)
        assert converted is value or isinstance(value, datetime)
