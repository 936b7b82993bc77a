"""Where each value in the bag came from."""

from functools import partial
from inspect import signature

import pytest

from firexkit.bag_of_goodies import BagOfGoodies, Origin
from unit.support import bag_of


@pytest.mark.parametrize(
    ("build", "origins"),
    [
        (partial(bag_of, lambda x: x, 1), {"x": Origin("positional")}),
        (partial(bag_of, lambda x, *rest: x, 1, 2), {"x": Origin("positional"), "rest": Origin("positional")}),
        (partial(bag_of, lambda x: x, x=1), {"x": Origin("keyword")}),
        (partial(bag_of, lambda x: x, x=1, extra=2), {"x": Origin("keyword"), "extra": Origin("keyword")}),
        (partial(bag_of, lambda x: x, previous={"x": 1}), {"x": Origin("previous")}),
        (partial(bag_of, lambda x: x, previous={"x": 1, "q": 9}), {"x": Origin("previous"), "q": Origin("previous")}),
        (partial(bag_of, lambda x=1: x), {"x": Origin("default")}),
        (partial(bag_of, lambda x=None: x), {"x": Origin("default")}),
        (partial(bag_of, lambda *, x=1: x), {"x": Origin("default")}),
        (partial(bag_of, lambda x="@nope": x), {"x": Origin("default")}),
    ],
)
def test_origin_of_a_plain_value(build, origins):
    """The origin of a value names the place that supplied it, and nothing else is listed."""
    assert dict(build().origins) == origins


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (partial(bag_of, lambda x: x, 1, x=2), "positional"),
        (partial(bag_of, lambda x: x, 1, previous={"x": 2}), "positional"),
        (partial(bag_of, lambda x: x, x=1, previous={"x": 2}), "keyword"),
        (partial(bag_of, lambda x=1: x, x=1), "keyword"),
        (partial(bag_of, lambda x=1: x, previous={"x": 1}), "previous"),
    ],
)
def test_the_winner_is_the_origin(build, kind):
    """When several places offer a value, even an equal one, the origin is the one that won."""
    assert dict(build().origins) == {"x": Origin(kind)}


@pytest.mark.parametrize(
    ("build", "origin"),
    [
        (partial(bag_of, lambda x: x, x="@y", y=2), Origin("reference", "y")),
        (partial(bag_of, lambda x: x, "@y", y=2), Origin("reference", "y")),
        (partial(bag_of, lambda x: x, previous={"x": "@y", "y": 2}), Origin("reference", "y")),
        (partial(bag_of, lambda x="@y": x, y=2), Origin("reference", "y")),
        (partial(bag_of, lambda x: x, x="@@y", y=2), Origin("reference", "y")),
        (partial(bag_of, lambda x: x, x="@y", y=None), Origin("reference", "y")),
    ],
)
def test_origin_of_a_resolved_reference(build, origin):
    """A value that came through a reference tells the name it came from."""
    assert build().origins["x"] == origin


def test_the_referenced_entry_keeps_its_own_origin():
    """Taking a value by reference says nothing about where the referenced entry came from."""
    goodies = bag_of(lambda x, y: x, x="@y", previous={"y": 2})

    assert goodies.origins["y"] == Origin("previous")


def test_unresolved_reference_keeps_the_place_it_was_given():
    """A reference that leads nowhere is an ordinary value of the place that supplied it."""
    assert bag_of(lambda x: x, x="@nope").origins["x"] == Origin("keyword")


@pytest.mark.parametrize("arguments", [{"x": "@x"}, {"x": "@y", "y": "@x"}])
def test_cyclic_reference_keeps_the_place_it_was_given(arguments):
    """A reference that leads back to itself took its value from nowhere else."""
    assert bag_of(lambda x, y="": x, **arguments).origins["x"] == Origin("keyword")


def test_injected_names():
    """Keyword arguments that were injected are told from those the user wrote."""
    goodies = BagOfGoodies(signature(lambda x, y: x), (), {"x": 1, "y": 2, "q": 3}, False, injected=("y", "q"))

    assert dict(goodies.origins) == {"x": Origin("keyword"), "y": Origin("injected"), "q": Origin("injected")}


def test_positional_beats_injected():
    """An injected value that a positional replaces leaves no trace."""
    goodies = BagOfGoodies(signature(lambda x: x), (1,), {"x": 2}, False, injected=("x",))

    assert dict(goodies.origins) == {"x": Origin("positional")}


@pytest.mark.parametrize("origin", [Origin("converter", "double"), Origin("returned"), Origin("previous")])
def test_update_tells_its_origin(origin):
    """Values that an update brings carry the origin it was given; the others keep theirs."""
    goodies = bag_of(lambda x, y=0: x, 1, extra=2)
    goodies.update({"x": 10, "new": 11}, origin=origin)

    assert dict(goodies.origins) == {
        "x": origin,
        "new": origin,
        "extra": Origin("keyword"),
        "y": Origin("default"),
    }


def test_update_of_a_defaulted_parameter():
    """A parameter that an update fills is no longer filled by its default."""
    goodies = bag_of(lambda x=1: x)
    goodies.update({"x": 2}, origin=Origin("converter", "two"))

    assert dict(goodies.origins) == {"x": Origin("converter", "two")}


def test_update_that_resolves_a_default_reference():
    """A default reference that an update satisfies turns from default to reference."""
    goodies = bag_of(lambda x="@z": x)
    goodies.update({"z": 7}, origin=Origin("converter", "supply"))

    assert dict(goodies.origins) == {"x": Origin("reference", "z"), "z": Origin("converter", "supply")}


def test_pop_takes_the_origin_along():
    """A popped entry has no origin any more."""
    goodies = bag_of(lambda x: x, x=1, extra=2)
    goodies.pop("extra")

    assert dict(goodies.origins) == {"x": Origin("keyword")}


def test_origin_is_a_pair():
    """An origin is a plain pair of kind and detail, the detail empty unless given."""
    assert Origin("keyword") == ("keyword", "")
    assert Origin("converter", "double")._asdict() == {"kind": "converter", "detail": "double"}
