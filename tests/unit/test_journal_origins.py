"""Where an argument of a task came from, followed through a run."""

from __future__ import annotations

import pytest

from firexkit.cli.phrases import origin as told
from firexkit.journal.model import OriginKind as Kind
from firexkit.journal.origins import source_of
from firexkit.journal.tree import Tree
from firexkit.uid import new_run_id
from unit.journal_support import began, entry, queued, returned, task_of

NIGHTLY = [queued("n", "ci.nightly"), began("n", "ci.nightly", 1.0, entry("board", '"x1"', Kind.RUN))]
FETCH = [
    queued("f", "ci.fetch", 2.0, parent="n"),
    began(
        *("f", "ci.fetch", 3.0),
        entry("board", '"x1"', Kind.PARENT),
        entry("mode", '"fast"', Kind.PARENT),
        entry("depth", "1", Kind.CALL),
        passing=(entry("speed", "9", Kind.PARENT),),
    ),
    returned("f", 4.0, entry("tree", '"/src"')),
]
BUILD = [
    queued("b", "ci.build", 4.0, after="f"),
    began("b", "ci.build", 5.0, entry("tree", '"/src"', Kind.RESULT, task="f")),
    returned("b", 6.0, entry("image", '"a.bin"')),
]
TEST = [
    queued("t", "ci.test", 7.0, after="b"),
    began(
        "t",
        "ci.test",
        8.0,
        entry("image", '"a.bin"', Kind.RESULT, task="b"),
        entry("tree", '"/src"', Kind.RESULT, task="b"),
        entry("board", '"x1"', Kind.RESULT, task="b"),
        entry("depth", "1", Kind.RESULT, task="b"),
        entry("speed", "9", Kind.RESULT, task="b"),
        entry("unheard", "1", Kind.RESULT),
        entry("retries", "2", Kind.DEFAULT),
        entry("where", '"/src"', Kind.REFERENCE, name="tree"),
        entry("log", '"/l"', Kind.CONVERTER, converter="as_path"),
        entry("early", "1", Kind.INJECTED),
        entry("known", "1", Kind.CACHE, task="b"),
        entry("bare", "1"),
    ),
]
TREE = Tree([*NIGHTLY, *FETCH, *BUILD, *TEST])


@pytest.mark.parametrize(
    ("task", "name", "phrase"),
    [
        ("n", "board", "given to the run"),
        ("f", "board", "from the bag of parent nightly"),
        ("f", "mode", "injected by nightly"),  # whose bag has no such value
        ("f", "depth", "given by nightly"),
        ("b", "tree", "from fetch (returned)"),
        ("t", "image", "from build (returned)"),
        ("t", "tree", "from fetch (returned)"),  # build only passed it on
        ("t", "board", "from the bag of parent nightly"),  # nobody returned it: it came into the chain with fetch
        ("t", "speed", "injected by nightly"),  # with the chain, and fetch did not take it
        ("t", "depth", "given by nightly"),
        ("t", "unheard", "given by nightly"),  # of which fetch told nothing
        ("t", "retries", "default"),
        ("t", "where", "@tree"),
        ("t", "log", "converter as_path"),
        ("t", "early", "injected before the chain"),
        ("t", "known", "from the cache: result of build"),
        ("t", "bare", ""),
        ("t", "no such", ""),
    ],
)
def test_an_origin_as_people_read_it(task, name, phrase):
    assert told(source_of(TREE.get, task_of(TREE, task), name), name) == phrase


def test_a_source_names_the_task_that_returned_the_value():
    """Not the member before, through which it came."""
    source = source_of(TREE.get, task_of(TREE, "t"), "tree")

    assert source is not None
    assert (source.kind, source.task, source.task_name, source.name) == (Kind.RESULT, "f", "ci.fetch", "tree")


def test_another_name_there_is_told():
    tree = Tree([*FETCH, began("x", "ci.x", 9.0, entry("path", "1", Kind.RESULT, task="f", name="tree"))])

    assert told(source_of(tree.get, task_of(tree, "x"), "path"), "path") == "from fetch (returned as tree)"


def test_what_the_first_task_of_a_run_does_not_take_was_given_to_the_run():
    first = new_run_id("ada")
    facts = [began(first, "ci.a"), began("b", "ci.b", 2.0, entry("x", "1", Kind.RESULT, task=first), after=first)]
    tree = Tree(facts)

    assert told(source_of(tree.get, task_of(tree, "b"), "x"), "x") == "given to the run"
    assert told(source_of(Tree(facts[1:]).get, task_of(tree, "b"), "x"), "x") == "from before in the chain"


def test_a_chain_in_a_circle_ends():
    """As from a damaged journal."""
    tree = Tree(
        began(task, "ci.x", 1.0, entry("a", "1", Kind.RESULT, task=other), after=other)
        for task, other in (("p", "q"), ("q", "p"))
    )

    assert told(source_of(tree.get, task_of(tree, "p"), "a"), "a") == "from before in the chain"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_phrase_without_any_task(kind):
    tree = Tree([began("t", "ci.t", 1.0, entry("a", "1", kind))])

    assert told(source_of(tree.get, task_of(tree, "t"), "a"), "a")
