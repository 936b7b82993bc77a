"""What is remembered of a run: every task, where each of its arguments came from, whatever happens to the recorder."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firexkit.broker_address import bare, password_in
from firexkit.journal.model import Entry, Failed, OriginKind
from firexkit.journal.origins import source_of
from firexkit.journal.places import NAME
from firexkit.journal.store import Journal
from firexkit.journal.tree import State, Task, Tree
from firexkit.runtime.server import Server
from product.firex import Home, eventually

BUILD = "byte_compile,run_tests,package,write_notes"
EXAMPLES = Path(__file__).parents[2] / "examples"
ORIGINS = '''\
"""Values that come in every way there is."""

from firexkit import FireX, InjectArgs
from firexkit.argument_conversion import ConverterRegister

app = FireX("ways")


@app.task(bind=True, returns=("made", "again"))
def make(self, given, left="alone"):
    """Make something.

    Args:
        given: on the command line.
        left: to its default.
    """
    self.enqueue_child(InjectArgs(**self.abog) | helped.s(by="call", same="@given"), block=True)
    again = [self.enqueue_child_and_get_results(cached.s(number=1))["tripled"] for _ in range(2)]
    return f"made of {given}", again


@app.task
def take(made, as_named, given):
    """Take what was made.

    Args:
        made: by the task before.
        as_named: what a reference means.
        given: to the run.
    """


@app.task
def helped(by, same, given):
    """Be a child."""


@app.task(use_cache=True, returns="tripled")
def cached(number):
    """Be called twice."""
    return 3 * number


@ConverterRegister.register_for_task(helped)
def louder(kwargs):
    kwargs["by"] = kwargs["by"].upper()
    return kwargs
'''


def tree_of(home: Home) -> Tree:
    """What the latest run came to."""
    with Journal(home.latest / NAME) as journal:
        tree = Tree(fact for _, fact in journal.facts())
        assert not journal.damage
    return tree


def the(tree: Tree, name: str) -> Task:
    (task,) = [task for task in tree if task.name.rpartition(".")[2] == name]
    return task


def argument(tree: Tree, task: str, name: str) -> Entry:
    return next(entry for entry in the(tree, task).arguments if entry.name == name)


@pytest.fixture
def ways(home: Home) -> Tree:
    (home.path / "ways.py").write_text(ORIGINS)
    done = home.firex("run", "make,take", "-t", "ways.py", "--given", "flour", "--as_named", "@made")
    assert done.returncode == 0, done.stderr
    return tree_of(home)


def origin(tree: Tree, task: str, name: str) -> OriginKind:
    came = argument(tree, task, name).origin
    assert came is not None
    return came.kind


def test_where_arguments_came_from(ways: Tree):
    assert origin(ways, "make", "given") is OriginKind.RUN
    assert origin(ways, "make", "left") is OriginKind.DEFAULT
    assert origin(ways, "take", "made") is OriginKind.RESULT
    assert origin(ways, "take", "given") is OriginKind.RESULT
    assert origin(ways, "helped", "given") is OriginKind.PARENT
    assert origin(ways, "helped", "same") is OriginKind.REFERENCE


def test_a_result_names_the_task_before(ways: Tree):
    came = argument(ways, "take", "made").origin
    assert came is not None
    assert came.task == the(ways, "make").id
    assert argument(ways, "take", "made").value == the(ways, "make").results[0].value


def test_a_reference_tells_its_name(ways: Tree):
    came = argument(ways, "take", "as_named").origin
    assert came is not None
    assert (came.kind, came.name) == (OriginKind.REFERENCE, "made")
    assert argument(ways, "take", "as_named").value == argument(ways, "take", "made").value


def test_a_converter_tells_what_it_was_given(ways: Tree):
    entry = argument(ways, "helped", "by")
    assert entry.origin is not None
    assert entry.value.preview == '"CALL"'
    assert (entry.origin.kind, entry.origin.converter) == (OriginKind.CONVERTER, "louder")
    assert entry.origin.before
    assert entry.origin.before != entry.value.digest


def test_results_say_where_they_came_from(ways: Tree):
    """From the task itself, or from the one whose result it took over."""
    made = [entry.origin for entry in the(ways, "make").results]
    cached = [entry.origin for task in ways if task.name.endswith(".cached") for entry in task.results]

    assert {came and came.kind for came in made} == {OriginKind.RESULT}
    assert {came and came.kind for came in cached} == {OriginKind.RESULT, OriginKind.CACHE}


def test_a_result_from_the_cache_names_its_source(ways: Tree):
    first, second = [task for task in ways if task.name.endswith(".cached")]
    ends = [task.bodies[-1].end for task in (first, second)]
    assert sorted(getattr(end, "cached_from", None) or "" for end in ends)[1] in (first.id, second.id)


@pytest.mark.parametrize(
    "words", [["census", "--path", str(EXAMPLES.parent / "src"), "-t", "census.py"], [BUILD, "-t", "build.py"]]
)
def test_every_argument_in_the_examples_has_an_origin(home: Home, words: list[str]):
    home.firex("run", *words[:-1], str(EXAMPLES / words[-1]))
    tree = tree_of(home)

    assert len(tree) > 3
    assert all(task.has_ended for task in tree)
    assert [entry for task in tree for entry in task.arguments if entry.origin is None] == []


def test_eight_kinds_of_origins_occur_in_the_examples(home: Home):
    kinds: set[OriginKind] = set()
    for words in (
        ("greet,frame", "--guest", "ada", "--edge", "#"),
        ("greet,shout", "--guest", "ada", "--text", "@greeting"),
        ("greet_all", "--guests", "ada,grace"),
        ("write_card", "--guest", "Ada", "--edge", "~"),
        ("raffle", "--guest", "ada"),
    ):
        home.firex("run", words[0], "-t", str(EXAMPLES / "greetings.py"), *words[1:])
        tree = tree_of(home)
        for task in tree:
            sources = [source_of(tree.get, task, entry.name) for entry in task.arguments]
            kinds.update(source.kind for source in sources if source is not None)
            kinds.update(entry.origin.kind for entry in task.results if entry.origin is not None)

    assert kinds == set(OriginKind) - {OriginKind.INJECTED}


def test_what_a_converter_refused_is_there(home: Home):
    home.firex("run", "greet", "-t", str(EXAMPLES / "greetings.py"), "--guest", " ")
    tree = tree_of(home)

    assert argument(tree, "greet", "guest").value.preview == '" "'
    assert the(tree, "greet").bodies[0].started_at is not None


def test_a_failure_is_there_with_its_cause(home: Home):
    home.firex("run", "outer", "-t", "work.py")
    tree = tree_of(home)

    failed = the(tree, "outer")
    assert failed.state is State.FAILED
    assert tree.root_cause(failed) is the(tree, "fail")
    failure = the(tree, "fail").failure
    assert failure is not None
    assert (failure.error, failure.message) == ("ValueError", "nothing <i>works</i>")
    assert "raise ValueError" in failure.traceback


UNTELLABLE = '''\
"""Errors and values whose own code fails."""

from firexkit import FireX, returns

app = FireX("untellable")


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Odd:
    def __repr__(self):
        raise RuntimeError("no text")


@app.task(bind=True)
@returns("number", "empty", "letters")
def outer(self):
    """Have children that fail in such ways."""
    for one in (silent, half, odd, progressing):
        self.enqueue_child(one.s(), block=True, raise_exception_on_failure=False)
    return float("nan"), None, {"c", "a", "b"}


@app.task
def silent():
    raise Silent


@app.task
def half():
    raise ValueError("half a letter: \\ud800")


@app.task
def odd(value=Odd()):
    pass


@app.task(bind=True)
def progressing(self):
    self.update_state(state="PROGRESS", meta={"percent": 50})
'''


def test_errors_and_values_that_fail_to_be_told_are_no_harm(home: Home):
    (home.path / "untellable.py").write_text(UNTELLABLE)
    done = home.firex("run", "outer", "-t", "untellable.py")
    tree = tree_of(home)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [the(tree, name).state for name in ("silent", "half")] == [State.FAILED, State.FAILED]
    assert "half a letter" in (the(tree, "half").failure or Failed(at=0, task="", error="")).message
    assert [the(tree, name).state for name in ("odd", "progressing")] == [State.SUCCEEDED, State.SUCCEEDED]
    assert (
        "Not in the journal" not in (home.latest / "microservice_logs" / f"mc@{socket.gethostname()}.html").read_text()
    )
    previews = {entry.name: entry.value.preview for entry in the(tree, "outer").results}
    assert previews == {"number": "NaN", "empty": "null", "letters": '["a","b","c"]'}


def shape(tree: Tree) -> list[object]:
    """All of a tree that two runs of the same have in common."""
    names = {task.id: task.name for task in tree}

    def told(entry: Entry) -> object:
        came = entry.origin
        return entry.name, entry.value, came and (came.kind, names.get(came.task), came.name, came.converter)

    found: list[object] = [
        (
            task.name,
            task.state,
            names.get(tree.parent_of(task)),
            [told(entry) for entry in task.arguments if entry.name != "uid"],
            [told(entry) for entry in task.results],
            len(task.bodies),
            [len(body.waits) for body in task.bodies],
        )
        for task in tree
    ]
    return sorted(found, key=repr)


@contextmanager
def running(home: Home, *words: str) -> Iterator[subprocess.Popen[str]]:
    run = home.start(*words)
    try:
        yield run
    finally:
        run.communicate(timeout=60)


def test_a_recorder_that_is_killed_forgets_nothing(home: Home):
    words = ("run", "parent", "-t", "work.py", "--children", "30", "--seconds", "0.2")
    home.firex(*words)
    undisturbed = tree_of(home)
    before = home.latest

    killed = set[int]()
    with running(home, *words) as run:
        eventually(lambda: home.latest != before, what="the run's directory")
        while len(killed) < 3:
            (recorder,) = eventually(lambda: [one for one in home.processes(" recorder") if one.pid not in killed])
            recorder.kill()
            killed.add(recorder.pid)
    assert run.returncode == 0
    assert len(undisturbed) == 31
    assert shape(tree_of(home)) == shape(undisturbed)


def test_a_run_without_a_journal_goes_on_and_says_so(home: Home):
    """Whatever is in the way: here, a file where the journals' directory should be."""
    obstacle = home.path / "tmp" / f"firex-journals-{os.getuid()}"
    obstacle.write_text("")
    done = home.firex("run", "double", "-t", "work.py", "--size", "21")
    obstacle.unlink()

    assert done.returncode == 0
    assert "doubled = 42" in done.stdout
    assert "the recorder ended with exit code 1; the run's journal is not whole" in done.stderr
    assert "The run is not recorded any more" in (home.latest / "firex_internal" / "supervisor.txt").read_text()


def test_a_broker_that_refuses_streams_stops_no_run(home: Home):
    """Whoever manages it may have said so."""
    with Server() as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-xadd")
        (home.path / "password").write_text(password_in(server.url))
        words = ("--broker", bare(server.url), "--password-file", "password")
        done = home.firex("run", "double,parent", "-t", "work.py", "--size", "21", "--children", "2", *words)

    assert done.returncode == 0, done.stderr
    assert "doubled = 42" in done.stdout


def test_nothing_of_the_journal_stays_elsewhere(home: Home):
    home.firex("run", "nop")
    assert home.leftovers() == []
    assert (home.latest / NAME).stat().st_mode & 0o777 == 0o600
