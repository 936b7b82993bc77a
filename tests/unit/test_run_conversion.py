"""Text of the command line made the type that tasks ask for: what fits, and what is said of what does not."""

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, Union
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, StrictInt

from firexkit.runtime.arguments.conversion import converted
from firexkit.runtime.arguments.words import ArgumentError, Repeated
from unit.arguments_support import parameters_of, wanting, x_of

LAW = settings(deadline=None, max_examples=100)


class Colour(Enum):
    RED = 1
    GREEN = "g"


class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"


@dataclass
class Server:
    host: str
    port: int = 80


class Point(NamedTuple):
    x: int
    y: int


class Config(BaseModel):
    model_config = ConfigDict(strict=True)

    retries: int
    start: date | None = None


class Options(TypedDict):
    retries: int
    note: NotRequired[str]


class Client:
    """A class that nobody can make of text but its own task."""


UserId = NewType("UserId", int)


def even(number):
    """Refuse odd numbers."""
    if number % 2:
        raise ValueError("must be even")
    return number


def convert(annotation, value):
    """The value that one task with a parameter x annotated like this gets."""
    return converted({"x": value}, x_of(annotation))["x"]


def complaint(annotation, value):
    """What is said of a value that does not fit."""
    with pytest.raises(ArgumentError) as caught:
        convert(annotation, value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "5", "5"),
        (int, "5", 5),
        (int, "-5", -5),
        (int, "5.0", 5),
        (StrictInt, "5", 5),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "FALSE", False),
        (bool, "yes", True),
        (bool, "no", False),
        (bool, "1", True),
        (bool, "0", False),
        (bool, "On", True),
        (bool, "off", False),
        (Path, "a/b", Path("a/b")),
        (PurePosixPath, "a/b", PurePosixPath("a/b")),
        (Decimal, "0.10", Decimal("0.10")),
        (datetime, "2030-12-31T23:59", datetime(2030, 12, 31, 23, 59)),
        (date, "2030-12-31", date(2030, 12, 31)),
        (time, "23:59", time(23, 59)),
        (timedelta, "90", timedelta(seconds=90)),
        (timedelta, "01:30:00", timedelta(minutes=90)),
        (timedelta, "PT90M", timedelta(minutes=90)),
        (UUID, "12345678123456781234567812345678", UUID("12345678123456781234567812345678")),
        (bytes, "abc", b"abc"),
        (IPv4Address, "127.0.0.1", IPv4Address("127.0.0.1")),
        (UserId, "7", 7),
        (PositiveInt, "7", 7),
        (Annotated[int, Field(ge=1)], "1", 1),
        (Literal["a", 1, True, None], "a", "a"),
        (Literal["a", 1], "1", 1),
        (Literal["a", True], "true", True),
        (Literal["a", None], "none", None),
        (Colour, "1", Colour.RED),
        (Colour, "g", Colour.GREEN),
        (Colour, "RED", Colour.RED),
        (Mode, "fast", Mode.FAST),
    ],
)
def test_single_values(annotation, text, value):
    """Text becomes the annotated type."""
    made = convert(annotation, text)

    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (list[str], "a,b", ["a", "b"]),
        (list[str], "a, b", ["a", "b"]),
        (list[str], "", []),
        (list[str], " ", []),
        (list[str], "a", ["a"]),
        (list[str], ",", ["", ""]),
        (list[str], '["a,b", "@c"]', ["a,b", "@c"]),
        (list[str], ' ["a"]', ["a"]),
        (list, "a,b", ["a", "b"]),
        (list[int], "1,2", [1, 2]),
        (list[int], '[1, "2"]', [1, 2]),
        (list[bool], "yes,no", [True, False]),
        (list[Path], "a,b", [Path("a"), Path("b")]),
        (list[Colour], "RED,g", [Colour.RED, Colour.GREEN]),
        (list[timedelta], "1,2", [timedelta(seconds=1), timedelta(seconds=2)]),
        (list[int | None], "1,none", [1, None]),
        (list[int | str], "1,a", [1, "a"]),
        (list[Server], '{"host": "a"}', [Server("a")]),
        (list[Server], '[{"host": "a"}]', [Server("a")]),
        (list[list[int]], "[[1], [2]]", [[1], [2]]),
        (set[int], "1,1,2", {1, 2}),
        (frozenset[str], "a", frozenset("a")),
        (AbstractSet[int], "1", frozenset({1})),
        (tuple[int, str], "1,a", (1, "a")),
        (tuple[int, ...], "1,2,3", (1, 2, 3)),
        (tuple, "1,2", ("1", "2")),
        (Sequence[int], "1,2", [1, 2]),
        (Iterable[int], "1,2", [1, 2]),
        (Collection[int], "1,2", [1, 2]),
        (Iterable, "1,2", ["1", "2"]),
        (Annotated[list[int], Field(min_length=2)], "1,2", [1, 2]),
        (dict, '{"a": 1}', {"a": 1}),
        (dict[str, int], '{"a": "1"}', {"a": 1}),
        (dict[int, Path], '{"1": "a"}', {1: Path("a")}),
        (Mapping[str, list[int]], '{"a": [1]}', {"a": [1]}),
        (Server, '{"host": "a", "port": "8080"}', Server("a", 8080)),
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (Point, "[1, 2]", Point(1, 2)),
        (Config, '{"retries": "3", "start": "2030-12-31"}', Config(retries=3, start=date(2030, 12, 31))),
        (Options, '{"retries": "3"}', {"retries": 3}),
        (Options, '{"retries": "3", "note": "n"}', {"retries": 3, "note": "n"}),
        (dict[str, Options], '{"a": {"retries": "3"}}', {"a": {"retries": 3}}),
        (list[Options] | None, '[{"retries": "3"}]', [{"retries": 3}]),
    ],
)
def test_items_and_entries(annotation, text, value):
    """Items are written with commas or as JSON, entries as JSON; what is inside becomes its type, too."""
    made = convert(annotation, text)

    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int | None, "5", 5),
        (int | None, "none", None),
        (Optional[int], "NULL", None),  # noqa: UP045 - the old spelling is a case
        (str | None, "none", None),
        (Path | None, "none", None),
        (int | str, "5", 5),
        (str | int, "5", 5),
        (str | int, "abc", "abc"),
        (int | bool, "1", 1),
        (bool | int, "1", True),
        (float | int, "1", 1.0),
        (int | float | str, "1.5", 1.5),
        (date | datetime, "2030-12-31", date(2030, 12, 31)),
        (date | datetime, "2030-12-31T23:59", datetime(2030, 12, 31, 23, 59)),
        (Union[int, date, None], "2030-12-31", date(2030, 12, 31)),  # noqa: UP007 - the old spelling is a case
        (Literal["auto"] | int, "auto", "auto"),
        (Literal["auto"] | int, "3", 3),
        (Server | str, '{"host": "a"}', Server("a")),
        (Server | str, "a", "a"),
        (list[int] | None, "1,2", [1, 2]),
        (Annotated[int | None, Field(ge=1)], "1", 1),
        (Annotated[int, Field(ge=5)] | Annotated[str, Field(max_length=2)], "3", "3"),
    ],
)
def test_choice_of_types(annotation, text, value):
    """Of a union the first member that fits is taken: None before all others, text after them."""
    made = convert(annotation, text)

    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value", "line"),
    [
        (int, "abc", "'abc' is not a whole number (x: int, wanted by greet)"),
        (int, "1.5", "'1.5' is not a whole number (x: int, wanted by greet)"),
        (int, "", "'' is not a whole number (x: int, wanted by greet)"),
        (float, "abc", "'abc' is not a number (x: float, wanted by greet)"),
        (bool, "maybe", "'maybe' is neither true nor false (x: bool, wanted by greet)"),
        (Decimal, "abc", "'abc' is not a decimal number (x: Decimal, wanted by greet)"),
        (datetime, "abc", "'abc' is not a date and time like 2030-12-31T23:59 (x: datetime, wanted by greet)"),
        (date, "2030-13-01", "'2030-13-01' is not a date like 2030-12-31 (x: date, wanted by greet)"),
        (time, "abc", "'abc' is not a time like 23:59 (x: time, wanted by greet)"),
        (timedelta, "abc", "'abc' is not a duration: seconds, 01:30:00 or PT90M (x: timedelta, wanted by greet)"),
        (UUID, "abc", "'abc' is not a UUID (x: UUID, wanted by greet)"),
        (UserId, "abc", "'abc' is not a whole number (x: UserId, wanted by greet)"),
        (IPv4Address, "abc", "'abc' is not a valid IPv4 address (x: IPv4Address, wanted by greet)"),
        (Literal["a", "b"], "c", "'c' should be 'a' or 'b' (x: a | b, wanted by greet)"),
        (Colour, "blue", "'blue' should be 1 or 'g' (x: Colour, wanted by greet)"),
        (
            Annotated[int, Field(ge=1)],
            "0",
            "'0' should be greater than or equal to 1 (x: int, wanted by greet)",
        ),
        (
            Annotated[str, Field(pattern="^v")],
            "1",
            "'1' should match pattern '^v' (x: str, wanted by greet)",
        ),
        (Annotated[int, AfterValidator(even)], "3", "'3': must be even (x: int, wanted by greet)"),
        (list[int], "1,b", "'b' (item 2) is not a whole number (x: list[int], wanted by greet)"),
        (
            Annotated[list[int], Field(min_length=2)],
            "1",
            "'1' should have at least 2 items, not 1 (x: list[int], wanted by greet)",
        ),
        (tuple[int, str], "1", "['1'] lacks item 2 (x: tuple[int, str], wanted by greet)"),
        (tuple[int], "1,2", "'1,2' should have at most 1 item, not 2 (x: tuple[int], wanted by greet)"),
        (set[int], "a", "'a' (item 1) is not a whole number (x: set[int], wanted by greet)"),
        (
            list[int],
            "[1",
            "'[1' is not JSON: Expecting ',' delimiter: line 1 column 3 (char 2) (x: list[int], wanted by greet)",
        ),
        (dict, "a", """'a' is not a JSON object like {"name": "value"} (x: dict, wanted by greet)"""),
        (dict[str, int], '{"a": "b"}', "'b' (a) is not a whole number (x: dict[str, int], wanted by greet)"),
        (Server, "a", """'a' is not a JSON object like {"name": "value"} (x: Server, wanted by greet)"""),
        (Server, '{"port": 1}', "{'port': 1} lacks host (x: Server, wanted by greet)"),
        (
            list[Server],
            '[{"host": "a", "port": "b"}]',
            "'b' (item 1, port) is not a whole number (x: list[Server], wanted by greet)",
        ),
        (Config, "a", """'a' is not a JSON object like {"name": "value"} (x: Config, wanted by greet)"""),
        (Options, "{}", "{} lacks retries (x: Options, wanted by greet)"),
        (int | None, "abc", "'abc' is not a whole number (x: int | None, wanted by greet)"),
        (int | date, "abc", "'abc' fits none of these types (x: int | date, wanted by greet)"),
        (list[int | date], "1,b", "'b' fits none of these types (x: list[int | date], wanted by greet)"),
        (None, "abc", "'abc' should be None (x: None, wanted by greet)"),
    ],
)
def test_text_that_does_not_fit(annotation, value, line):
    """The message tells argument, value, type and who wants it, in the user's words."""
    assert complaint(annotation, value) == f"--x: {line}"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "text"),
        (int, 5),
        (int | None, None),
        (list[str], ["a"]),
        (Server, Server("a")),
        (Client, Client()),
        (Any, SimpleNamespace()),
        ("Missing", 5),
        (object, 5),
        (bool, False),
    ],
)
def test_values_that_fit(annotation, value):
    """A value from a file or a converter that is of the type stays as it is."""
    assert convert(annotation, value) == value


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        (float, 5, 5.0),
        (list[Path], ["a"], [Path("a")]),
        (Server, {"host": "a"}, Server("a")),
        (Colour, 1, Colour.RED),
        (timedelta, 90, timedelta(seconds=90)),
        (tuple[int, int], [1, 2], (1, 2)),
    ],
)
def test_values_made_to_fit(annotation, value, made):
    """A value from a file or a converter becomes the type if it can."""
    assert convert(annotation, value) == made


@pytest.mark.parametrize(
    ("annotation", "value", "line"),
    [
        (str, 5, "5 is not text (x: str, wanted by greet)"),
        (int, 1.5, "1.5 is not a whole number (x: int, wanted by greet)"),
        (int, None, "None is not a whole number (x: int, wanted by greet)"),
        (Path, 5, "5 is not a path (x: Path, wanted by greet)"),
        (list[int], 5, "5 is not a list; write a,b or JSON (x: list[int], wanted by greet)"),
        (list[int], [1, "b"], "'b' (item 2) is not a whole number (x: list[int], wanted by greet)"),
        (
            list[int],
            list("abcde"),
            "; ".join(f"'{c}' (item {n}) is not a whole number" for n, c in enumerate("abc", start=1))
            + "; 2 more (x: list[int], wanted by greet)",
        ),
    ],
)
def test_values_that_do_not_fit(annotation, value, line):
    """A value from a file or a converter is held to the same type."""
    assert complaint(annotation, value) == f"--x: {line}"


def test_long_values_are_cut():
    """A message shows the beginning of a long value."""
    assert len(complaint(int, "x" * 1000)) < 120


def test_endless_digits_and_nesting():
    """What is too much for Python's readers is an error like any other."""
    assert complaint(int, "1" * 5000).startswith("--x: '1111")
    assert "is not JSON" in complaint(dict, '{"a":' * 100_000)


@pytest.mark.parametrize(
    "annotation", [Client, Client | None, list[Client], Callable[[int], str], type[int], "Missing"]
)
def test_types_that_nobody_knows(annotation):
    """Text for a type that cannot be made of text stays: the task's own converter may know what to do with it."""
    assert convert(annotation, "a,b") == "a,b"


def test_unknown_member_of_a_union():
    """Members that are known are tried first; the unknown one takes what they refuse."""
    assert convert(Client | int, "5") == 5
    assert convert(Client | int, "a") == "a"


@pytest.mark.parametrize("annotation", [int, list[int], Client, Colour, "Missing"])
def test_references_stay(annotation):
    """A reference is converted by nobody: what it refers to has a type already."""
    assert convert(annotation, "@other") == "@other"


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "1+1", "os:getcwd"])
@pytest.mark.parametrize("annotation", [Any, Client, Callable[[], str], "int", str])
def test_nothing_is_evaluated(annotation, text):
    """Text that looks like code is text."""
    if annotation == "int":
        assert "is not a whole number" in complaint(annotation, text)
    else:
        assert convert(annotation, text) == text


def test_names_that_no_task_declares():
    """What nobody declares passes through as it is."""
    assert converted({"y": "5", "z": True}, x_of(int)) == {"y": "5", "z": True}


# ── flags ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("annotation", [bool, bool | None, bool | str, Literal["auto", True], Any, "Missing"])
def test_flags(annotation):
    """A name without a value means true where that can be meant."""
    assert convert(annotation, True) is True


def test_flag_without_annotation():
    """A parameter that nobody annotates may be a flag."""
    assert converted({"verbose": True}, parameters_of(lambda verbose=False: verbose)) == {"verbose": True}


@pytest.mark.parametrize("annotation", [Path, str, int, list[bool], Client, Literal["a"]])
def test_flags_that_need_a_value(annotation):
    """A name without a value is an error where true is no value."""
    assert complaint(annotation, True).startswith("--x needs a value (x: ")


@pytest.mark.parametrize("annotation", [bool, bool | None, bool | int])
def test_switched_off(annotation):
    """`--no-x` means false for x."""
    assert converted({"no_x": True}, x_of(annotation)) == {"x": False}


@pytest.mark.parametrize(("given", "value"), [({"x": True, "no_x": True}, False), ({"no_x": True, "x": "yes"}, True)])
def test_later_switch_counts(given, value):
    """Of `--x` and `--no-x` the later counts, as the command line comes after a file."""
    assert converted(given, x_of(bool)) == {"x": value}


def test_switch_takes_no_value():
    """`--no-x` has no value; one that is given could mean either."""
    with pytest.raises(ArgumentError) as caught:
        converted({"no_x": "false"}, x_of(bool))

    assert str(caught.value) == "--no-x takes no value; write --x true or --x false (x: bool, wanted by greet)"


def test_switch_given_twice():
    """`--no-x` is given once, as any name that takes one value."""
    with pytest.raises(ArgumentError, match=r"^--no-x is given 2 times, but takes one value"):
        converted({"no_x": Repeated((True, True))}, x_of(bool))


def test_parameter_that_begins_with_no():
    """A parameter that is called no_x itself means itself."""

    def paint(x: bool = True, no_x: str = ""):
        """Paint."""

    assert converted({"no_x": "y"}, parameters_of(paint)) == {"no_x": "y"}


# ── repeated names ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("annotation", "values", "made"),
    [
        (list[str], ("a,b", "c"), ["a", "b", "c"]),
        (list[int] | None, ("1", "[2, 3]"), [1, 2, 3]),
        (set[int], ("1", "1"), {1}),
        (tuple[int, str], ("1", "a"), (1, "a")),
        (list[Server], ('{"host": "a"}', '{"host": "b"}'), [Server("a"), Server("b")]),
        (list[Client], ("a", "b"), ["a", "b"]),
    ],
)
def test_repeated_names(annotation, values, made):
    """Values of a repeated name are collected for a type that holds several."""
    assert convert(annotation, Repeated(values)) == made


@pytest.mark.parametrize(
    ("annotation", "values", "line"),
    [
        (int, ("1", "2"), "--x is given 2 times, but takes one value (x: int, wanted by greet)"),
        (bool, (True, True), "--x is given 2 times, but takes one value (x: bool, wanted by greet)"),
        (Any, ("1", "2"), "--x is given 2 times, but takes one value (x: Any, wanted by greet)"),
        (list[int], ("1", "b"), "--x: 'b' (item 2) is not a whole number (x: list[int], wanted by greet)"),
        (list[int], ("1", True), "--x needs a value (x: list[int], wanted by greet)"),
        (
            list[str],
            ("a", "@b"),
            "--x: '@b' is a reference, and can't be one of several values (x: list[str], wanted by greet)",
        ),
    ],
)
def test_repeated_names_that_cannot_be(annotation, values, line):
    """A name that takes one value is given once; no value wins without a word."""
    assert complaint(annotation, Repeated(values)) == line


def test_repeated_name_that_nobody_declares():
    """A name that nobody declares takes one value, too."""
    with pytest.raises(ArgumentError, match=r"^--y is given 2 times, but takes one value$"):
        converted({"y": Repeated(("1", "2"))}, {})


# ── several tasks, several problems ──────────────────────────────────────────────────────
def test_agreement():
    """A type on which tasks agree is used, also when another task does not say."""
    parameters = parameters_of(a=wanting(int), b=wanting(int), c=lambda x: x)

    assert converted({"x": "5"}, parameters) == {"x": 5}


def test_disagreement():
    """Where tasks disagree text stays text, and values stay as they are."""
    parameters = parameters_of(a=wanting(int), b=wanting(float))

    assert converted({"x": "5"}, parameters) == {"x": "5"}
    assert converted({"x": [5]}, parameters) == {"x": [5]}


def test_flag_where_tasks_disagree():
    """A flag is fine if it is for one of them."""
    assert converted({"x": True}, parameters_of(a=wanting(int), b=wanting(bool))) == {"x": True}

    with pytest.raises(ArgumentError) as caught:
        converted({"x": True}, parameters_of(a=wanting(int), b=wanting(Path)))
    assert str(caught.value) == "--x needs a value (x: int, wanted by a; Path, wanted by b)"


def test_one_line_for_each_problem():
    """All arguments are looked at before anything is said."""

    def greet(name: str, count: int, when: date):
        """Greet."""

    with pytest.raises(ArgumentError) as caught:
        converted({"name": True, "count": "many", "when": "now"}, parameters_of(greet))

    assert caught.value.problems == (
        "--name needs a value (name: str, wanted by greet)",
        "--count: 'many' is not a whole number (count: int, wanted by greet)",
        "--when: 'now' is not a date like 2030-12-31 (when: date, wanted by greet)",
    )


def test_what_is_given_is_not_changed():
    """The caller's arguments stay as they were."""
    arguments = {"x": "1", "y": [1]}
    converted(arguments, x_of(int))

    assert arguments == {"x": "1", "y": [1]}


# ── laws ─────────────────────────────────────────────────────────────────────────────────
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(JSON_VALUES))
@LAW
def test_json_lists(values):
    """Any list that is written as JSON is that list."""
    assert convert(list, json.dumps(values)) == values


@given(st.dictionaries(st.text(), JSON_VALUES))
@LAW
def test_json_objects(values):
    """Any object that is written as JSON is that dict."""
    assert convert(dict[str, Any], json.dumps(values)) == values


@given(st.lists(st.integers()))
@LAW
def test_integers_with_commas(values):
    """Numbers with commas between them are the list of these numbers; repeated names mean the same."""
    assert convert(list[int], ",".join(map(str, values))) == values
    if len(values) > 1:
        assert convert(list[int], Repeated(map(str, values))) == values


@given(st.sampled_from([int, float, bool, Decimal, date, Colour, int | str, list[int] | None, Server]), st.text())
@LAW
def test_any_text_is_answered(annotation, text):
    """Any text either becomes the type or is one line of an ArgumentError."""
    try:
        lines = [convert(annotation, text)]
    except ArgumentError as error:
        lines = str(error).split("\n")

    assert len(lines) == 1


def test_plain_arguments_wait_for_no_import():
    """Neither the commonest types nor no arguments at all cost the import of pydantic or of a docstring parser."""
    code = """
import inspect, pathlib, sys, types
from firexkit.runtime.arguments.conversion import converted
from firexkit.runtime.arguments.parameters import declared
def greet(a: int, b: pathlib.Path, c: bool, d: str, e: float): "Greet."
task = types.SimpleNamespace(name="m.greet", short_name="greet", sig=inspect.signature(greet), undecorated=greet)
print(converted(dict(a="1", b="x", c="yes", d="x", e="1"), declared([task])))
print([name for name in ("pydantic", "docstring_parser", "celery") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert out.splitlines()[1] == "[]"
