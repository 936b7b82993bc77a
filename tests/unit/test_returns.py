"""Declared returns: from names and a returned value to a dict of results."""

from collections import namedtuple
from functools import wraps
from inspect import signature
from typing import NamedTuple

import pytest
from celery import Task

from firexkit.chain import returns
from firexkit.task import (
    DyanmicReturnsNotADict,
    FireXTask,
    ReturnsCodingException,
    get_attr_unwrapped,
    parse_signature,
    undecorate,
    undecorate_func,
)
from unit.support import RK, add_task, new_app

DYNAMIC = FireXTask.DYNAMIC_RETURN
Pair = namedtuple("Pair", ["left", "right"])


class Point(NamedTuple):
    """A named tuple with annotations."""

    x: int
    y: int


def declared(function, **options):
    """The function as a task of an app of its own."""
    return add_task(new_app(), function, **options)


def passing_through(function):
    """A decorator that changes nothing and keeps the function's identity."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def doubling():
    """A new function each time, as `@returns` leaves a note on the function it is given."""

    def double(x):
        return 2 * x

    return double


SPELLINGS = [
    pytest.param(returns("y")(doubling()), {}, id="decorator"),
    pytest.param(doubling(), {"returns": "y"}, id="option"),
    pytest.param(returns(DYNAMIC)(lambda x: {"y": 2 * x}), {}, id="dynamic decorator"),
    pytest.param(lambda x: {"y": 2 * x}, {"returns": DYNAMIC}, id="dynamic option"),
    pytest.param(returns(DYNAMIC)(lambda x: ({"y": 2 * x},)), {}, id="dynamic in a 1-tuple"),
]


@pytest.mark.parametrize(("function", "options"), SPELLINGS)
def test_spellings(function, options):
    """Checklist 15: Each spelling of the returns gives a plain dict of argument, result and return keys."""
    result = declared(function, **options)(3)

    assert type(result) is dict
    assert result == {"x": 3, "y": 6, RK: ("y",)}


@pytest.mark.parametrize("option", ["y", ["y"], ("y",), {"y"}])
def test_option_spellings(option):
    """Checklist 15: The option takes one name, or a list, tuple or set of names."""
    task = declared(doubling(), returns=option)

    assert task.return_keys == ("y",)
    assert task(3) == {"x": 3, "y": 6, RK: ("y",)}


@pytest.mark.parametrize(
    ("keys", "returned", "results"),
    [
        (("a", DYNAMIC), (1, {"b": 2}), {"a": 1, "b": 2, RK: ("a", "b")}),
        ((DYNAMIC, "a"), ({"b": 2}, 1), {"b": 2, "a": 1, RK: ("b", "a")}),
        ((DYNAMIC, DYNAMIC), ({"a": 1}, {"b": 2}), {"a": 1, "b": 2, RK: ("a", "b")}),
        ((DYNAMIC, DYNAMIC), ({"a": 1}, {"a": 2}), {"a": 2, RK: ("a",)}),
        (("a", DYNAMIC), (1, {"a": 2}), {"a": 2, RK: ("a",)}),
        ((DYNAMIC, "a"), ({"a": 2}, 1), {"a": 1, RK: ("a",)}),
        (("a", DYNAMIC, "b"), (1, {"b": 2, "c": 3}, 4), {"a": 1, "b": 4, "c": 3, RK: ("a", "b", "c")}),
        (("a", DYNAMIC), (1, None), {"a": 1, RK: ("a",)}),
        ((DYNAMIC, DYNAMIC), (None, {"a": 1}), {"a": 1, RK: ("a",)}),
    ],
)
def test_dynamic_among_explicit(keys, returned, results):
    """Checklist 16: Values are paired in order, dicts merged where they stand, and later positions win."""
    assert FireXTask.convert_returns_to_dict(keys, returned) == results


@pytest.mark.parametrize("falsy", [None, {}, [], "", set(), 0, False])
def test_falsy_dynamic(falsy):
    """Checklist 16: A falsy dynamic value contributes nothing, so there are no return keys either."""
    assert FireXTask.convert_returns_to_dict((DYNAMIC,), falsy) == {}
    assert declared(lambda x: falsy, returns=DYNAMIC)(1) == {"x": 1}


@pytest.mark.parametrize("falsy", [(), {}, None])
def test_falsy_dynamic_in_a_tuple(falsy):
    """Checklist 16: A falsy dynamic value in a 1-tuple contributes nothing either."""
    assert FireXTask.convert_returns_to_dict((DYNAMIC,), (falsy,)) == {}


@pytest.mark.parametrize("value", [{1}, [1], "text", 5, [("a", 1)], ((1, 2),), Pair(1, 2)])
def test_bad_dynamic(value):
    """Checklist 16: A dynamic value that is neither falsy nor a dict is an error."""
    with pytest.raises(DyanmicReturnsNotADict):
        FireXTask.convert_returns_to_dict((DYNAMIC,), value)
    with pytest.raises(DyanmicReturnsNotADict):
        declared(lambda x: value, returns=DYNAMIC)(1)


def test_bad_dynamic_beside_an_explicit_key():
    """Checklist 16: A bad dynamic value is an error wherever it stands."""
    with pytest.raises(DyanmicReturnsNotADict):
        FireXTask.convert_returns_to_dict(("a", DYNAMIC), (1, [2]))


@pytest.mark.parametrize(
    ("value", "dynamic"),
    [(DYNAMIC, True), (DYNAMIC + "more", True), ("a", False), ("a" + DYNAMIC, False), (None, False), (5, False)],
)
def test_is_dynamic_return(value, dynamic):
    """§5.5: A string that starts with the marker is dynamic."""
    assert FireXTask.is_dynamic_return(value) is dynamic


def test_only_the_exact_marker_is_expanded():
    """§5.5: A longer key that starts with the marker is an ordinary key."""
    key = DYNAMIC + "more"

    assert FireXTask.convert_returns_to_dict((key,), {"a": 1}) == {key: {"a": 1}, RK: (key,)}


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a", "b", "a"), (DYNAMIC, DYNAMIC)])
def test_names_that_the_decorator_refuses(names):
    """Checklist 17: `@returns` needs names, and each only once."""
    with pytest.raises(ReturnsCodingException):
        returns(*names)(doubling())


def test_decorator_above_the_task():
    """Checklist 17: `@returns` belongs below `@app.task`."""
    with pytest.raises(ReturnsCodingException):
        returns("y")(declared(doubling()))


@pytest.mark.parametrize("option", ["y", "z", ["y"]])
def test_decorator_and_option(option):
    """Checklist 17: Names are declared in one place; the task tells when it is first looked at."""
    task = declared(returns("y")(doubling()), returns=option)

    with pytest.raises(ReturnsCodingException):
        task.return_keys  # noqa: B018 - the access is what fails


def test_option_with_duplicates():
    """Checklist 17: An explicit name may stand only once in the option."""
    task = declared(doubling(), returns=["y", "y"])

    with pytest.raises(ReturnsCodingException):
        task.return_keys  # noqa: B018 - the access is what fails


def test_option_with_two_dynamics():
    """Checklist 17: The dynamic marker may repeat in the option."""
    task = declared(lambda x: ({"a": x}, {"b": x}), returns=(DYNAMIC, DYNAMIC))

    assert task(1) == {"x": 1, "a": 1, "b": 1, RK: ("a", "b")}


@pytest.mark.parametrize(
    ("keys", "returned"),
    [
        (("a",), (1, 2)),
        (("a",), ()),
        (("a", "b"), None),
        (("a", "b"), 1),
        (("a", "b"), (1,)),
        (("a", "b"), [1, 2]),
        (("a", "b"), (1, 2, 3)),
        (("a", "b"), Pair(1, 2)),
        (("a", DYNAMIC), {"a": 1}),
        ((DYNAMIC,), ({}, {})),
    ],
)
def test_number_of_values(keys, returned):
    """Checklist 17: There must be as many values as keys."""
    with pytest.raises(ReturnsCodingException):
        FireXTask.convert_returns_to_dict(keys, returned)
    with pytest.raises(ReturnsCodingException):
        declared(returns(*keys)(lambda x: returned))(1)
    with pytest.raises(ReturnsCodingException):
        declared(lambda x: returned, returns=keys)(1)


def test_errors_name_the_task_and_its_keys():
    """§5.5: The error of a wrong number of values tells which task declares which keys."""
    task = declared(doubling(), name="double_twice", returns=["first", "second"])

    with pytest.raises(ReturnsCodingException, match=r"double_twice.*first.*second"):
        task(1)


@pytest.mark.parametrize(
    ("keys", "returned", "results"),
    [
        (("a",), 1, {"a": 1, RK: ("a",)}),
        (("a",), None, {"a": None, RK: ("a",)}),
        (("a",), (1,), {"a": 1, RK: ("a",)}),
        (("a",), [1, 2], {"a": [1, 2], RK: ("a",)}),
        (("a",), {"b": 1}, {"a": {"b": 1}, RK: ("a",)}),
        (("a", "b"), (1, 2), {"a": 1, "b": 2, RK: ("a", "b")}),
    ],
)
def test_values_for_keys(keys, returned, results):
    """§5.5: A plain tuple is the list of values; anything else is one value."""
    assert FireXTask.convert_returns_to_dict(keys, returned) == results


def test_conversion_leaves_the_returned_dict_alone():
    """§5.5: The dict that a function returned is not edited."""
    returned = {"a": 1}
    FireXTask.convert_returns_to_dict((DYNAMIC, "b"), (returned, 2))

    assert returned == {"a": 1}


@pytest.mark.parametrize(
    ("decorate", "options"),
    [(returns("y"), {}), (lambda function: function, {"returns": "y"})],
    ids=["decorator", "option"],
)
def test_bound_task(decorate, options):
    """Checklist 18: A bound task gets itself first, and its returns work as any other's."""

    def named(self, x):
        return f"{self.name} {x}"

    task = declared(decorate(named), bind=True, name="named", **options)

    assert task(3) == {"x": 3, "y": "m.named 3", RK: ("y",)}


@pytest.mark.parametrize(
    "function",
    [
        passing_through(returns("y")(doubling())),
        returns("y")(passing_through(doubling())),
        passing_through(returns("y")(passing_through(doubling()))),
    ],
    ids=["above", "below", "both"],
)
def test_other_decorators_between(function):
    """Checklist 19: Decorators that use functools.wraps may stand on either side of `@returns`."""
    task = declared(function)

    assert task.return_keys == ("y",)
    assert task(3) == {"x": 3, "y": 6, RK: ("y",)}


@pytest.mark.parametrize("value", [Pair(1, 2), Point(1, 2), Pair(1, 2)._replace(left=3)])
@pytest.mark.parametrize("option", [False, True])
def test_named_tuple_is_one_value(value, option):
    """Checklist 20: A named tuple is a value, not a list of values, and keeps its class."""
    task = declared(lambda: value, returns="y") if option else declared(returns("y")(lambda: value))

    assert task() == {"y": value, RK: ("y",)}
    assert type(task()["y"]) is type(value)


def test_named_tuples_in_a_plain_tuple():
    """Checklist 20: Named tuples in a plain tuple are its values."""
    task = declared(lambda: (Pair(1, 2), Point(3, 4)), returns=("a", "b"))

    assert task() == {"a": Pair(1, 2), "b": Point(3, 4), RK: ("a", "b")}


def test_task_without_returns():
    """§5.4: A dict from a task without return names flows on, without return keys; any other value does not."""
    assert declared(lambda x=0: {"q": 1}, name="dict")() == {"q": 1}
    assert declared(lambda x=0: 42, name="number")() == {}
    assert declared(lambda: None, name="keys").return_keys == ()


def test_returns_of_a_plain_celery_task():
    """§4.1: `@returns` makes the result of a plain Celery task a dict with return keys."""
    task = declared(returns("y")(doubling()), base=Task)

    assert task(3) == {"y": 6, RK: ("y",)}


def test_decorator_records_the_names():
    """§4.1: The names are recorded on the innermost function."""

    def function(x):
        return x, x

    decorated = passing_through(returns("a", "b")(passing_through(function)))

    assert function._decorated_return_keys == ("a", "b")
    assert get_attr_unwrapped(decorated, "_decorated_return_keys") == ("a", "b")


def test_misspelt_error():
    """§1.2: The documented misspelling is the name, and catching TypeError catches it as well."""
    assert DyanmicReturnsNotADict.__name__ == "DyanmicReturnsNotADict"
    assert issubclass(DyanmicReturnsNotADict, TypeError)


@pytest.mark.parametrize(
    ("function", "required", "optional"),
    [
        (lambda: None, set(), {}),
        (lambda a, b: None, {"a", "b"}, {}),
        (lambda a, b=2, *, c, d=None: None, {"a", "c"}, {"b": 2, "d": None}),
        (lambda a, *rest, **kw: None, {"a"}, {}),
    ],
)
def test_parse_signature(function, required, optional):
    """§5.18: A signature is the set of required names and the dict of optional ones, stars left out."""
    assert parse_signature(signature(function)) == (required, optional)


def test_get_attr_unwrapped():
    """§5.18: An attribute is found on the function or on anything it wraps, the outermost first."""

    def function():
        """Take part as the innermost function."""

    function.inner, function.both = "inner", "inner"
    outer = passing_through(passing_through(function))
    outer.both = "outer"

    assert [get_attr_unwrapped(outer, name) for name in ("inner", "both")] == ["inner", "outer"]


def test_get_attr_unwrapped_of_an_absent_attribute():
    """§5.18: An absent attribute is the default, None included, and an AttributeError without one."""
    assert get_attr_unwrapped(passing_through(doubling()), "nope", None) is None
    assert get_attr_unwrapped(passing_through(doubling()), "nope", 5) == 5
    with pytest.raises(AttributeError):
        get_attr_unwrapped(passing_through(doubling()), "nope")


def test_undecorate_func():
    """§5.18: The innermost function comes out from under all decorators that use functools.wraps."""
    double = doubling()

    assert undecorate_func(passing_through(returns("y")(passing_through(double)))) is double
    assert undecorate_func(double) is double


@pytest.mark.parametrize("options", [{}, {"returns": "y"}])
def test_undecorate(options):
    """§5.18: The plain function of a task returns the raw value."""
    function = doubling() if options else returns("y")(doubling())

    assert undecorate(declared(function, **options))(3) == 6


def test_undecorate_a_bound_task():
    """§5.18: The plain function of a bound task is bound to that task."""

    def named(self, x):
        return f"{self.name} {x}"

    assert undecorate(declared(returns("y")(named), bind=True, name="named"))(3) == "m.named 3"
