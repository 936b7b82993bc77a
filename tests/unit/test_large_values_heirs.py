"""Which tasks take their large values with them when they are forgotten."""

from typing import NamedTuple

from firexkit.result.heirs import without_heirs


class Node(NamedTuple):
    id: str
    children: list | None = None


def tree():
    """A root with two children, the first of which has one, too."""
    a1 = Node("a1")
    a, b = Node("a", [a1]), Node("b")
    return [Node("root", [a, b]), a, b, a1]


def test_of_a_tree_that_is_forgotten_nothing_stays():
    """The usual case."""
    assert without_heirs(tree(), {"root", "a", "b", "a1"}) == ["root", "a", "b", "a1"]


def test_what_is_kept_keeps_what_is_above_it():
    """A kept task may refer to values that came with those above it, not to those of its siblings."""
    assert without_heirs(tree(), {"root", "a", "b"}) == ["b"]


def test_a_kept_task_keeps_nothing_below_it():
    """What came with a child was never given to its parent under that name."""
    assert without_heirs(tree(), {"a", "b", "a1"}) == ["a", "b", "a1"]


def test_a_subtree_that_was_left_out_counts_as_kept():
    """Its nodes are not listed, but they are children."""
    root, a, b, _ = tree()

    assert without_heirs([root, a, b], {"root", "a", "b"}) == ["b"]


def test_a_task_without_known_children():
    """One that never ran has none."""
    assert without_heirs([Node("x")], {"x"}) == ["x"]
