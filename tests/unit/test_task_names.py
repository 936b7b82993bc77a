"""Tasks by the names that people type."""

import pickle

import pytest

from firexkit.task_names import AmbiguousTaskError, UnknownTaskError, chain_of, find_task, offered_tasks
from unit.task_support import make_app

NAMES = ("build.compile", "build.link", "ship.Copy", "ship.copy", "ship.send", "mail.send", "ship.load_orig")


@pytest.fixture
def app():
    app = make_app()
    for name in NAMES:
        app.task(lambda: None, shared=False, name=name, check_name_for_override_posfix=False)
    return app


def test_celerys_tasks_and_replaced_originals_are_not_offered(app):
    """People choose among the others, in the order of the alphabet."""
    offered = offered_tasks(app)

    assert [name for name in offered if name in NAMES] == sorted(set(NAMES) - {"ship.load_orig"})
    assert {name for name in app.tasks if name.startswith("celery.")}.isdisjoint(offered)


@pytest.mark.parametrize(
    ("name", "full_name"),
    [
        ("build.compile", "build.compile"),
        ("compile", "build.compile"),
        ("Compile", "build.compile"),
        ("BUILD.COMPILE", "build.compile"),
        ("copy", "ship.copy"),
        ("Copy", "ship.Copy"),
        ("mail.send", "mail.send"),
    ],
)
def test_a_task_is_found(app, name, full_name):
    """By its full name, by its short name, and if nothing else fits whatever the case."""
    assert find_task(app, name).name == full_name


@pytest.mark.parametrize(("name", "full_names"), [("send", "mail.send, ship.send"), ("COPY", "ship.Copy, ship.copy")])
def test_a_name_of_several_tasks_is_an_error(app, name, full_names):
    """It lists the full names to choose from."""
    with pytest.raises(AmbiguousTaskError) as error:
        find_task(app, name)

    assert isinstance(error.value, LookupError)
    assert str(error.value) == f"several tasks are called {name!r}; say which one: {full_names}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("complie", "no task is called 'complie'; did you mean compile?"),
        ("LINKK", "no task is called 'LINKK'; did you mean link?"),
        ("build.lnk", "no task is called 'build.lnk'; did you mean build.link or build.compile?"),
        ("zzzzzz", "no task is called 'zzzzzz'; is the file that defines it loaded?"),
        ("load_orig", "no task is called 'load_orig'; is the file that defines it loaded?"),
        ("celery.chain", "no task is called 'celery.chain'; is the file that defines it loaded?"),
    ],
)
def test_an_unknown_name_is_an_error(app, name, text):
    """It tells what looks like it, if anything does."""
    with pytest.raises(UnknownTaskError) as error:
        find_task(app, name)

    assert isinstance(error.value, LookupError)
    assert str(error.value) == text


def test_a_plugins_task_is_one_task_under_two_names(app):
    """It is registered under the name that it replaces as well, so its short name is not ambiguous."""
    app.tasks["build.link"] = plugin = app.task(lambda: None, shared=False, name="plugin.link", lazy=False)

    assert find_task(app, "link") is plugin
    assert find_task(app, "build.link") is plugin


@pytest.mark.parametrize("names", ["compile,build.link , send", ["compile", "build.link", "send"], "compile,,send"])
def test_a_chain_of_an_ambiguous_name_is_an_error(app, names):
    """Every name is looked up before anything is made of them."""
    with pytest.raises(AmbiguousTaskError):
        chain_of(app, names)


@pytest.mark.parametrize("names", ["compile, build.link,mail.send,", ["compile", "build.link", "mail.send"]])
def test_a_chain_of_names(app, names):
    """As text or as a list, with spaces and commas too many."""
    chain = chain_of(app, names)

    assert [member.task for member in chain.tasks] == ["build.compile", "build.link", "mail.send"]
    assert chain.app is app


def test_one_name_is_a_signature(app):
    """A chain of one is the task's own signature."""
    assert chain_of(app, "compile").task == "build.compile"


@pytest.mark.parametrize("names", ["", " , ", []])
def test_no_name_is_an_error(app, names):
    """Nothing can be made of nothing."""
    with pytest.raises(ValueError, match="at least one task"):
        chain_of(app, names)


@pytest.mark.parametrize("error", [UnknownTaskError("a", ["b"]), AmbiguousTaskError("a", ["x.a", "y.a"])])
def test_the_errors_travel(error):
    """They are made anew from their arguments, as everywhere on the wire."""
    arrived = pickle.loads(pickle.dumps(error))

    assert (str(arrived), vars(arrived)) == (str(error), vars(error))
