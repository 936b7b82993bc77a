"""Which results of a tree are forgotten, and which are kept (spec result §9)."""

import time

import pytest
from celery.result import AsyncResult
from celery.states import PENDING, STARTED, SUCCESS

from firexkit.result import (
    climb_up_until_null_parent,
    forget_chain_results,
    forget_single_async_result,
    forget_subtree_results,
    get_all_children,
    get_result_id,
)
from unit.results_support import MEMORY, FakeResult, ScriptedResult, new_id, stored

pytestmark = pytest.mark.timeout(20)
SHAPE = {"head": ["left", "next"], "left": ["leaf"], "leaf": [], "next": ["last"], "last": []}


@pytest.fixture
def tree():
    """Results by name: head started left (which started leaf); head → next → last is the chain."""
    ids = {name: new_id() for name in SHAPE}
    head = AsyncResult(ids["head"], app=MEMORY)
    nxt = AsyncResult(ids["next"], app=MEMORY, parent=head)
    last = AsyncResult(ids["last"], app=MEMORY, parent=nxt)
    nodes = {"head": head, "next": nxt, "last": last}
    nodes |= {name: AsyncResult(ids[name], app=MEMORY) for name in ("left", "leaf")}
    for name, children in SHAPE.items():
        stored(SUCCESS, name, id=ids[name], children=[nodes[child] for child in children])
    return nodes


def left(tree):
    """The names of the results that the backend still knows."""
    return {name for name, node in tree.items() if AsyncResult(node.id, app=MEMORY).state == SUCCESS}


def names(tree, nodes):
    """The names of these results, in order."""
    by_id = {node.id: name for name, node in tree.items()}
    return [by_id[node.id] for node in nodes]


# ── looking around ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("given", "id"), [(ScriptedResult(id="id1"), "id1"), ("id1", "id1"), (None, None)])
def test_id_of_a_result(given, id):
    """The id of a result; anything else unchanged."""
    assert get_result_id(given) == id
    assert type(get_result_id(given)) is type(id)


def test_climbing_ends_at_the_head(tree):
    """The topmost member of a chain has no parent."""
    assert climb_up_until_null_parent(tree["last"]) is tree["head"]
    assert climb_up_until_null_parent(tree["head"]) is tree["head"]


def test_long_chain_is_climbed():
    """A chain longer than Python's stack is no problem."""
    head = last = FakeResult()
    for _ in range(5000):
        last = FakeResult(parent=last)

    assert climb_up_until_null_parent(last) is head


# ── walking the tree ─────────────────────────────────────────────────────────────────────
def test_walk_is_breadth_first_from_the_node_itself(tree):
    """The node, then its children, then theirs."""
    assert names(tree, get_all_children(tree["head"])) == ["head", "left", "next", "leaf", "last"]


@pytest.mark.parametrize("as_ids", [True, False])
@pytest.mark.parametrize(
    ("skipped", "walked"),
    [
        (["left"], ["head", "next", "last"]),
        (["leaf", "next"], ["head", "left"]),
        (["head"], []),
        ([], ["head", "left", "next", "leaf", "last"]),
    ],
)
def test_skipped_node_takes_its_subtree_along(tree, skipped, walked, as_ids):
    """A skipped node, given as id or result, is left out with everything below."""
    skip = [tree[name].id if as_ids else tree[name] for name in skipped]

    assert names(tree, get_all_children(tree["head"], skip_subtree_nodes=skip)) == walked


def test_walk_waits_for_a_node_that_is_not_ready():
    """Children are read when the node is ready, since Celery records them at its end."""
    child = ScriptedResult()
    running = ScriptedResult([STARTED, STARTED, SUCCESS], children=[child])

    assert list(get_all_children(running, timeout=10)) == [running, child]


def test_walk_goes_on_when_the_time_is_spent():
    """One time budget for the whole walk; after that the recorded children have to do."""
    children = [ScriptedResult(STARTED), ScriptedResult(STARTED)]
    begin = time.monotonic()

    walked = list(get_all_children(ScriptedResult(STARTED, children=children), timeout=0.2))

    assert walked[1:] == children
    assert time.monotonic() - begin < 2


def test_nodes_without_children_are_leaves():
    """Celery says None where no children were recorded."""
    leaf = stored(PENDING)

    assert list(get_all_children(leaf, timeout=0)) == [leaf]


# ── forgetting ───────────────────────────────────────────────────────────────────────────
def test_single_result_is_forgotten_alone(tree):
    """Celery's own forget() takes the parents along; ours does not."""
    forget_single_async_result(tree["last"])

    assert left(tree) == {"head", "left", "leaf", "next"}


def test_forgotten_result_reads_as_pending(tree):
    """The very object that was forgotten has no state and no value any more."""
    assert tree["leaf"].result == "leaf"

    forget_single_async_result(tree["leaf"])

    assert (tree["leaf"].state, tree["leaf"].result) == (PENDING, None)


def test_subtree_is_forgotten(tree):
    """A node and all below it go; the rest of the tree stays."""
    forget_subtree_results(tree["next"])

    assert left(tree) == {"head", "left", "leaf"}


@pytest.mark.parametrize("as_ids", [True, False])
def test_skipped_subtrees_and_kept_nodes_stay(tree, as_ids):
    """A skipped subtree stays whole; of a kept node only the node itself stays."""
    skip, keep = [[tree[name].id if as_ids else tree[name]] for name in ("left", "next")]

    forget_subtree_results(tree["head"], skip_subtree_nodes=skip, do_not_forget_nodes=keep)

    assert left(tree) == {"left", "leaf", "next"}


def test_chain_is_forgotten_from_its_head(tree):
    """Given its last member, the whole chain with all its children goes."""
    forget_chain_results(tree["last"])

    assert left(tree) == set()


def test_head_of_the_chain_can_be_kept(tree):
    """With `forget_chain_head_node_result=False` only the head stays."""
    forget_chain_results(tree["last"], forget_chain_head_node_result=False)

    assert left(tree) == {"head"}


def test_kept_and_skipped_nodes_of_a_chain_stay(tree):
    """The other keywords mean what they mean for a subtree."""
    forget_chain_results(
        tree["last"],
        forget_chain_head_node_result=False,
        do_not_forget_nodes=[tree["next"]],
        skip_subtree_nodes=[tree["left"].id],
    )

    assert left(tree) == {"head", "next", "left", "leaf"}


def test_given_lists_are_not_edited(tree):
    """The caller's lists are the caller's."""
    skip, keep = [tree["left"].id], [tree["next"]]

    forget_chain_results(
        tree["last"], forget_chain_head_node_result=False, do_not_forget_nodes=keep, skip_subtree_nodes=skip
    )

    assert (skip, keep) == ([tree["left"].id], [tree["next"]])
