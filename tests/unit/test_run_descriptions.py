"""What help and completion show of a parameter."""

from collections.abc import Callable
from enum import Enum, IntEnum
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, List, Literal, NewType, Optional  # noqa: UP035 - the old spelling is a case

import pytest
from pydantic import Field, FilePath

from firexkit.runtime.arguments.descriptions import choices, described, takes_path
from unit.arguments_support import parameters_of, wanting, x_of


class Colour(Enum):
    RED = 1
    GREEN = "g"
    MIXED = (1, 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (Path, "Path"),
        (list[str], "list[str]"),
        (List[Path], "list[Path]"),  # noqa: UP006 - the old spelling is a case
        (tuple[int, ...], "tuple[int, ...]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (Optional[int], "int | None"),  # noqa: UP045 - the old spelling is a case
        (int | str | None, "int | str | None"),
        (Literal["fast", 1, True, None], "fast | 1 | true | none"),
        (Colour, "Colour"),
        (UserId, "UserId"),
        (Annotated[int, Field(ge=1)], "int"),
        (Annotated[int | None, Field(ge=1)], "int | None"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Any, "Any"),
        (None, "None"),
        ("Missing", "Missing"),
    ],
)
def test_types(annotation, text):
    """A type is shown as one writes it, without modules."""
    assert described(x_of(annotation)["x"]).type == text


def test_no_annotation():
    """A parameter without an annotation takes text."""
    assert described(parameters_of(lambda x: x)["x"]).type == "text"


def test_disagreement():
    """Where tasks disagree, help says who wants what."""
    parameters = parameters_of(a=wanting(int), b=wanting(float), c=wanting(int))

    assert described(parameters["x"]).type == "text (int for a and c; float for b)"


def defaulting(value):
    """A function whose parameter x has this default."""

    def greet(x=value):
        return x

    return greet


@pytest.mark.parametrize(
    ("default", "text"),
    [
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "none"),
        ("Ada", "Ada"),
        ("", "''"),
        ("@other", "@other"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "1"),
        (Colour.MIXED, "MIXED"),
        (["a"], "['a']"),
        ("x" * 100, "x" * 39 + "…"),
    ],
)
def test_defaults(default, text):
    """A default is shown as one would write it, and not longer than a line has room for."""
    assert described(parameters_of(defaulting(default))["x"]).default == text


def test_required():
    """What has no default is required."""
    assert described(parameters_of(wanting(int))["x"]).default == "required"


def test_defaults_that_differ():
    """Where tasks have different defaults, each is shown with its tasks."""
    parameters = parameters_of(a=defaulting(1), b=defaulting(2), c=wanting(int), d=defaulting(1))

    assert described(parameters["x"]).default == "1 for a and d; 2 for b; required by c"


GOOGLE = """Greet.

Args:
    x: How often,
        at most ten times.
    other: Not this one.
"""
NUMPY = """Greet.

Parameters
----------
x : int
    How often,
    at most ten times.
"""
SPHINX = """Greet.

:param int x: How often,
    at most ten times.
:returns: nothing
"""


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
def test_docs(docstring):
    """The three common forms of docstrings are read; what they say is put on one line."""
    greet = wanting(int)
    greet.__doc__ = docstring

    assert described(parameters_of(greet)["x"]).doc == "How often, at most ten times."


@pytest.mark.parametrize("docstring", [None, "", "Greet.", "Args:", ":param: broken", "Args:\n  y: other"])
def test_no_docs(docstring):
    """A docstring that says nothing of a parameter, or cannot be read, gives no words."""
    greet = wanting(int)
    greet.__doc__ = docstring

    assert described(parameters_of(greet)["x"]).doc == ""


def test_first_docs_count():
    """The first task that describes a parameter describes it for all."""
    a, b, c = wanting(int), wanting(int), wanting(int)
    b.__doc__, c.__doc__ = "B.\n\nArgs:\n  x: from b", "C.\n\nArgs:\n  x: from c"

    assert described(parameters_of(a=a, b=b, c=c)["x"]).doc == "from b"


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (bool, ["true", "false"]),
        (bool | None, ["true", "false"]),
        (Literal["fast", 1, True], ["fast", "1", "true"]),
        (Literal["auto"] | int, ["auto"]),
        (Colour, ["1", "g", "MIXED"]),
        (Level, ["1", "2"]),
        (list[Literal["a", "b"]], ["a", "b"]),
        (Annotated[Colour | None, "note"], ["1", "g", "MIXED"]),
        (int, []),
        ("Missing", []),
        (None, []),
    ],
)
def test_choices(annotation, values):
    """Completion offers the values of a bool, a Literal or an enum."""
    assert choices(x_of(annotation)["x"]) == values


@pytest.mark.parametrize(
    ("annotation", "answer"),
    [
        (Path, True),
        (Path | None, True),
        (FilePath, True),
        (list[Path], True),
        (PathLike, True),
        (PathLike[str], True),
        (str, False),
        (dict[str, Path], False),
        ("Path", False),
    ],
)
def test_paths(annotation, answer):
    """Completion offers files where a path is wanted."""
    assert takes_path(x_of(annotation)["x"]) is answer
