"""Values of every type that travels, tasks that take them and give them, and values that can't travel."""

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pydantic

from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.task_store_eager_result = True


class Colour(Enum):
    RED = "r"


class Level(IntEnum):
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class OldWord(str, Enum):  # noqa: UP042 - StrEnum is tested beside it
    """How string enums were written before there was StrEnum."""

    NO = "no"


class Spot(NamedTuple):
    x: object
    y: object = 0


@dataclass(frozen=True)
class Point:
    x: Any
    spots: tuple[Spot, ...] = ()


class Model(pydantic.BaseModel):
    size: int
    inner: Any = None
    at: datetime | None = None


Travelling = Colour | Level | Word | OldWord | Spot | Point | Model | Any

VALUES: dict[str, Any] = {
    "path": Path("/a b/é"),
    "datetime": datetime(2024, 2, 29, 12, 30, 1, 7, tzinfo=UTC),
    "naive datetime": datetime(2024, 2, 29, 12, 30),
    "date": date(2024, 2, 29),
    "time": time(12, 30, 1, 7),
    "timedelta": timedelta(days=-1, microseconds=3),
    "uuid": uuid.UUID(int=5),
    "decimal": Decimal("0.10"),
    "bytes": b"\x00\xff",
    "set": {1, "a", (2, 3)},
    "frozenset": frozenset({1, frozenset({2})}),
    "tuple": (1, (2, [3]), ()),
    "named tuple": Spot((1, 2), y=Spot(3)),
    "enum": Colour.RED,
    "int enum": Level.HIGH,
    "str enum": Word.YES,
    "old str enum": OldWord.NO,
    "dataclass": Point({1: b"x"}, (Spot(1),)),
    "model": Model(size=3, inner={"deep": Point(None)}, at=datetime(2024, 1, 1)),
    "int keys": {1: "a", 2: {3: "b"}, (4, 5): "c", None: "d", "1": "text"},
    "tag of kombu": {"__type__": "datetime", "__value__": "2020-01-01T00:00:00"},
    "tag of ours": {"__firexkit__": "set", "value": [1, 2]},
    "envelope": {"__firexkit_wire__": 1, "value": {"__firexkit__": "bytes", "value": "AA=="}},
    "exception": ValueError("text", 7, (1, b"x")),
    "nested": {"list": [(Path("/x"), {date(2024, 1, 1): Level.HIGH})], "plain": [1, 2.5, None, True, "é"]},
}


class Unlike(Exception):
    """An exception of our own, with an argument of a type that JSON doesn't know."""


class Stranger:
    """Of a class that no message carries."""


@dataclass
class NotMentioned:
    """A class that could travel, but that no task mentions."""

    x: int = field(default=1)


class Endless:
    """Says that it can be iterated, and never stops."""

    def __iter__(self):
        return itertools.count()


def _cycle():
    ring: dict[str, Any] = {}
    ring["ring"] = [ring]
    return ring


def _deep(levels):
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


REFUSED: dict[str, tuple[Any, str]] = {
    "stranger": ({"a": [0, Stranger()]}, r"\['a'\]\[1\] is a worker\.apps\.wire\.Stranger"),
    "not mentioned": ([NotMentioned()], r"\[0\] is a worker\.apps\.wire\.NotMentioned.*annotate"),
    "cycle": (_cycle(), r"\['ring'\]\[0\].*(100 levels deep, or contains itself)"),
    "5000 levels": (_deep(5_000), r"\[0\]\[0\].*100 levels"),
    "endless iterator": ([itertools.count()], r"\[0\] is a itertools\.count"),
    "endless generator": ({1: (n for n in itertools.count())}, r"\[1\] is a generator"),
    "endless iterable": ((Endless(),), r"\[0\] is a worker\.apps\.wire\.Endless"),
}
"""What can't travel, with what the error says about it: key path, type, what to do."""


def same(left, right):
    """Equal, and of the same types at every level."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(map(same, left.items(), right.items()))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set | frozenset):
        return left == right and all(any(same(one, other) for other in right) for one in left)
    if isinstance(left, BaseException):
        return same(left.args, right.args) and same(left.__cause__, right.__cause__)
    return left == right


# ── channels ─────────────────────────────────────────────────────────────────────────────


@app.task(returns="verdict")
def take(name, value: Travelling):
    """Whether the value arrived as the very one that has this name."""
    return "same" if same(value, VALUES[name]) else f"got {value!r}"


@app.task(returns="value")
def give(name) -> Travelling:
    """A tuple would be taken for several returns, so the value is the only one of one."""
    return (VALUES[name],)


@app.task
def fail_with(name):
    """A failure that holds the value as an argument, here and in its cause."""
    raise Unlike(name, VALUES[name]) from KeyError(VALUES[name])


@app.task(bind=True, returns=("value", "verdict"))
def take_from_child(self, name):
    (value,) = self.enqueue_child_and_get_results(give.s(name), return_keys="value")
    return value, "same" if same(value, VALUES[name]) else f"got {value!r}"


# ── what can't travel ────────────────────────────────────────────────────────────────────


@app.task(returns="refused")
def give_refused(name):
    return {"inside": REFUSED[name][0]}


@app.task(bind=True)
def refused_child(self, name):
    self.enqueue_child(take.s(name, REFUSED[name][0]), block=True)


@app.task
def fail_with_refused(name):
    raise Unlike("kept", Stranger())
