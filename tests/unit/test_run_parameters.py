"""Parameters of loaded tasks: who wants what, and what was meant by a name that nobody takes."""

from __future__ import annotations

from inspect import Parameter as Python
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, List, Optional  # noqa: UP035 - the old spelling is a case

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from firexkit.runtime.arguments.parameters import close_names, declared, edit_distance, unknown
from firexkit.task import FireXTask
from unit.arguments_support import parameters_of, wanting
from unit.support import add_task, new_app

if TYPE_CHECKING:
    from decimal import Decimal

EMPTY = Python.empty


def greet(name: str, count: int = 1, *, loud=False, **rest):
    """Greet somebody."""


def shout(name: str, count: int = 5):
    """Shout at somebody."""


def test_declared():
    """Every parameter of every task is there once, with what each task says of it."""
    parameters = parameters_of(greet, shout)

    assert list(parameters) == ["name", "count", "loud"]
    assert [said.task for said in parameters["count"].declarations] == ["greet", "shout"]
    assert [said.default for said in parameters["count"].declarations] == [1, 5]
    assert [said.is_required for said in parameters["name"].declarations] == [True, True]
    assert parameters["count"].annotation is int


def everything(self, first, /, second, *args, third, _private, uid, chain_depth, **kwargs):
    """A function with every kind of parameter."""


def test_what_is_not_offered():
    """Collecting parameters, private ones and what the run itself gives are not offered."""
    assert list(parameters_of(everything)) == ["first", "second", "third"]


def test_bound_tasks_and_celerys_own():
    """The task that a bound function gets is no parameter, and Celery's own tasks count for nothing."""
    app = new_app()

    def bound(self, count):
        return count

    task = add_task(app, bound, "bound", bind=True)

    celerys_own = [task for name, task in app.tasks.items() if name.startswith("celery.")]
    assert list(declared([task, *celerys_own])) == ["count"]


def test_class_tasks():
    """A task that is a class says its parameters by its run(), and describes them in the class."""
    app = new_app()

    class Greet(FireXTask):
        """The class speaks."""

        name = "m.Greet"

        def run(self, whom: Path):
            return whom

    parameters = declared([app.register_task(Greet())])

    assert parameters["whom"].annotation is Path
    assert parameters["whom"].declarations[0].docstring == "The class speaks."


def test_replaced_tasks_count_once():
    """A task that stands under two names is one task."""
    task = add_task(new_app(), wanting(int), "greet")

    assert len(declared([task, task])["x"].declarations) == 1


def only_for_checkers(amount: Decimal, deep: list[Decimal], count: int, odd: "no type at all"):  # noqa: F722
    """Annotations of which some cannot be found."""


def test_annotations_that_cannot_be_found():
    """A name for type checkers only leaves its own parameter text, and no other."""
    parameters = parameters_of(only_for_checkers)

    assert {name: parameter.annotation for name, parameter in parameters.items()} == {
        "amount": "Decimal",
        "deep": "list[Decimal]",
        "count": int,
        "odd": "'no type at all'",
    }


def test_unresolvable_inside_a_type():
    """A type with a name inside it that cannot be found is text as a whole."""
    assert parameters_of(wanting(list["Missing"]))["x"].annotation == "list['Missing']"  # noqa: F821


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (int, int),
        (Optional[int], "int | None"),  # noqa: UP045 - the old spelling is a case
        (List[int], list[int]),  # noqa: UP006 - the old spelling is a case
        (dict[str, List[int]], dict[str, list[int]]),  # noqa: UP006 - the old spelling is a case
        (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]),
        (int, EMPTY),
    ],
)
def test_agreement(one, other):
    """Annotations agree that mean the same; a task without an annotation does not vote."""
    assert parameters_of(a=wanting(one), b=wanting(other))["x"].annotation == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (int, float),
        (int, int | None),
        (list[int], list[str]),
        (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=2)]),
        (Path, "Decimal"),
    ],
)
def test_disagreement(one, other):
    """Where tasks want different types there is no type."""
    assert parameters_of(a=wanting(one), b=wanting(other))["x"].annotation is EMPTY


def test_no_annotation():
    """A parameter that nobody annotates has no type."""
    assert parameters_of(wanting(EMPTY))["x"].annotation is EMPTY


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        ({"a": int}, "x: int, wanted by a"),
        ({"a": int, "b": int}, "x: int, wanted by a and b"),
        ({"a": int, "b": int, "c": int, "d": EMPTY}, "x: int, wanted by a, b and c"),
        ({"a": int, "b": float}, "x: int, wanted by a; float, wanted by b"),
        ({"a": EMPTY}, "x: text, wanted by a"),
    ],
)
def test_who_wants_what(tasks, wanted):
    """A message names the types and the tasks that ask for them."""
    parameters = parameters_of(**{name: wanting(annotation) for name, annotation in tasks.items()})

    assert parameters["x"].wanted == wanted


# ── names that nobody takes ──────────────────────────────────────────────────────────────
def takes(name: str, count: int, destination: str, cache: bool = True, no_color: str = ""):
    """A function to mistype arguments for."""


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (["name", "no_cache", "no_color"], []),
        (["nmae"], ["--nmae: no loaded task takes it; did you mean --name?"]),
        (["Count"], ["--Count: no loaded task takes it; did you mean --count?"]),
        (["no_cahe"], ["--no-cahe: no loaded task takes it; did you mean --no-cache?"]),
        (["destinatoin"], ["--destinatoin: no loaded task takes it; did you mean --destination?"]),
        (["desination"], ["--desination: no loaded task takes it; did you mean --destination?"]),
        (["direction"], ["--direction: no loaded task takes it; --help lists them"]),
        (["no_name"], ["--no-name: no loaded task takes it; --help lists them"]),
        (["uid"], ["--uid is set by the run itself; leave it out"]),
        (["a", "b"], [f"--{name}: no loaded task takes it; --help lists them" for name in "ab"]),
    ],
)
def test_unknown(given, lines):
    """A name that no task takes is told with what may have been meant."""
    assert unknown(given, parameters_of(takes)) == lines


def test_several_may_be_meant():
    """The closest name comes first, and no more than three are named."""
    assert close_names("name", ["mane", "nam", "names", "names2", "other"]) == ["nam", "names", "mane"]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("name", "name", 0), ("name", "nmae", 2), ("kitten", "sitting", 3)],
)
def test_edit_distance(one, other, distance):
    """Letters are inserted, deleted and replaced."""
    assert edit_distance(one, other) == distance


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_a_distance(one, other):
    """It is the same both ways, nothing for equal texts only, and at most the longer text's length."""
    assert edit_distance(one, other) == edit_distance(other, one)
    assert (edit_distance(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= edit_distance(one, other) <= max(len(one), len(other))
