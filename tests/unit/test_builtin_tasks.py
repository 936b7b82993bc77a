"""The tasks that come with the kit, run in this process."""

import getpass
import logging
import time

import pytest
from celery import Celery

import firexkit.tasks
from firexkit.chain import InjectArgs, InvalidChainArgsException
from firexkit.result import ChainInterruptedException, get_results
from firexkit.task import FireXTask
from firexkit.task_names import UnknownTaskError, find_task
from unit.task_support import eager_app


@pytest.fixture
def app():
    """An app with three tasks of its own, one of which fails."""
    app = eager_app()
    app.task(lambda x, step=1: x + step, shared=False, name="m.add", returns="y")
    app.task(lambda y: y * 10, shared=False, name="m.times", returns="z")
    app.task(lambda **_: 1 // 0, shared=False, name="m.bad")
    return app


def results_of(app, name, **arguments):
    """What a task returns, by name."""
    return get_results(find_task(app, name).apply(kwargs=arguments, throw=True))


@pytest.mark.parametrize("name", firexkit.tasks.__all__)
def test_every_app_has_them(name):
    """A plain Celery app, too; and what the module shows is the task of the current app."""
    app = Celery("plain", set_as_current=False)
    task = app.tasks[f"firexkit.tasks.{name}"]

    assert isinstance(task, FireXTask)
    assert task.app is app
    assert getattr(firexkit.tasks, name).name == task.name


def test_nop_lets_the_bag_pass(app):
    """It returns nothing, and what comes after it finds what came before."""
    chain = InjectArgs(x=1) | find_task(app, "nop").s() | find_task(app, "add").s()

    assert chain.apply_async().get()["y"] == 2


@pytest.mark.parametrize("seconds", [0.01, 0, "0.01"])
def test_sleep_takes_its_time(app, seconds):
    """A number, or the text of one, as it may come from a command line."""
    before = time.monotonic()
    results_of(app, "sleep", seconds=seconds)

    assert time.monotonic() - before >= float(seconds)


def test_sleep_says_that_it_wants_a_number():
    """Whoever converts arguments finds the type in the annotation."""
    assert firexkit.tasks.sleep.sig.parameters["seconds"].annotation == "float"


def test_getusername(app):
    """The user of the worker's process."""
    assert results_of(app, "getusername") == {"username": getpass.getuser()}


# ── CopyBogKeys ──────────────────────────────────────────────────────────────────────────


def test_values_are_copied_to_new_names(app):
    """The new names are returns; a name that is not there is left out."""
    results = results_of(app, "CopyBogKeys", a=1, b=[2], bog_key_map={"a": "x", "b": "y", "c": "z"})

    assert results == {"x": 1, "y": [2]}


def test_copies_feed_what_comes_next(app):
    """The next task of the chain finds its argument under the new name."""
    chain = find_task(app, "CopyBogKeys").s(bog_key_map={"a": "x"}) | find_task(app, "add").s()

    assert (InjectArgs(a=4) | chain).apply_async().get()["y"] == 5


def test_a_missing_value_is_an_error_if_it_should_be(app):
    """It names what is missing, and what there is."""
    with pytest.raises(LookupError, match="called c, d; there are a, "):
        results_of(app, "CopyBogKeys", a=1, bog_key_map={"a": "x", "c": "y", "d": "z"}, strict=True)


# ── ScheduleSubChain ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chain", ["add,m.times", ["m.add", "times"]])
def test_a_chain_of_names_runs_as_a_child(app, chain):
    """It gets the bag, and its results are the task's."""
    assert results_of(app, "ScheduleSubChain", chain=chain, x=1, step=3) == {"y": 4, "z": 40}


def test_a_signature_runs_as_a_child(app):
    """With arguments of its own, which win."""
    chain = find_task(app, "add").s(x=5) | find_task(app, "times").s()

    assert results_of(app, "ScheduleSubChain", chain=chain, x=1) == {"y": 6, "z": 60}


def test_the_chain_may_get_nothing_of_the_bag(app):
    """Then it has what it brings along."""
    chain = find_task(app, "add").s(x=5)

    assert results_of(app, "ScheduleSubChain", chain=chain, step=3, inject_abog=False) == {"y": 6}


def test_a_chain_that_lacks_an_argument_is_not_sent(app):
    """That is no failure of the chain, so it can't be caught."""
    with pytest.raises(InvalidChainArgsException, match=r"x: required by .add"):
        results_of(app, "ScheduleSubChain", chain="add", catch_errors=True)


def test_what_the_task_is_told_is_not_for_its_chain(app):
    """A task of this kind inside would run the same chain again, and again."""
    with pytest.raises(InvalidChainArgsException, match=r"chain: required by .ScheduleSubChain"):
        results_of(app, "ScheduleSubChain", chain="ScheduleSubChain")


def test_an_unknown_name_is_an_error(app):
    """Whatever is caught otherwise."""
    with pytest.raises(UnknownTaskError, match=r"did you mean .*times"):
        results_of(app, "ScheduleSubChain", chain="tines", catch_errors=True)


def test_options_go_to_the_child(app):
    """As for any child, but it is waited for in any case."""
    options = {"apply_async_options": {"task_id": "i-1"}, "block": False}

    assert results_of(app, "ScheduleSubChain", chain="add", x=1, enqueue_args=options) == {"y": 2}
    assert app.AsyncResult("i-1").state == "SUCCESS"


def test_a_failure_fails_the_task(app):
    """Unless it is asked to go on."""
    with pytest.raises(ChainInterruptedException) as error:
        results_of(app, "ScheduleSubChain", chain="bad")

    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_failure_can_be_told_instead(app, caplog):
    """The results say what failed, and the log has the traceback."""
    with caplog.at_level(logging.ERROR, "firexkit.tasks"):
        results = results_of(app, "ScheduleSubChain", chain="bad", catch_errors=True)
    (failed,) = results["unsuccessful_services"]["failed"]

    assert failed.startswith("m.bad[")
    assert failed.endswith("]: ZeroDivisionError: integer division or modulo by zero")
    assert [record.exc_info[0] for record in caplog.records if record.name == "firexkit.tasks"] == [ZeroDivisionError]
