"""Large values in the bag: fetched for the function that takes them, passed on by one that does not."""

import inspect

import pytest

from firexkit._serialization.large import LargeValue, LateDict, Place, entries_of, late
from firexkit.argument_conversion import ConverterRegister, SingleArgDecorator
from firexkit.bag_of_goodies import BagOfGoodies
from firexkit.task import DictWillNotAllowWrites

BIG = "x" * 2000


class Library:
    """Values by the digests of their places; remembers who asked for which, one entry a round trip."""

    def __init__(self):
        self.books, self.lent = {}, []

    def large(self, digest, value):
        """A stand-in for the value."""
        self.books[digest] = value
        return LargeValue(Place("task", digest), len(value), None, self.read)

    def read(self, places):
        self.lent.append(sorted(place.digest for place in places))
        return [self.books[place.digest] for place in places]


@pytest.fixture
def library():
    return Library()


def goodies(function, previous=None, *args, **kwargs):
    """The bag for a call of a function, after a task that returned ``previous``."""
    given = args if previous is None else (late(previous), *args)
    return BagOfGoodies(inspect.signature(function), given, kwargs, previous is not None)


def call(function, bag):
    args, kwargs = bag.split_for_signature()
    return function(*args, **kwargs)


def test_a_function_gets_what_it_takes_and_nothing_else_is_fetched(library):
    """All parameters are fetched in one round trip; what only passes through is left alone."""
    bag = goodies(lambda a, b: (a, b), {name: library.large(name, BIG + name) for name in "abcd"})

    assert call(lambda a, b: (a, b), bag) == (BIG + "a", BIG + "b")
    assert library.lent == [["a", "b"]]


def test_a_function_that_takes_the_rest_gets_everything(library):
    """``**kwargs`` takes every value of the bag."""
    bag = goodies(lambda **rest: rest, {name: library.large(name, BIG + name) for name in "abc"})

    assert call(lambda **rest: rest, bag) == {name: BIG + name for name in "abc"}
    assert library.lent == [["a", "b", "c"]]


def test_a_reference_to_a_large_value_is_resolved(library):
    """``@name`` gives the value, by position, by name, and as a default."""

    def function(first, second, third="@big"):
        return first, second, third

    bag = goodies(function, {"big": library.large("big", BIG)}, "@big", second="@big")

    assert call(function, bag) == (BIG, BIG, BIG)
    assert library.lent == [["big"]]


def test_positionals_and_the_rest_of_them(library):
    """Large values given by position reach the function, and the bag has them under the names of the parameters."""

    def function(first, *rest):
        return first, rest

    bag = goodies(function, None, library.large("a", "A"), library.large("b", "B"), 3)

    assert call(function, bag) == ("A", ("B", 3))
    assert dict(bag.get_bag()) == {"first": "A", "rest": ("B", 3)}


def test_a_large_rest_by_name(library):
    """A large value for ``*rest`` is taken apart like any other."""

    def function(first, *rest):
        return first, rest

    bag = goodies(function, {"rest": library.large("rest", ["B", 3])}, "A")

    assert call(function, bag) == ("A", ("B", 3))


def test_a_previous_bag_that_came_as_one_large_value(library):
    """A whole bag that is stored on its own is a bag."""
    bag = BagOfGoodies(inspect.signature(lambda a: a), [library.large("bag", {"a": 1, "b": 2})], {}, True)

    assert dict(bag.get_bag()) == {"a": 1, "b": 2}


def test_what_the_task_returns_has_the_stand_ins(library):
    """A value that was fetched is sent on as it came, and so is one that was not."""
    bag = goodies(lambda a: a, {name: library.large(name, BIG + name) for name in "ab"})
    bag.update({"c": 3})

    assert [type(value) for _, value in entries_of(bag.snapshot())] == [LargeValue, LargeValue, int]
    assert library.lent == [["a"]]


def test_who_reads_the_bag_gets_values(library):
    """The live bag, its views and what is taken out of it hold values, never stand-ins."""
    bag = goodies(lambda a: a, {name: library.large(name, BIG + name) for name in "abc"})

    assert bag.get_bag()["b"] == BIG + "b"
    assert bag.bound_arguments() == {"a": BIG + "a"}
    assert bag.pop("c") == BIG + "c"
    assert bag.snapshot() == {"a": BIG + "a", "b": BIG + "b"}


def test_results_take_the_place_of_large_values(library):
    """What a task returns under a name is there under this name."""
    bag = goodies(lambda a: a, {"a": library.large("a", BIG), "b": library.large("b", BIG)})
    bag.update({"a": "new", "b": 2})

    assert bag.snapshot() == {"a": "new", "b": 2}


def test_a_bag_without_large_values_is_a_plain_dict():
    """Nobody pays for what is not there."""
    bag = goodies(lambda a: a, {"a": 1})

    assert type(bag.get_bag()) is type(bag.snapshot()) is dict


# ── converters ───────────────────────────────────────────────────────────────────────────


def test_a_converter_fetches_what_it_reads(library):
    """One that converts a single value gets that one; the others are not fetched."""
    register = ConverterRegister()
    register.register(True)(SingleArgDecorator("a")(str.upper))
    given = late({name: library.large(name, BIG + name) for name in "ab"})
    converted = register.run(given, pre_task=True)

    assert library.lent == [["a"]]
    assert converted.values == {"a": (BIG + "a").upper(), "b": BIG + "b"}
    assert set(converted.changed_by) == {"a"}


def test_a_converter_may_read_and_edit_everything(library):
    """A converter of the whole bag has a dict of values."""
    register = ConverterRegister()

    @register.register(True)
    def swap(bag):
        assert {**bag} == {"a": "A", "b": "B"}
        bag["a"], bag["b"] = bag["b"], bag["a"]

    converted = register.run(late({"a": library.large("a", "A"), "b": library.large("b", "B")}), pre_task=True)

    assert converted.values == {"a": "B", "b": "A"}


# ── abog ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def abog(library):
    return DictWillNotAllowWrites.of(late({"a": library.large("a", "A"), "b": library.large("b", "B"), "c": 3}), None)


def test_abog_fetches_what_is_read(library, abog):
    """It is the dict that it was, whose large values come when they are read."""
    assert (abog["c"], "b" in abog, abog.get("a")) == (3, True, "A")
    assert library.lent == [["a"]]
    assert {**abog} == abog == {"a": "A", "b": "B", "c": 3}


def test_abog_warns_of_writes_all_the_same(abog, caplog):
    """Writing to it is deprecated, and works."""
    abog["d"] = 4
    del abog["c"]
    abog |= {"e": 5}

    assert abog.pop("a") == "A"
    assert dict(abog) == {"b": "B", "d": 4, "e": 5}
    assert len([record for record in caplog.records if "deprecated" in record.message]) == 4
    assert isinstance(abog, DictWillNotAllowWrites)
    assert isinstance(abog, LateDict)
