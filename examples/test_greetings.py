"""Tests of the greetings, with the fixtures that firexkit brings: ``pytest examples/test_greetings.py`` runs them."""

import pytest

from greetings import frame, greet, party


def test_a_greeting_is_framed(firex_run):
    """A chain gets its arguments as on the command line, and gives what its tasks returned."""
    run = firex_run(greet.s() | frame.s(edge="#"), guest="ada")

    run.assert_succeeded()
    assert run.results["banner"] == "# Hello, Ada! #"
    assert run.task("frame").argument("greeting") == "Hello, Ada!"


def test_the_cake_is_baked_once(firex_run):
    """Three are served at the same time, and one of them has the cake baked."""
    run = firex_run(party, guests=["Ada", "Grace", "Edsger"])

    run.assert_succeeded()
    run.assert_ran("party", "serve", "bake")
    assert len(run.tasks("serve")) == 3
    assert run.task("bake").result("cake") == "apple cake"


@pytest.mark.parametrize("guest", ["", " "])
def test_nobody_is_not_greeted(firex_eager, guest):
    """The converter of a task refuses a name; without worker and server, that takes a millisecond."""
    run = firex_eager(greet.s(guest=guest) | frame.s())

    run.assert_failed("greet", match="somebody without a name")
    run.assert_not_ran("frame")


@pytest.mark.firex(tasks="greetings.py", plugins="plugins/loud.py")
def test_a_plugin_takes_a_tasks_place(firex_run):
    """The plugin's task is asked by the name of the original, which it asks in turn."""
    run = firex_run("greet,frame", guest="ada")

    assert run.results["banner"] == "* HELLO, ADA! *"
    assert run.tasks()[0].task.name == "loud.greet"
