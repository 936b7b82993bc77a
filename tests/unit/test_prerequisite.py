"""Tasks that must have run before another starts (5.17).

Converters are registered by the task's short name for the whole process, so every task here has a name of its own.
"""

import pytest
from kombu.utils.uuid import uuid

from firexkit.argument_conversion import ArgumentConversionException, ConverterRegister
from firexkit.task import task_prerequisite
from unit.task_support import RK, eager_app


@pytest.fixture
def ran():
    return []


@pytest.fixture
def app():
    return eager_app()


def preparing(app, ran, name):
    """A task that appends its name and what it was given."""
    return app.task(lambda **kw: ran.append((name, kw)), shared=False, name=f"m.{name}_{uuid()}")


def needing(app, ran, name, *decorators):
    """A task that appends its name, under the decorators; the first one is the lowest."""
    task = app.task(lambda **kw: ran.append((name, kw)), shared=False, name=f"m.{name}_{uuid()}")
    for decorate in decorators:
        task = decorate(task)
    return task


def test_a_trigger_must_be_callable(app, ran):
    """Checklist 32: what decides must be something that can be asked."""
    prep = preparing(app, ran, "prep_no_trigger")

    with pytest.raises(Exception, match=r"(?i)trigger"):
        needing(app, ran, "main_no_trigger", task_prerequisite(prep, trigger="text"))


def test_a_prerequisite_is_one_converter(app, ran):
    """Checklist 32: the task gets one pre converter, named after both."""
    prep = preparing(app, ran, "prep_one")
    task = needing(app, ran, "main_one", task_prerequisite(prep, key="ready"))
    (name,) = ConverterRegister.list_converters(task.name)

    assert "Needs" in name
    assert ConverterRegister.list_converters(task.name, pre_task=False) == []


@pytest.mark.parametrize(
    ("given", "runs"),
    [({"ready": True}, ["main_key"]), ({"ready": ""}, ["prep_key", "main_key"]), ({}, ["prep_key", "main_key"])],
)
def test_a_prerequisite_runs_when_its_key_says_so(app, ran, given, runs):
    """Checklist 32: falsy or missing, the prerequisite runs first, with the same arguments."""
    prep = preparing(app, ran, "prep_key")
    needing(app, ran, "main_key", task_prerequisite(prep, key="ready")).apply(kwargs=given, throw=True)

    assert ran == [(name, given) for name in runs]


@pytest.mark.parametrize(("asked", "runs"), [(True, ["main_all"]), (False, ["prep_all", "main_all"])])
def test_without_a_key_the_trigger_sees_everything(app, ran, asked, runs):
    """The trigger is given all arguments."""
    prep, seen = preparing(app, ran, "prep_all"), []
    decorate = task_prerequisite(prep, trigger=lambda kwargs: seen.append(dict(kwargs)) or asked)
    needing(app, ran, "main_all", decorate).apply(kwargs={"a": 1}, throw=True)

    assert seen == [{"a": 1}]
    assert [name for name, _ in ran] == runs


def test_the_lowest_decorator_runs_first(app, ran):
    """In a stack of decorators, the one next to the task comes first."""
    low, high = preparing(app, ran, "prep_low"), preparing(app, ran, "prep_high")
    needing(app, ran, "main_stack", task_prerequisite(low), task_prerequisite(high)).apply(throw=True)

    assert [name for name, _ in ran] == ["prep_low", "prep_high", "main_stack"]


def test_a_prerequisite_runs_after_earlier_converters(app, ran):
    """It sees what converters that are registered before it made of the arguments."""
    prep = preparing(app, ran, "prep_later")
    task = needing(app, ran, "main_later")
    ConverterRegister.register_for_task(task)(lambda kwargs: {"a": "converted"})
    task_prerequisite(prep, key="ready")(task).apply(kwargs={"a": "raw"}, throw=True)

    assert ran == [("prep_later", {"a": "converted"}), ("main_later", {"a": "converted"})]


def test_the_failure_of_a_prerequisite_is_that_of_a_converter(app, ran):
    """The task does not run, and the error says that its arguments could not be made."""
    prep = app.task(lambda **kw: 1 // 0, shared=False, name="m.prep_failing")
    task = needing(app, ran, "main_unready", task_prerequisite(prep))

    with pytest.raises(ArgumentConversionException):
        task.apply(throw=True)

    assert ran == []


def test_a_prerequisite_inherits_no_place_in_a_chain(app, ran):
    """The chain depth and the mark of results stay with the task that has them."""
    prep = preparing(app, ran, "prep_chain")
    first = app.task(lambda: 1, shared=False, name="m.first_in_chain", returns="y")
    task = needing(app, ran, "main_chain", task_prerequisite(prep, key="ready"))
    (first.s() | task.s()).apply_async().get()
    given = dict(ran)

    assert given["prep_chain"] == {"y": 1}
    assert (given["main_chain"]["chain_depth"], RK in given["main_chain"]) == (1, False)


def test_the_decorator_returns_the_task(app, ran):
    """The decorated name is still the task."""
    prep = preparing(app, ran, "prep_returned")
    task = needing(app, ran, "main_returned")

    assert task_prerequisite(prep)(task) is task
