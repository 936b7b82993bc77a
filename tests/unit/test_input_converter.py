"""Converters of the command line: their two phases, and what they say when they fail."""

import pytest

from firexkit.argument_conversion import (
    ArgumentConversionException,
    ConverterRegistrationException,
    MissingConverterDependencyError,
    NameDuplicationException,
    SingleArgDecorator,
)
from firexkit.input_converter import InputConverter


@pytest.fixture(autouse=True)
def fresh():
    """A process that knows no converters, before the test and after it."""
    InputConverter.reset()
    yield
    InputConverter.reset()


def adding(name):
    """A converter of that name, which leaves its name behind."""

    def convert(values):
        return {name: True}

    convert.__name__ = name
    return convert


def test_before_loading():
    """A converter that is registered before any phase runs before the modules are loaded, and only then."""
    early = InputConverter.register(adding("early"))

    assert InputConverter.convert(pre_load=True, count="3") == {"count": "3", "early": True}
    assert InputConverter.convert(pre_load=False, count="3") == {"count": "3"}
    assert early({}) == {"early": True}


def test_after_loading():
    """A converter that is registered once the first phase has run, as by a task module, runs in the second."""
    InputConverter.convert(pre_load=True)
    InputConverter.register(adding("late"))

    assert InputConverter.convert(pre_load=False) == {"late": True}


def test_chosen_for_after_loading():
    """A converter registered early with False waits for the second phase."""
    InputConverter.register(adding("late"), False)

    assert InputConverter.convert(pre_load=True) == {}
    assert InputConverter.convert(pre_load=False) == {"late": True}


def test_too_late():
    """A converter cannot be registered for a phase that has run; nothing would ever call it."""
    InputConverter.convert(pre_load=True)

    with pytest.raises(ConverterRegistrationException, match=r"before task modules are loaded have run.*with False"):
        InputConverter.register(adding("early"), True)

    InputConverter.convert(pre_load=False)

    with pytest.raises(ConverterRegistrationException, match=r"after task modules are loaded have run"):
        InputConverter.register(adding("late"))


@pytest.mark.parametrize("phase", [True, False])
def test_each_phase_runs_once(phase):
    """Converting twice in one phase is a mistake of the caller's."""
    InputConverter.convert(pre_load=phase)

    with pytest.raises(ConverterRegistrationException, match="once"):
        InputConverter.convert(pre_load=phase)


def test_a_phase_that_failed_has_run():
    """A failing converter ends the phase; it is not tried again."""
    InputConverter.register(SingleArgDecorator("count")(int))

    with pytest.raises(ArgumentConversionException):
        InputConverter.convert(pre_load=True, count="abc")
    with pytest.raises(ConverterRegistrationException):
        InputConverter.convert(pre_load=True, count="3")


def test_decorators():
    """It decorates with and without parentheses, with a phase and names of converters that go first, in any order."""

    @InputConverter.register("second", True)
    def first(values):
        return {"order": [*values["order"], "first"]}

    @InputConverter.register
    def second(values):
        return {"order": [*values["order"], "second"]}

    assert InputConverter.convert(pre_load=True, order=[]) == {"order": ["second", "first"]}


def test_single_arguments():
    """A function for single arguments gets the raw text; what is not given is not asked for."""

    @InputConverter.register
    @SingleArgDecorator("count", "size")
    def doubled(text):
        return text * 2

    assert InputConverter.convert(pre_load=True, count="3") == {"count": "33"}


def test_message_of_a_single_argument():
    """A failing function for single arguments says argument and reason, and nothing else."""

    @InputConverter.register
    @SingleArgDecorator("release")
    def checked(release):
        raise ValueError("must begin with v")

    with pytest.raises(ArgumentConversionException) as caught:
        InputConverter.convert(pre_load=True, release="1.2")

    assert str(caught.value) == "release: must begin with v"


def test_message_of_a_converter():
    """A failing converter of all arguments is named, and its error is the cause."""

    @InputConverter.register
    def checked(values):
        raise ValueError("cannot both be given")

    with pytest.raises(ArgumentConversionException) as caught:
        InputConverter.convert(pre_load=True)

    assert str(caught.value) == "converter checked failed: cannot both be given"
    assert isinstance(caught.value.__cause__, ValueError)


def test_references_are_hidden():
    """A converter never sees a reference, which stays."""
    seen = {}
    InputConverter.register(seen.update)

    assert InputConverter.convert(pre_load=True, a="@b", c="d") == {"a": "@b", "c": "d"}
    assert seen == {"c": "d"}


def test_any_name():
    """Arguments in one dict may have any name, that of the phase included."""
    assert InputConverter.run({"pre_load": "x", "cls": "y"}, pre_load=True) == {"pre_load": "x", "cls": "y"}


@pytest.mark.parametrize("arguments", [(), (None,), (3,)])
def test_what_cannot_be_registered(arguments):
    """Nothing at all, or a value of another type, is refused, as it is for tasks."""
    with pytest.raises(ConverterRegistrationException):
        InputConverter.register(*arguments)


def test_same_name_and_missing_dependency():
    """Names are unique in a phase, and dependencies must be there when it runs."""
    InputConverter.register(adding("same"), "nowhere")

    with pytest.raises(NameDuplicationException):
        InputConverter.register(adding("same"))
    with pytest.raises(MissingConverterDependencyError):
        InputConverter.convert(pre_load=True)


def test_reset():
    """A reset forgets converters and phases."""
    InputConverter.register(adding("early"))
    InputConverter.convert(pre_load=True)
    InputConverter.reset()

    assert InputConverter.convert(pre_load=True) == {}
