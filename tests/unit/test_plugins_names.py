"""A task that overrides another: which signature is made, and under which name it is published (5.16)."""

import threading

import pytest
from celery.signals import before_task_publish

from unit.task_support import eager_app, events_of, hearing_class, make_app, next_message


def overridden(app, levels=1):
    """The task a program holds, then each task that overrides it, as the plugin machinery sets them up."""
    held = app.task(lambda x: x, shared=False, name="m.foo")
    app.finalize()
    tasks = [held]
    original = app.task(
        lambda x: x, shared=False, name="m.foo" + "_orig" * levels, check_name_for_override_posfix=False
    )
    for level in range(levels):
        override = app.task(lambda x, extra=None: -x, shared=False, name=f"plugin{level}.foo", returns="y")
        override.orig, override.from_plugin = original, True
        app.tasks["m.foo"] = original = override
        tasks.append(override)
    return tasks


@pytest.fixture
def app():
    return make_app()


@pytest.mark.parametrize("make", [lambda task: task.s(1), lambda task: task.si(1), lambda task: task.signature((1,))])
def test_a_signature_of_the_original_is_one_of_the_override(app, make):
    """Code that holds the original makes signatures of what overrides it."""
    held, override = overridden(app)

    assert make(held).task == override.name == "plugin0.foo"
    assert make(held).args == (1,)


def test_an_override_makes_signatures_of_itself(app):
    """The override's own name is its own entry."""
    _, override = overridden(app)

    assert override.s(1).task == "plugin0.foo"


def test_the_overridden_task_can_be_named(app):
    """Through orig an override makes a signature of the task it overrides."""
    _, override = overridden(app)

    assert override.orig.s(1).task == "m.foo_orig"


def test_a_task_nobody_overrides_makes_signatures_of_itself(app):
    """Without an override nothing changes."""
    plain = app.task(lambda x: x, shared=False, name="m.plain")

    assert plain.s(1).task == "m.plain"


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_an_override_is_published_under_the_first_name(app, levels):
    """A worker without the plugin still knows the name in the message."""
    *_, override = overridden(app, levels)
    override.apply_async((1,))

    assert next_message(app).headers["task"] == "m.foo"
    assert override.name == f"plugin{levels - 1}.foo"


def test_the_held_task_is_published_under_its_own_name(app):
    """A signature made from the original leads to the same message."""
    held, _ = overridden(app)
    held.s(1).apply_async()

    assert next_message(app).headers["task"] == "m.foo"


def test_the_overridden_task_is_published_as_orig(app):
    """What runs is the original, not the override again."""
    _, override = overridden(app)
    override.orig.s(1).apply_async()

    assert next_message(app).headers["task"] == "m.foo_orig"


def test_an_overridden_plugin_is_published_as_orig(app):
    """A plugin that another one overrides keeps its name in the message, too."""
    _, override = overridden(app)
    override.orig.from_plugin = True
    override.orig.apply_async((1,))

    assert next_message(app).headers["task"] == "m.foo_orig"


def test_a_plain_task_is_published_under_its_name(app):
    """Without an override the name in the message is the task's."""
    app.task(lambda x: x, shared=False, name="m.plain").apply_async((1,))

    assert next_message(app).headers["task"] == "m.plain"


def test_a_task_from_a_plugin_that_overrides_nothing_keeps_its_name(app):
    """A plugin may bring tasks of its own."""
    task = app.task(lambda x: x, shared=False, name="plugin.new")
    task.from_plugin = True
    task.apply_async((1,))

    assert next_message(app).headers["task"] == "plugin.new"


def test_a_failing_publish_keeps_the_name(app):
    """An argument that cannot be sent changes no task."""
    _, override = overridden(app)

    with pytest.raises(Exception):  # noqa: B017, PT011 - any error of the serializer
        override.apply_async((threading.Lock(),))

    assert override.name == "plugin0.foo"


def test_the_events_of_an_override(app):
    """The long name is the plugin's, and the event tells that a plugin brought the task."""
    hearing, heard = hearing_class()
    _, override = overridden(eager_app(hearing))
    override.apply((1,), throw=True)
    override.orig.apply((1,), throw=True)
    told = [
        (fields["long_name"], fields["from_plugin"], fields["called_as_orig"])
        for fields in events_of(heard, "task-started-info")
    ]

    assert told == [("plugin0.foo", True, False), ("m.foo", False, True)]


def test_fix_21_a_publish_does_not_rename_the_task(app):
    """While a message is published under the first name, other threads see the task under its own."""
    _, override = overridden(app)
    names = []

    def while_publishing(sender=None, **_):
        names.append((sender, override.name))

    before_task_publish.connect(while_publishing)
    try:
        override.apply_async((1,))
    finally:
        before_task_publish.disconnect(while_publishing)

    assert names == [("m.foo", "plugin0.foo")]
