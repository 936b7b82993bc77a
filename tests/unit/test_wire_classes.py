"""Which classes may be brought back to life, and how annotations say so."""

import json
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import pydantic
import pytest

from firexkit import _wire
from firexkit._serialization import WireError, allow, allow_annotated, allow_signature, decode, encode

T = TypeVar("T")


class Stranger(NamedTuple):
    x: int


class Plain:
    pass


def through(value):
    """The value after a journey as text."""
    return decode(json.loads(json.dumps(encode(value))))


def test_a_class_travels_only_if_allowed():
    """The sender is told to annotate or to allow a class of its own."""
    with pytest.raises(WireError, match=r"argument 'x' of task t cannot be sent: \['a'\]\[0\] is a .*Stranger.*allow"):
        encode({"a": [Stranger(1)]}, where="argument 'x' of task t")


def test_a_forged_class_is_refused():
    """A class that is loaded, but not allowed, is not rebuilt for a message; nor is anything imported."""
    for name in (f"{__name__}:Stranger", f"{__name__}:Plain", "os:system", "antigravity:fly", 5, None, ["x"]):
        forged = {_wire.ENVELOPE: 1, "value": {_wire.TAG: "object", "class": name, "value": {"x": 1}}}
        with pytest.raises(WireError):
            decode(forged)

    assert "antigravity" not in sys.modules


def test_local_classes_may_be_allowed():
    """A class defined inside a function travels once it is allowed; the one defined last has the name."""

    def define():
        @allow
        @dataclass
        class Local:
            x: int

        return Local

    first, second = define(), define()

    assert through(second(1)) == second(1)
    with pytest.raises(WireError, match="allow"):
        encode(first(1))


@pytest.mark.parametrize("wrong", [1, "Point", Plain, list[Stranger], None, int])
def test_only_classes_with_fields_can_be_allowed(wrong):
    """allow() refuses what could not be rebuilt."""
    with pytest.raises(TypeError, match=r"allow\(\)|dataclass"):
        allow(wrong)


def fresh(name, **fields):
    """A new dataclass that nobody has allowed."""
    return dataclass(type(name, (), {"__annotations__": fields, "__module__": __name__, "__qualname__": name}))


def test_annotations_allow_the_classes_they_mention():
    """Every class in an annotation is allowed, through wrappers and fields, around cycles and past unknown names."""
    deep, listed, optional, noted, aliased, bound = (fresh(f"Fresh{i}", x=int) for i in range(6))
    outer = fresh("Outer", deep=deep | None, unknown="NotThere", myself="Outer", seen=set[optional])
    deep.__annotations__["back"] = outer

    class Bag(TypedDict):
        a: bound

    mood = Enum("Mood", ["GOOD"], module=__name__)
    new = NewType("new", aliased)
    allow_annotated(dict[str, list[outer] | None])
    allow_annotated(Annotated[listed, noted] | Literal[mood.GOOD] | new | Bag)

    for cls in (deep, listed, optional, aliased, bound):
        assert through(cls(1)) == cls(1)
    assert through(mood.GOOD) is mood.GOOD
    with pytest.raises(WireError):
        encode(noted(1))


def test_signatures_allow_parameters_and_return():
    """A function allows the classes of its own annotations, even when one of them cannot be resolved."""
    taken, given_, boxed = (fresh(f"Signed{i}", x=int) for i in range(3))

    class Box(pydantic.BaseModel, Generic[T]):
        content: T

    def function(a: taken, b: "NotThere", *c: Box[boxed]) -> "Late | None":  # noqa: F821
        pass

    function.__globals__["Late"] = given_
    allow_signature(function)

    assert through(taken(1)) == taken(1)
    assert through(given_(1)) == given_(1)
    assert through(Box[boxed](content=boxed(1))) == Box[boxed](content=boxed(1))


def test_pydantic_is_never_imported_for_its_sake():
    """A process that does not use pydantic does not pay for it."""
    code = """
import sys, dataclasses
from firexkit._serialization import allow, decode, encode, convert_to_serializable
@allow
@dataclasses.dataclass
class A: x: int
decode(encode(A(1))); convert_to_serializable(A(1))
print([name for name in ("pydantic", "celery", "kombu", "redis") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
