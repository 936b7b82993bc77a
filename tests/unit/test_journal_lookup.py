"""Single tasks of a journal."""

from __future__ import annotations

import pytest

from firexkit.journal.lookup import Lookup, close_names
from firexkit.journal.store import Journal
from firexkit.journal.tree import Tree
from unit.journal_support import began, entries, entry, queued, succeeded, task_of

FACTS = [
    *succeeded("root", "ci.nightly"),
    *succeeded("aa11", "ci.fetch", 1.0, parent="root"),
    *succeeded("aa22", "ci.build", 2.0, after="aa11"),
    *succeeded("bb33", "ci.build", 3.0, parent="root"),
    queued("cc44", "other.fetch_all", 4.0, parent="aa22"),
    began("cc44", "other.fetch_all", 5.0, entry("what", '"ci.fetch nightly"')),
]


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal.sqlite", writes=True) as journal:
        journal.append(entries(FACTS))
        yield journal


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("aa11", ["aa11"]),
        ("fetch", ["aa11"]),
        ("ci.fetch", ["aa11"]),
        ("build", ["aa22", "bb33"]),
        ("aa", ["aa11", "aa22"]),
        ("fetch_all", ["cc44"]),
        ("fet", []),
        ("", []),
    ],
)
def test_a_task_is_meant_by_its_id_its_beginning_or_a_name(journal, text, ids):
    """A name counts as a whole, and wherever else it is mentioned, that is another task."""
    assert [task.id for task in Lookup(journal).named(text)] == ids


@pytest.mark.parametrize("task_id", ["root", "aa11", "aa22", "bb33", "cc44"])
def test_a_task_read_alone_is_as_in_the_whole_tree(journal, task_id):
    whole, lookup = Tree(FACTS), Lookup(journal)
    there, alone = task_of(whole, task_id), lookup.get(task_id)

    assert alone is not None
    assert (alone.name, alone.state, alone.facts) == (there.name, there.state, there.facts)
    assert [child.id for child in lookup.children_of(alone)] == [child.id for child in whole.children_of(there)]


def test_nobody_knows_a_task_that_is_not_there(journal):
    assert Lookup(journal).get("zz") is Lookup(journal).get("") is None


def test_names_that_are_almost_right():
    assert close_names(Tree(FACTS), "biuld")[0] == "build"
    assert close_names(Tree(FACTS), "zzz") == []
