"""Values on the wire: what goes in comes out, and what cannot travel says so at once."""

import json
import math
import types
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from itertools import count
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import kombu.utils.json
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit import _wire
from firexkit._serialization import (
    WireError,
    allow,
    decode,
    encode,
)

LAW = settings(deadline=None, max_examples=100)


@allow
class Colour(Enum):
    RED = "r"
    BLUE = Path("/blue")


@allow
class Level(IntEnum):
    LOW = 1
    HIGH = 2


@allow
class Word(StrEnum):
    YES = "yes"


@allow
class Rights(Flag):
    READ = auto()
    WRITE = auto()
    ALL = READ | WRITE


@allow
class Bits(IntFlag):
    ONE = 1
    FOUR = 4


@allow
class Spot(NamedTuple):
    x: object
    y: object = 0


Old = allow(namedtuple("Old", ["left", "right"]))


@allow
@dataclass(frozen=True, slots=True)
class Point:
    x: Any
    y: Any = 0


@allow
@dataclass
class Doubling:
    """Its constructor changes what it is given."""

    size: int
    seen: list[Any] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.size *= 2


@allow
class Model(pydantic.BaseModel):
    size: int = pydantic.Field(1, alias="Size")
    inner: Any = None
    _secret: int = pydantic.PrivateAttr(5)

    @pydantic.field_validator("size")
    @classmethod
    def doubled(cls, size: int) -> int:
        return size * 2


@allow
class Open(pydantic.BaseModel, extra="allow"):
    known: int = 1


@allow
class Names(pydantic.RootModel[list[str]]):
    pass


class Stranger(NamedTuple):
    x: int


class Plain:
    pass


def through(value, *, carrier=json):
    """The value after a journey as text."""
    return decode(carrier.loads(carrier.dumps(encode(value))))


def same(left, right):
    """Equal, and of the same types at every level."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        pairs = zip(left.items(), right.items(), strict=True) if len(left) == len(right) else [(0, 1)]
        return all(same(one, other) for one, other in pairs)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (set, frozenset)):
        return left == right and all(any(same(one, other) for other in right) for one in left)
    if hasattr(left, "__dataclass_fields__"):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__dataclass_fields__)
    if isinstance(left, datetime):
        return (left, left.fold, left.tzinfo) == (right, right.fold, right.tzinfo)
    return left == right


# ── laws ─────────────────────────────────────────────────────────────────────────────────
words = st.text(max_size=20)
numbers = st.integers() | st.floats(allow_nan=False)
leaves = st.none() | st.booleans() | numbers | words
plain_keys = words.filter(lambda key: key not in {_wire.ENVELOPE, _wire.TAG, _wire.KOMBU_TAG})
plain = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(plain_keys, inner), max_leaves=20)

zones = (
    st.none() | st.just(UTC) | st.sampled_from([timezone(timedelta(hours=-3, seconds=7)), ZoneInfo("Europe/Berlin")])
)
scalars = (
    leaves
    | st.dates()
    | st.datetimes(timezones=zones).flatmap(lambda moment: st.sampled_from([moment, moment.replace(fold=1)]))
    | st.times(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([Path("/a b"), Path(), PurePosixPath("x/é"), PureWindowsPath("C:\\x"), Path("/\udcff")])
    | st.sampled_from([*Colour, *Level, *Word, *Rights, Rights(0), Bits(5), Bits(8), Bits(9)])
)


def short(name, strategy):
    """The strategy under a short name: Hypothesis writes out whole strategies, and warns that ours are long."""

    def draw_one(draw):
        return draw(strategy)

    draw_one.__name__ = name
    return st.composite(draw_one)()


hashables = st.recursive(
    short("scalars", scalars),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.frozensets(inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Spot, inner, inner)
        | st.builds(Old, inner, inner)
    ),
    max_leaves=8,
)
keys = st.sampled_from([_wire.TAG, _wire.KOMBU_TAG, _wire.ENVELOPE, _wire.VALUE, "__value__"]) | short(
    "hashables", hashables
)
values = st.recursive(
    short("hashables", hashables),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(words, inner, max_size=4)
        | st.sets(short("hashables", hashables), max_size=3)
        | st.builds(Point, inner)
        | st.builds(Model, inner=inner)
    ),
    max_leaves=15,
)


@LAW
@given(plain)
def test_plain_json_is_left_alone(value):
    """Plain JSON comes out of encode as the same JSON, without a mark."""
    encoded = encode(value)

    assert same(encoded, value)
    assert decode(encoded) is encoded


@LAW
@given(values)
def test_what_goes_in_comes_out(value):
    """Every supported value comes back equal, with the same types at every level."""
    assert same(through(value), value)


@LAW
@given(values)
def test_kombu_carries_what_we_encode(value):
    """The journey through kombu's JSON, which knows tags of its own, changes nothing either."""
    assert same(through(value, carrier=kombu.utils.json), value)


@LAW
@given(values)
def test_an_encoded_value_is_a_value(value):
    """What was encoded may be encoded again, and needs as many decodings."""
    assert same(decode(through(encode(value))), value)


# ── single types ─────────────────────────────────────────────────────────────────────────
class Text(str):
    def __str__(self) -> str:
        return "something else"


class Endless(list):
    def __iter__(self):
        return count()


class Told:
    def __init__(self, told: object) -> None:
        self.told = told

    def __json__(self) -> object:
        return self.told


@pytest.mark.parametrize(
    ("given_", "comes_back"),
    [
        (Text("x"), "x"),
        ({Text("k"): 1}, {"k": 1}),
        (type("Number", (int,), {})(3), 3),
        (type("Real", (float,), {})(0.5), 0.5),
        (Endless([1, 2]), [1, 2]),
        (type("Row", (tuple,), {})((1, 2)), (1, 2)),
        (type("Bunch", (set,), {})({1}), {1}),
        (bytearray(b"\xff"), b"\xff"),
        (memoryview(b"abc"), b"abc"),
        (types.MappingProxyType({"a": (1,)}), {"a": (1,)}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (UserDict({1: 2}), {1: 2}),
        (ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
        (Told({"a": (1,)}), {"a": (1,)}),
        (PurePath("a"), PurePosixPath("a")),
        ([uuid.UUID(int=5), Decimal("1.50")], [uuid.UUID(int=5), Decimal("1.50")]),
        ([10**6000, -(10**6000)], [10**6000, -(10**6000)]),
        (type("When", (datetime,), {"isoformat": lambda _: "now"})(2024, 1, 2), datetime(2024, 1, 2)),
    ],
)
def test_relatives_travel_as_the_type_they_derive_from(given_, comes_back):
    """Subclasses and look-alikes come back as the plain type they are based on."""
    assert same(through(given_), comes_back)


def test_a_missing_number_is_carried():
    """NaN and the infinities pass as Python's JSON writes them."""
    nan, most = through([math.nan, math.inf])

    assert math.isnan(nan)
    assert most == math.inf


def test_a_clock_change_survives():
    """A zone travels by name, so sums across a clock change come out the same; the second 2:30 stays the second."""
    before = datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    after = through(before)

    assert (after.fold, after.tzinfo, after.utcoffset()) == (1, before.tzinfo, timedelta(hours=1))


def test_a_zone_unknown_here_keeps_the_instant():
    """A machine whose database lacks the zone gets the same instant with a fixed offset."""
    encoded = encode(datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    encoded["value"]["value"][2] = "Mars/Base"

    assert decode(encoded) == datetime(2024, 6, 30, 22, tzinfo=UTC)


def test_a_plain_value_is_not_copied_for_nothing():
    """Text and lists of text are handed on as the same objects."""
    text = "x" * 100
    texts = [text]

    assert encode(text) is text
    assert encode(texts) is texts


def test_constructors_do_not_run_again():
    """A dataclass whose constructor changes its argument comes back as it was sent."""
    sent = Doubling(2)
    sent.seen.append((1,))

    assert through(sent) == sent
    assert through(sent).size == 4


def test_models_come_back_whole():
    """A pydantic model keeps aliased fields, private attributes, extras and the memory of what was set."""
    model = Model(Size=3, inner={"t": (1, Model())})
    model._secret = 6
    extra = Open(kombu={"__type__": 1}, __type__="uuid", __value__=(2,))

    assert through(model) == model
    assert through(model).model_fields_set == {"size", "inner"}
    assert through(extra, carrier=kombu.utils.json) == extra
    assert through(Names(["a"])) == Names(["a"])


def test_the_way_into_a_model_is_told():
    """The error names the field of a pydantic model that holds what cannot travel, and forged fields are refused."""
    with pytest.raises(WireError, match=r"\.inner\[0\] is a"):
        encode(Model.model_construct(inner=[len]))
    forged = encode(Model())
    forged["value"]["value"]["z"] = 1

    with pytest.raises(WireError, match="no field named z"):
        decode(forged)


def test_fields_unknown_to_the_sender_get_their_default():
    """A message of an older release lacks a new field; its default, or factory, stands in."""
    point = encode(Point(1, 2))
    del point["value"]["value"]["y"]
    doubling = encode(Doubling(1))
    del doubling["value"]["value"]["seen"]
    model = encode(Model())
    del model["value"]["value"]["inner"]
    spot = encode(Spot(1, 2))
    del spot["value"]["value"]["y"]

    assert decode(point) == Point(1)
    assert decode(doubling).seen == []
    assert decode(model) == Model()
    assert decode(spot) == Spot(1)


def test_other_json_is_a_value_already():
    """Data of plain Celery tasks, whatever its keys, passes through decode as it is."""
    data = [{_wire.TAG: "tuple", "value": []}, {_wire.ENVELOPE: 1, "value": 2}]

    assert decode(data) is data


def test_the_wire_form_is_fixed():
    """Other releases read these bytes, so they must not change."""
    sent = {"a": (1, b"x"), 2: date(2024, 1, 2), "p": Point(Path("/x")), "c": Colour.RED, "t": time(1)}

    assert encode(sent) == {
        "__firexkit_wire__": 1,
        "value": {
            "__firexkit__": "dict",
            "value": [
                ["a", {"__firexkit__": "tuple", "value": [1, {"__firexkit__": "bytes", "value": "eA=="}]}],
                [2, {"__firexkit__": "date", "value": "2024-01-02"}],
                [
                    "p",
                    {
                        "__firexkit__": "object",
                        "class": f"{__name__}:Point",
                        "value": {"x": {"__firexkit__": "path", "value": "/x"}, "y": 0},
                    },
                ],
                ["c", {"__firexkit__": "enum", "class": f"{__name__}:Colour", "value": "RED"}],
                ["t", {"__firexkit__": "time", "value": ["01:00:00", 0, None]}],
            ],
        },
    }
