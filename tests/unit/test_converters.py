"""Converters: registration, order, and what they do to the arguments."""

from uuid import uuid4

import pytest

from firexkit.argument_conversion import (
    ArgumentConversionException,
    CircularDependencyException,
    ConverterRegister,
    ConverterRegistrationException,
    MissingConverterDependencyError,
    NameDuplicationException,
    SingleArgDecorator,
)
from firexkit.task import FireXTask
from unit.support import RK, add_task, new_app


def converter(name, changes=None):
    """A converter of that name which returns the changes."""

    def convert(values):
        return changes

    convert.__name__ = name
    return convert


def register_of(*steps):
    """A register with one converter for each (name, *arguments of register)."""
    register = ConverterRegister()
    for name, *arguments in steps:
        if arguments:
            register.register(*arguments)(converter(name))
        else:
            register.register(converter(name))
    return register


def single(function, *names):
    """A register whose only converter applies the function to each of the names."""
    register = ConverterRegister()
    register.register(SingleArgDecorator(*names)(function))
    return register


def failing(*values):
    """A function that fails whatever it gets."""
    raise ValueError("too loud")


def test_without_parentheses():
    """Checklist 11: `@register.register` registers the function below it and leaves it a function."""
    register = ConverterRegister()

    @register.register
    def shout(values):
        return {"a": values["a"].upper()}

    assert register.convert(a="x") == {"a": "X"}
    assert shout({"a": "y"}) == {"a": "Y"}


def test_with_parentheses():
    """Checklist 11: `@register.register(True)` registers the function below it and leaves it a function."""
    register = ConverterRegister()

    @register.register(True)
    def shout(values):
        return {"a": values["a"].upper()}

    assert register.convert(a="x") == {"a": "X"}
    assert shout({"a": "y"}) == {"a": "Y"}


@pytest.mark.parametrize(
    ("steps", "before", "after"),
    [
        ([("a",), ("b",), ("c",)], ["a", "b", "c"], []),
        ([("a",), ("b", "a")], ["a", "b"], []),
        ([("b", "a"), ("a",)], ["a", "b"], []),
        ([("c", "b", "a"), ("a",), ("b",)], ["b", "a", "c"], []),
        ([("c", "b"), ("b", "a"), ("a",), ("d",)], ["a", "b", "c", "d"], []),
        ([("d", "b", "c"), ("c", "a"), ("b", "a"), ("a",)], ["a", "b", "c", "d"], []),
        ([("b", "a", True), ("a", True)], ["a", "b"], []),
        ([("b", True, "a"), ("a", True)], ["a", "b"], []),
        ([("c", "a", True, "b"), ("b",), ("a",)], ["a", "b", "c"], []),
        ([("p", False), ("a",)], ["a"], ["p"]),
        ([("q", "p", False), ("p", False)], [], ["p", "q"]),
        ([("q", False, "p"), ("p", False)], [], ["p", "q"]),
        ([("p", "a", False), ("a",)], ["a"], ["p"]),
        ([("p", False, "a"), ("q", False), ("a",)], ["a"], ["p", "q"]),
        ([("same",), ("same", False)], ["same"], ["same"]),
    ],
)
def test_visit_order(steps, before, after):
    """Checklist 11: Converters run in the order of registration, each behind what it depends on."""
    register = register_of(*steps)

    assert register.get_visit_order() == before
    assert register.get_visit_order(pre_task=False) == after


def test_visit_order_is_recomputed():
    """Checklist 11: The order takes in what was registered since it was last asked for."""
    register = register_of(("b", "a"), ("a",))
    register.get_visit_order()
    register.register(converter("c"))

    assert register.get_visit_order() == ["a", "b", "c"]
    assert register.visit_order == ["a", "b", "c"]


def test_dependencies_run_first():
    """Checklist 11: A converter sees what its dependencies changed, though they were registered later."""
    register = ConverterRegister()

    @register.register("add")
    def double(values):
        return {"a": values["a"] * 2}

    @register.register
    def add(values):
        return {"a": values["a"] + 1}

    assert register.convert(a=1) == {"a": 4}


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([("a", "nope")], MissingConverterDependencyError),
        ([("a",), ("b", "a", "nope")], MissingConverterDependencyError),
        ([("a", "p"), ("p", False)], MissingConverterDependencyError),
        ([("a", "a")], CircularDependencyException),
        ([("a", "b"), ("b", "a")], CircularDependencyException),
        ([("a", "b"), ("b", "c"), ("c", "a")], CircularDependencyException),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], CircularDependencyException),
    ],
)
def test_impossible_orders(steps, error):
    """Checklist 11: Missing and circular dependencies are told when the order is needed, not at registration."""
    register = register_of(*steps)

    with pytest.raises(error):
        register.get_visit_order()
    with pytest.raises(error):
        register.convert(x=1)


@pytest.mark.parametrize("steps", [[("p", "nope", False)], [("p", "q", False), ("q", "p", False)]])
def test_impossible_orders_after_the_task(steps):
    """Checklist 11: Dependencies between converters after the task are checked as well."""
    with pytest.raises(ConverterRegistrationException):
        register_of(*steps).convert(pre_task=False, x=1)


def test_references_are_hidden_from_converters_and_kept():
    """Checklist 12: A converter never sees an indirect reference; the result has it unchanged."""
    seen = {}
    register = ConverterRegister()
    register.register(seen.update)

    assert register.convert(a="@b", b=1) == {"a": "@b", "b": 1}
    assert seen == {"b": 1}


def test_converter_may_replace_a_hidden_reference():
    """Checklist 12: A value that a converter sets under a hidden name takes the reference's place."""
    register = ConverterRegister()
    register.register(converter("set_a", {"a": 5}))

    assert register.convert(a="@b") == {"a": 5}


@pytest.mark.parametrize("value", ["b@", ["@b"], b"@b", None])
def test_what_is_no_reference_is_shown(value):
    """Checklist 12: Only a whole string that starts with '@' is hidden; anything inside a container is shown."""
    seen = {}
    register = ConverterRegister()
    register.register(seen.update)
    register.convert(a=value)

    assert seen == {"a": value}


def test_single_arg_skips_references():
    """Checklist 12: The function is not called for a reference, which stays as it is."""
    assert single(str.upper, "a", "b").convert(a="@x", b="y") == {"a": "@x", "b": "Y"}
    assert SingleArgDecorator("a")(failing)({"a": "@x"}) in (None, {}, {"a": "@x"})


@pytest.mark.parametrize("arguments", [(), ({},), (None,), (1.5,), ("dependency", {}), (converter("fine"), [])])
def test_arguments_that_register_refuses(arguments):
    """Checklist 13: No argument at all, or one of a type that means nothing, is told at registration."""
    with pytest.raises(ConverterRegistrationException):
        ConverterRegister().register(*arguments)


def test_the_offending_type_is_named():
    """Checklist 13: The error says which type it cannot use."""
    with pytest.raises(ConverterRegistrationException, match="dict"):
        ConverterRegister().register({})


@pytest.mark.parametrize("arguments", [("dependency",), (True,), (False, "dependency")])
def test_decorating_nothing(arguments):
    """Checklist 13: The decorator form refuses what is not callable."""
    with pytest.raises(ConverterRegistrationException):
        ConverterRegister().register(*arguments)(None)


@pytest.mark.parametrize("phase", [True, False])
def test_a_name_is_unique_in_its_phase(phase):
    """Checklist 13: A second converter of the same name in the same phase is refused."""
    register = register_of(("same", phase))

    with pytest.raises(NameDuplicationException):
        register.register(converter("same"), phase)


def test_check_not_registered():
    """Checklist 13: The check for duplicates takes a plain name and any table."""
    ConverterRegister._check_not_registered("new", {"old": ()})

    with pytest.raises(NameDuplicationException):
        ConverterRegister._check_not_registered("old", {"old": ()})


def test_callable_with_phase():
    """Checklist 13: `register(function, bool)` registers at once for that phase and gives the function back."""
    register, after = ConverterRegister(), converter("after", {"b": 1})

    assert register.register(after, False) is after
    assert register.convert(pre_task=False) == {"b": 1}
    assert register.convert(a=1) == {"a": 1}


@pytest.mark.parametrize("phase", [True, False])
def test_failing_converter(phase):
    """Checklist 13: What a converter raises comes out with the converter's name, the text and the cause."""
    register = ConverterRegister()
    register.register(failing, phase)

    with pytest.raises(ArgumentConversionException, match=r"(?s)failing.*too loud") as caught:
        register.convert(pre_task=phase, a=1)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("names", [(), (1,), ("a", None), (b"a",), (failing,), (type("Name", (str,), {})("a"),)])
def test_names_that_single_arg_refuses(names):
    """Checklist 13: At least one name, each exactly a string."""
    with pytest.raises(ConverterRegistrationException):
        SingleArgDecorator(*names)


def test_failing_single_arg():
    """Checklist 13: The error of a single-argument converter reads '<name>: <text>' and hides its cause."""
    with pytest.raises(ArgumentConversionException, match=r"^loudness: too loud$") as caught:
        SingleArgDecorator("loudness")(failing)({"loudness": 11})

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_failing_single_arg_in_a_register():
    """Checklist 13: The text of a single-argument failure survives on its way out of the register."""
    with pytest.raises(ArgumentConversionException, match="loudness: too loud"):
        single(failing, "loudness").convert(loudness=11)


def test_single_arg_over_several_names():
    """Checklist 14: Each named argument that is there is converted; an absent one is not added."""
    assert single(str.upper, "a", "b", "absent").convert(a="x", b="y", c="z") == {"a": "X", "b": "Y", "c": "z"}


def test_single_arg_keeps_none():
    """Checklist 14: None is a value like any other, given or returned."""
    assert single(lambda value: None, "a").convert(a="x") == {"a": None}
    assert single(str, "a").convert(a=None) == {"a": "None"}


def test_single_arg_append():
    """Checklist 14: Names appended to the converter later are converted too."""
    upper = SingleArgDecorator("a")(lambda value: value.upper())
    register = ConverterRegister()
    register.register(upper)
    upper.append("b", "c")

    assert register.convert(a="x", b="y", c="z") == {"a": "X", "b": "Y", "c": "Z"}


def test_single_arg_names_are_read_at_call_time():
    """Checklist 14: The decorator object's list of names may be edited at any time."""
    upper = SingleArgDecorator("a")(lambda value: value.upper())
    upper.single_arg_decorator.args.clear()
    upper.single_arg_decorator.args.append("b")
    register = ConverterRegister()
    register.register(upper)

    assert register.convert(a="x", b="y") == {"a": "x", "b": "Y"}


def test_single_arg_append_may_be_replaced():
    """Checklist 14: The converter's append is an attribute that its owner may replace."""
    upper = SingleArgDecorator("a")(str.upper)
    upper.append = print

    assert upper.append is print


def test_single_arg_keeps_the_name():
    """Checklist 14: The converter is registered under the name of the function."""

    @SingleArgDecorator("a")
    def loud(value):
        return value.upper()

    register = ConverterRegister()
    register.register(loud)

    assert (loud.__name__, register.get_visit_order()) == ("loud", ["loud"])


def test_values_without_a_plain_comparison():
    """§2.3: A value whose comparison is no bool, as an array's is, converts like any other."""

    class Array:
        def __eq__(self, other):
            raise ValueError("ambiguous")

        __hash__ = None

    array = Array()

    assert single(lambda value: array, "a").convert(a=Array())["a"] is array


@pytest.mark.parametrize("returned", [None, {}])
def test_mutation_in_place(returned):
    """§2.2: Editing the dict in place is seen by later converters, even when nothing is returned."""
    register = ConverterRegister()

    @register.register
    def edit(values):
        values["a"] += 1
        return returned

    @register.register
    def copy(values):
        return {"b": values["a"]}

    assert register.convert(a=1) == {"a": 2, "b": 2}


def test_every_converter_gets_the_same_dict():
    """§2.2: The working dict is one real dict, the same object for each converter."""
    seen = []
    register = ConverterRegister()

    @register.register
    def change(values):
        seen.append(values)
        return {"a": 2}

    register.register(seen.append)
    register.convert(a=1)

    assert seen[0] is seen[1]
    assert type(seen[0]) is dict


def test_assigning_while_iterating():
    """§2.2: A converter may assign to existing keys while it walks over them."""
    register = ConverterRegister()

    @register.register
    def double(values):
        for key, value in values.items():
            values[key] = value * 2

    assert register.convert(a=1, b="x") == {"a": 2, "b": "xx"}


def test_deleting_changes_nothing():
    """§2.2: A key deleted from the working dict is in the result as it was given."""
    register = ConverterRegister()

    @register.register
    def delete(values):
        del values["a"]

    assert register.convert(a=1, b=2) == {"a": 1, "b": 2}


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_is_about_logging(verbose):
    """§2.2: The result does not depend on `verbose`, which never is one of the arguments."""
    register = ConverterRegister()
    register.register(converter("add", {"b": 2}))

    assert register.convert(True, verbose, a=1) == {"a": 1, "b": 2}


def test_convert_leaves_its_arguments_alone():
    """§2.2: Converting returns a new dict; the caller's stays as it was."""
    given = {"a": 1}
    register = ConverterRegister()
    register.register(converter("change", {"a": 2, "b": 3}))
    register.convert(**given)

    assert given == {"a": 1}


def test_class_as_converter():
    """§2.2: A class is callable, so it is taken as the converter."""
    register = ConverterRegister()

    class Plus(dict):
        def __init__(self, values):
            super().__init__(b=values["a"])

    assert register.register(Plus) is Plus
    assert register.convert(a=1) == {"a": 1, "b": 1}


def test_last_of_several_callables_wins():
    """§2.2: When several callables are given the last one is the converter."""
    register = ConverterRegister()
    register.register(converter("first"), converter("last"))

    assert register.get_visit_order() == ["last"]


def test_register_for_a_task():
    """§2.2: What is registered for a task runs for its short name, wherever that is defined."""
    task = add_task(new_app(), lambda: None, "for_a_task")
    ConverterRegister.register_for_task(task)(converter("before", {"b": 1}))
    ConverterRegister.register_for_task(task, False)(converter("after", {"c": 2}))

    assert ConverterRegister.task_convert("there.for_a_task", a=0) == {"a": 0, "b": 1}
    assert ConverterRegister.task_convert("for_a_task", pre_task=False, a=0) == {"a": 0, "c": 2}


def test_register_for_a_class():
    """§2.2: A class with a string `name` does for a task."""

    class Task:
        name = "m.for_a_class"

    ConverterRegister.register_for_task(Task, True, "second")(converter("first"))
    ConverterRegister.register_for_task(Task, True, converter("second"))

    assert ConverterRegister.list_converters("m.for_a_class") == ["second", "first"]


def test_register_for_a_task_at_once():
    """§2.2: A callable given where the phase stands is registered at once, for before the task."""

    class Task:
        name = "m.at_once"

    before = converter("before")

    assert ConverterRegister.register_for_task(Task, before) is before
    assert ConverterRegister.list_converters("at_once") == ["before"]


def test_task_without_converters():
    """§2.2: A task that nobody registered for has no register, no converters, and unchanged arguments."""
    assert ConverterRegister.get_register("m.nobody") is None
    assert ConverterRegister.list_converters("m.nobody") == []
    assert ConverterRegister.task_convert("m.nobody", a="@b") == {"a": "@b"}


def test_register_by_long_and_short_name():
    """§2.2: Long and short names lead to the same register."""

    class Task:
        name = "m.n.by_name"

    ConverterRegister.register_for_task(Task, False)(converter("after"))

    assert ConverterRegister.get_register("m.n.by_name") is ConverterRegister.get_register("by_name")
    assert ConverterRegister.list_converters("by_name", pre_task=False) == ["after"]


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (ArgumentConversionException, Exception),
        (ConverterRegistrationException, Exception),
        (MissingConverterDependencyError, ConverterRegistrationException),
        (CircularDependencyException, ConverterRegistrationException),
        (NameDuplicationException, ConverterRegistrationException),
    ],
)
def test_errors(error, base):
    """§2.4: The five errors stand where the reference puts them."""
    assert error.__bases__ == (base,)


def worked_task(seen):
    """The task of §8.3, with converters that note what they see."""

    class Noting(FireXTask):
        def post_task_run(self, results, extra_events=None):
            seen["results"] = dict(results)

    @new_app().task(name=f"m.{uuid4()}", shared=False, base=Noting, returns="r")
    def conv(a, b=2):
        seen["run"] = {"a": a, "b": b}
        return b

    @ConverterRegister.register_for_task(conv)
    def before(values):
        seen["before"] = dict(values)
        del values["gone"]
        return {"a": values["a"] * 2, "extra": "E", "b": 20}

    @ConverterRegister.register_for_task(conv, False)
    def after(values):
        seen["after"] = dict(values)
        return {"r": "converted", "newkey": "N"}

    return conv


def test_worked_conversion():
    """§8.3: Converters see supplied values without references, change call and bag, and post-convert results."""
    seen = {}
    bag = worked_task(seen)(1, gone="x", ind="@a", ind2="@zzz")
    shown = {"a": 2, "gone": "x", "extra": "E", "b": 20}
    references = {"ind": "@a", "ind2": "@zzz"}

    assert bag == {**shown, **references, "r": "converted", "newkey": "N", RK: ("r",)}
    assert seen["before"] == {"a": 1, "gone": "x"}
    assert seen["run"] == {"a": 2, "b": 20}
    assert seen["after"] == {**shown, "r": 20, RK: ("r",)}
    assert seen["results"].items() >= {"r": "converted"}.items()
    assert set(seen["results"]) <= {"r", RK}
