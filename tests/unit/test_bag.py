"""The bag: what the function is called with, and what travels on."""

from copy import deepcopy
from inspect import signature

import pytest

from firexkit.bag_of_goodies import BagOfGoodies
from unit.support import RK, bag_of, received

# function, args, kwargs, has previous result → call args, call kwargs, bag
ROWS = {
    1: (lambda x: x, (), {"x": 1}, False, [], {"x": 1}, {"x": 1}),
    2: (lambda x: x, (1,), {}, False, [1], {}, {"x": 1}),
    3: (lambda x: x, ({"x": 1},), {}, False, [{"x": 1}], {}, {"x": {"x": 1}}),
    4: (lambda x: x, ({"x": 1},), {}, True, [], {"x": 1}, {"x": 1}),
    5: (lambda x: x, ({"x": 1, "q": 9},), {}, True, [], {"x": 1}, {"x": 1, "q": 9}),
    6: (lambda x, **kw: x, ({"x": 1, "q": 9},), {}, True, [], {"x": 1, "q": 9}, {"x": 1, "q": 9}),
    7: (lambda x: x, ({"x": 1}, 5), {}, True, [5], {}, {"x": 5}),
    8: (lambda x: x, ({"x": 1},), {"x": 5}, True, [], {"x": 5}, {"x": 5}),
    9: (lambda x: x, ({"x": 1}, "@x"), {}, True, [1], {}, {"x": 1}),
    10: (lambda x: x, ({"x": 1},), {"x": "@x"}, True, [], {"x": 1}, {"x": 1}),
    11: (lambda x: x, ({"y": 2},), {"x": "@y"}, True, [], {"x": 2}, {"x": 2, "y": 2}),
    12: (lambda x: x, ({"y": 2}, "@y"), {}, True, [2], {}, {"x": 2, "y": 2}),
    13: (lambda x, **kw: x, ({"y": 2}, "@y"), {}, True, [2], {"y": 2}, {"x": 2, "y": 2}),
    14: (lambda x: x, (), {"x": "@nope"}, False, [], {"x": "@nope"}, {"x": "@nope"}),
    15: (lambda x, y="@z": x, (1,), {}, False, [1], {"y": ""}, {"x": 1}),
    16: (lambda x, y="@z": x, (1,), {"z": 7}, False, [1], {"y": 7}, {"x": 1, "z": 7, "y": 7}),
    17: (lambda x, y="@z": x, ({"z": 7, "y": 8}, 1), {}, True, [1], {"y": 8}, {"y": 8, "x": 1, "z": 7}),
    18: (lambda x: x, (1,), {"x": 2}, False, [1], {}, {"x": 1}),
    20: (
        lambda x, y, z: x,
        (),
        {"z": "@y", "y": "@x", "x": 3},
        False,
        [],
        {"z": 3, "y": 3, "x": 3},
        {"z": 3, "y": 3, "x": 3},
    ),
    21: (lambda x: x, (), {"x": "@y", "y": None}, False, [], {"x": None}, {"x": None, "y": None}),
    22: (lambda x: x, (), {"x": ["@y"], "y": 1}, False, [], {"x": ["@y"]}, {"x": ["@y"], "y": 1}),
    23: (
        lambda **kw: kw,
        ({"a": 1},),
        {"b": "@a", "c": "@zz"},
        True,
        [],
        {"b": 1, "c": "@zz", "a": 1},
        {"b": 1, "c": "@zz", "a": 1},
    ),
    24: (lambda x: x, (None,), {}, True, [None], {}, {"x": None}),
    25: (lambda x, *rest, k=1: x, (1, 2, 3), {}, False, [1, 2, 3], {}, {"x": 1, "rest": (2, 3)}),
    26: (lambda x, *rest, k=1: x, ({"q": 1}, 1, 2, 3), {}, True, [1, 2, 3], {}, {"x": 1, "rest": (2, 3), "q": 1}),
    "27 first": (lambda *args, x: x, (1,), {"x": 3}, False, [1], {"x": 3}, {"args": (1,), "x": 3}),
    "27 later": (lambda *args, x: x, (1,), {"x": 3}, True, [1], {"x": 3}, {"args": (1,), "x": 3}),
}
WORKED = [pytest.param(*row, id=f"row {number}") for number, row in ROWS.items()]

# function, args, kwargs, updates → call args, call kwargs, bag
UPDATES = [
    (lambda x: x, (1,), {}, {"x": 2, "n": 3}, [2], {}, {"x": 2, "n": 3}),
    (lambda x=None: x, (1,), {}, {"x": "@n", "n": 3}, [3], {}, {"x": 3, "n": 3}),
    (lambda x: x, (), {"x": "@n"}, {"n": 3}, [], {"x": 3}, {"x": 3, "n": 3}),
    (lambda a, p="d": a, ("v",), {}, {"a": "A", "p": "P"}, ["A"], {"p": "P"}, {"a": "A", "p": "P"}),
    (lambda x, *rest: x, (1, 2, 3), {}, {"rest": [9, 8]}, [1, 9, 8], {}, {"x": 1, "rest": [9, 8]}),
]

SHAPES = [
    pytest.param(lambda x: x, id="x"),
    pytest.param(lambda x=None: x, id="x=None"),
    pytest.param(lambda x, **kw: x, id="x, **kw"),
    pytest.param(lambda x=None, **kw: x, id="x=None, **kw"),
    pytest.param(lambda **kw: kw, id="**kw"),
    pytest.param(lambda *args, x: x, id="*args, x"),
]
POSITIONAL_SHAPES = SHAPES[:4]


@pytest.mark.parametrize(("function", "args", "kwargs", "previous", "call_args", "call_kwargs", "bag"), WORKED)
def test_worked_example(function, args, kwargs, previous, call_args, call_kwargs, bag):
    """§8.1: Each worked example gives exactly its call arguments and its bag."""
    goodies = BagOfGoodies(signature(function), deepcopy(args), deepcopy(kwargs), previous)

    assert goodies.split_for_signature() == (call_args, call_kwargs)
    assert goodies.get_bag() == bag


@pytest.mark.parametrize(("function", "args", "kwargs", "previous", "call_args", "call_kwargs", "bag"), WORKED)
def test_the_callers_values_stay_as_they_were(function, args, kwargs, previous, call_args, call_kwargs, bag):
    """Checklist 1: Neither building a bag nor updating it edits what the caller passed in."""
    given = deepcopy((args, kwargs))
    goodies = BagOfGoodies(signature(function), *given, previous)
    goodies.update({"x": "new", "extra": "new"})

    assert given == (args, kwargs)


def test_too_many_positionals():
    """§8.1 row 19: More positionals than parameters is a TypeError at once."""
    with pytest.raises(TypeError):
        bag_of(lambda x: x, 1, 2)


@pytest.mark.parametrize(("function", "args", "kwargs", "updates", "call_args", "call_kwargs", "bag"), UPDATES)
def test_worked_update(function, args, kwargs, updates, call_args, call_kwargs, bag):
    """§8.1 updates: Each worked update gives exactly its call arguments and its bag."""
    goodies = BagOfGoodies(signature(function), args, dict(kwargs), False)
    goodies.update(updates)

    assert goodies.split_for_signature() == (call_args, call_kwargs)
    assert goodies.get_bag() == bag


def test_rest_needs_an_iterable():
    """§8.1 updates: A new value for bound `*rest` that cannot be spread is a ValueError."""
    goodies = bag_of(lambda x, *rest: x, 1, 2, 3)

    with pytest.raises(ValueError):  # noqa: PT011 - the text is free, the type is the promise
        goodies.update({"rest": 5})


def test_extra_kwargs_stay_in_the_bag():
    """Checklist 1: Keyword arguments that the function does not take travel in the bag, not in the call."""
    goodies = bag_of(lambda x: x, x=1, extra=2)

    assert goodies.get_bag() == {"x": 1, "extra": 2}
    assert goodies.split_for_signature() == ([], {"x": 1})


def test_later_changes_to_the_sources_do_not_leak_in():
    """Checklist 1: Editing the source dicts after construction leaves the bag alone."""
    previous, kwargs = {"p": 1}, {"x": 1}
    goodies = BagOfGoodies(signature(lambda x: x), (previous,), kwargs)
    previous["p"] = kwargs["x"] = "changed"

    assert goodies.get_bag() == {"p": 1, "x": 1}


def test_earlier_bag_sees_updates():
    """Checklist 1: A bag taken before an update shows what the update added and overwrote."""
    goodies = bag_of(lambda x: x, x=1)
    earlier = goodies.get_bag()
    goodies.update({"x": 2, "added": 3})

    assert earlier == {"x": 2, "added": 3}


def test_positional_is_visible_by_name():
    """Checklist 2: A positional argument stands in the bag under its parameter's name."""
    assert bag_of(lambda x, y: x, 1, 2).get_bag() == {"x": 1, "y": 2}


def test_update_replaces_a_positional():
    """Checklist 2: Updating a positionally bound name replaces that positional, and only that one."""
    goodies = bag_of(lambda x, y: x, 1, 2)
    goodies.update({"x": "new"})

    assert goodies.split_for_signature() == (["new", 2], {})


def test_leading_dict_without_a_previous_task_is_an_argument():
    """Checklist 3: With the flag off a leading dict is an ordinary positional."""
    goodies = BagOfGoodies(signature(lambda x: x), ({"x": 1},), {}, has_returns_from_previous_task=False)

    assert received(goodies) == {"x": {"x": 1}}


def test_leading_dict_is_the_previous_result_by_default():
    """Checklist 3: The flag is on unless it is turned off."""
    assert received(BagOfGoodies(signature(lambda x: x), ({"x": 1},), {})) == {"x": 1}


def test_explicit_dict_beats_the_previous_value():
    """Checklist 3: A dict given as second positional wins over the previous result's value of that name."""
    goodies = bag_of(lambda x: x, {"mine": 1}, previous={"x": "theirs"})

    assert received(goodies) == {"x": {"mine": 1}}
    assert goodies.get_bag() == {"x": {"mine": 1}}


def test_missing_arguments_do_not_fail_construction():
    """Checklist 4: A chained call with missing required parameters builds a bag; only the call can fail."""
    goodies = bag_of(lambda x, y, *, z: x, previous={"y": 2})

    assert goodies.split_for_signature() == ([], {"y": 2})


@pytest.mark.parametrize("function", [lambda missing: missing, lambda missing, **kw: missing])
def test_reference_from_the_previous_bag(function):
    """Checklist 5: A reference that travelled unresolved is resolved by the task that accepts its name."""
    goodies = bag_of(function, previous={"missing": "@final", "final": "found"})

    assert received(goodies)["missing"] == "found"


def test_unaccepted_references_travel_unresolved():
    """Checklist 5: A reference under a name that this task does not take is left for a later task."""
    goodies = bag_of(lambda x: x, previous={"x": 1, "missing": "@final", "final": "found"})

    assert goodies.get_bag() == {"x": 1, "missing": "@final", "final": "found"}


@pytest.mark.parametrize(
    ("args", "kwargs", "previous", "y"),
    [
        ((1, 5), {"z": 7}, None, 5),
        ((1,), {"y": 5, "z": 7}, None, 5),
        ((1,), {}, {"y": 8, "z": 7}, 8),
        ((1,), {}, {"z": 7}, 7),
        ((1,), {"z": 7}, None, 7),
        ((1,), {"z": None}, None, None),
        ((1,), {}, None, ""),
    ],
)
def test_reference_in_a_default(args, kwargs, previous, y):
    """Checklist 6: Whatever is given for the parameter beats its default reference; the bag satisfies it."""
    goodies = bag_of(lambda x, y="@z": x, *args, previous=previous, **kwargs)

    assert received(goodies)["y"] == y


def test_reference_in_a_positional_only_default():
    """Checklist 6: A default reference of a positional-only parameter is satisfied by the bag as well."""
    goodies = bag_of(lambda x, y="@z", /: x, 1, z=7)

    assert received(goodies) == {"x": 1, "y": 7}


def test_signature_of_a_bound_method():
    """Checklist 7: The signature of a bound method binds without self."""

    class Painter:
        def paint(self, colour, shade="dark"):
            """Take part as a bound method."""

    goodies = bag_of(Painter().paint, previous={"colour": "red", "self": "kept"})

    assert received(goodies) == {"colour": "red", "shade": "dark"}
    assert goodies.get_bag() == {"colour": "red", "self": "kept"}


def test_pop_of_an_accepted_entry():
    """Checklist 8: Popping an accepted name takes it out of the call and out of the bag."""
    goodies = bag_of(lambda x, y: x, x=1, y=2)

    assert goodies.pop("x") == 1
    assert goodies.split_for_signature() == ([], {"y": 2})
    assert goodies.get_bag() == {"y": 2}


def test_pop_of_a_bag_only_entry():
    """Checklist 8: Popping a name that only travels takes it out of the bag."""
    goodies = bag_of(lambda x: x, x=1, extra=2)

    assert goodies.pop("extra") == 2
    assert goodies.get_bag() == {"x": 1}


def test_pop_of_an_absent_name():
    """Checklist 8: Popping an absent name gives the default, None included, or is a KeyError without one."""
    goodies = bag_of(lambda x: x, x=1)

    assert (goodies.pop("nope", 5), goodies.pop("nope", None)) == (5, None)
    with pytest.raises(KeyError):
        goodies.pop("nope")


def test_pop_leaves_positionals_alone():
    """Checklist 8: Popping a positionally bound name takes it out of the bag, not out of the call."""
    goodies = bag_of(lambda x: x, 1)

    assert goodies.pop("x") == 1
    assert goodies.split_for_signature() == ([1], {})
    assert goodies.get_bag() == {}


@pytest.mark.parametrize("function", SHAPES)
def test_exact_previous_bag(function):
    """Checklist 9: A previous bag that holds exactly the parameters fills them."""
    goodies = bag_of(function, previous={"x": 1})

    assert received(goodies)["x"] == 1
    assert goodies.get_bag() == {"x": 1}


@pytest.mark.parametrize("function", SHAPES)
def test_larger_previous_bag(function):
    """Checklist 9: What the function does not take flows on; with `**kw` it takes everything."""
    goodies = bag_of(function, previous={"x": 1, "q": 9})

    assert received(goodies)["x"] == 1
    assert ("q" in received(goodies)) == goodies.varkeyword
    assert goodies.get_bag() == {"x": 1, "q": 9}


@pytest.mark.parametrize("function", POSITIONAL_SHAPES)
def test_positional_overwrites_the_previous_value(function):
    """Checklist 9: A positional wins over the previous value of its name."""
    goodies = bag_of(function, 5, previous={"x": 1})

    assert goodies.split_for_signature() == ([5], {})
    assert goodies.get_bag() == {"x": 5}


def test_positional_beside_a_keyword_only_parameter():
    """Checklist 9: With `(*args, x)` a positional goes to args and the previous value to x."""
    goodies = bag_of(lambda *args, x: x, 5, previous={"x": 1})

    assert goodies.split_for_signature() == ([5], {"x": 1})
    assert goodies.get_bag() == {"args": (5,), "x": 1}


def test_positional_that_nothing_takes():
    """Checklist 9: With `(**kw)` a positional is a TypeError."""
    with pytest.raises(TypeError):
        bag_of(lambda **kw: kw, 5, previous={"x": 1})


@pytest.mark.parametrize("function", SHAPES)
def test_kwarg_overwrites_the_previous_value(function):
    """Checklist 9: An explicit keyword argument wins over the previous value of its name."""
    goodies = bag_of(function, previous={"x": 1}, x=5)

    assert received(goodies)["x"] == 5
    assert goodies.get_bag() == {"x": 5}


@pytest.mark.parametrize("function", POSITIONAL_SHAPES)
def test_positional_self_reference(function):
    """Checklist 9: The positional '@x' for x takes the previous x."""
    goodies = bag_of(function, "@x", previous={"x": 1})

    assert goodies.split_for_signature() == ([1], {})
    assert goodies.get_bag() == {"x": 1}


@pytest.mark.parametrize("function", SHAPES)
def test_keyword_self_reference(function):
    """Checklist 9: The keyword argument x='@x' takes the previous x."""
    goodies = bag_of(function, previous={"x": 1}, x="@x")

    assert received(goodies)["x"] == 1
    assert goodies.get_bag() == {"x": 1}


@pytest.mark.parametrize("function", POSITIONAL_SHAPES)
def test_positional_reference(function):
    """Checklist 9: A positional reference to another name takes that entry's value."""
    goodies = bag_of(function, "@y", previous={"y": 2})

    assert goodies.args == [2]
    assert goodies.get_bag() == {"x": 2, "y": 2}


@pytest.mark.parametrize("function", SHAPES)
def test_keyword_reference(function):
    """Checklist 9: A keyword reference to another name takes that entry's value."""
    goodies = bag_of(function, previous={"y": 2}, x="@y")

    assert received(goodies)["x"] == 2
    assert goodies.get_bag() == {"x": 2, "y": 2}


@pytest.mark.parametrize("function", POSITIONAL_SHAPES)
def test_plain_first_positional(function):
    """Checklist 9: A first positional that is no dict is an argument even after a previous task."""
    goodies = BagOfGoodies(signature(function), (5,), {}, has_returns_from_previous_task=True)

    assert goodies.split_for_signature() == ([5], {})
    assert goodies.get_bag() == {"x": 5}


@pytest.mark.parametrize("function", SHAPES)
def test_extra_kwargs_after_a_previous_task(function):
    """Checklist 9: Extra keyword arguments travel beside the previous bag."""
    goodies = bag_of(function, previous={"x": 1}, n=3)

    assert ("n" in received(goodies)) == goodies.varkeyword
    assert goodies.get_bag() == {"x": 1, "n": 3}


@pytest.mark.parametrize("function", SHAPES)
def test_update_after_a_previous_task(function):
    """Checklist 9: An update reaches the function and the bag for every shape of signature."""
    goodies = bag_of(function, previous={"x": 1})
    goodies.update({"x": 2})

    assert received(goodies)["x"] == 2
    assert goodies.get_bag() == {"x": 2}


@pytest.mark.parametrize("default", [None, "d", "@nope"])
def test_update_masks_a_default(default):
    """Checklist 10: Updating a parameter that its default would fill passes the new value as keyword argument."""
    goodies = bag_of(lambda a, p=default: a, "v")
    goodies.update({"p": "P"})

    assert goodies.split_for_signature() == (["v"], {"p": "P"})


def test_args_is_a_list_even_when_empty():
    """§3.1: The positional part of a call is always a list."""
    goodies = bag_of(lambda x=1: x)

    assert (type(goodies.args), goodies.args) == (list, [])


@pytest.mark.parametrize(("function", "varkeyword"), [(lambda x: x, False), (lambda **kw: kw, True)])
def test_attributes(function, varkeyword):
    """§3.1: A bag shows its signature, and whether that takes any keyword."""
    goodies = bag_of(function, x=1)

    assert (goodies.sig, goodies.varkeyword, goodies.return_args) == (signature(function), varkeyword, {"x": 1})
    assert BagOfGoodies.INDIRECT_ARG_CHAR == "@"


def test_previous_return_keys_are_not_inherited():
    """§3.1: The previous task's return keys mark its results, not ours."""
    goodies = bag_of(lambda x: x, previous={"x": 1, RK: ("x",)})

    assert goodies.get_bag() == {"x": 1}


@pytest.mark.parametrize(("reference", "value"), [("@y", 2), ("@@y", 2), ("@@@y", 2), ("@", "@"), ("y@", "y@")])
def test_spelling_of_references(reference, value):
    """§3.3: All leading '@' are the mark; a name must follow it."""
    assert received(bag_of(lambda x: x, x=reference, y=2)) == {"x": value}


def test_string_subclass_is_a_reference():
    """§3.3: A str subclass that starts with '@' is a reference as any string is."""

    class Text(str):
        """A string with a class of its own."""

        __slots__ = ()

    assert received(bag_of(lambda x: x, x=Text("@y"), y=2)) == {"x": 2}


def test_cycle_stays_unresolved():
    """§3.3: References that lead back to themselves stay the strings they are."""
    goodies = bag_of(lambda x, y: x, x="@y", y="@x")

    assert received(goodies) == {"x": "@y", "y": "@x"}


def test_update_breaks_a_cycle():
    """§3.3: Once one entry of a cycle gets a value the others resolve to it."""
    goodies = bag_of(lambda x, y: x, x="@y", y="@x")
    goodies.update({"y": 5})

    assert received(goodies) == {"x": 5, "y": 5}


def test_reference_through_an_entry_that_only_travels():
    """§3.3: A reference follows bag-only references to the value, and leaves them as they are."""
    goodies = bag_of(lambda x: x, x="@a", a="@b", b=5)

    assert received(goodies) == {"x": 5}
    assert goodies.get_bag() == {"x": 5, "a": "@b", "b": 5}


def test_default_without_a_truth_value():
    """§3.7: A default that refuses to be true or false, as an array does, is left alone."""

    class Array:
        def __bool__(self):
            raise ValueError("ambiguous")

    array = Array()

    assert received(bag_of(lambda x, y=array: x, 1)) == {"x": 1, "y": array}


@pytest.mark.parametrize("args", [(), (1,)])
def test_rest_by_name_when_nothing_was_bound_to_it(args):
    """§3.7: Values for an unbound `*rest` become positionals, behind those the function takes before them."""
    goodies = bag_of(lambda x=0, *rest: x, *args)
    goodies.update({"x": 1, "rest": [9, 8]})

    assert received(goodies) == {"x": 1, "rest": (9, 8)}
