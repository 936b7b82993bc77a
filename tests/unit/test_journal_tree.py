"""What facts come to, whatever the way they came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firexkit.journal.model import (
    Began,
    Blocked,
    Failed,
    Lost,
    Queued,
    Retried,
    Returned,
    Revoked,
    Shown,
    Unblocked,
    Unknown,
    decoded,
    encoded,
)
from firexkit.journal.tree import State, Tree

NAME = "shop.buy"


def told(*facts, task="t"):
    """The one task that facts are about."""
    return Tree(facts).get(task)


def queued(at=0.0, task="t", **more):
    return Queued(at=at, task=task, name=NAME, **more)


def began(at=1.0, attempt=1, task="t", **more):
    return Began(at=at, task=task, attempt=attempt, name=NAME, **more)


def of_body(kind, at, attempt=1, **more):
    return kind(at=at, task="t", attempt=attempt, **more)


RETURNED, FAILED = of_body(Returned, 9.0), of_body(Failed, 9.0, error="ValueError")
REVOKED = Revoked(at=5.0, task="t")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ([queued()], State.QUEUED),
        ([queued(), began()], State.RUNNING),
        ([began()], State.RUNNING),
        ([began(), of_body(Blocked, 2.0)], State.WAITING),
        ([began(), of_body(Blocked, 2.0), of_body(Unblocked, 3.0)], State.RUNNING),
        ([began(), of_body(Blocked, 2.0), RETURNED], State.SUCCEEDED),
        ([began(), RETURNED], State.SUCCEEDED),
        ([began(), FAILED], State.FAILED),
        ([queued(), Failed(at=9.0, task="t", error="ChainInterruptedException")], State.FAILED),
        ([began(), of_body(Retried, 2.0)], State.QUEUED),
        ([began(), of_body(Retried, 2.0), began(3.0, 2)], State.RUNNING),
        ([began(), FAILED, began(10.0, 2)], State.RUNNING),
        ([began(), of_body(Lost, 2.0), began(3.0, 2), of_body(Returned, 4.0, 2)], State.SUCCEEDED),
        ([began(), of_body(Lost, 2.0)], State.QUEUED),
        ([queued(), REVOKED], State.REVOKED),
        ([began(), REVOKED, FAILED], State.REVOKED),
        ([began(), REVOKED, RETURNED], State.SUCCEEDED),
    ],
)
def test_what_has_become_of_a_task(facts, state):
    assert told(*facts).state is state


def test_clocks_that_differ_change_nothing_of_a_state():
    """A worker whose clock is an hour behind ends a task before it was sent."""
    task = told(queued(3600.0), began(1.0), RETURNED)

    assert (task.state, task.started_at, task.ended_at) == (State.SUCCEEDED, 1.0, 9.0)


def test_what_a_body_tells_of_its_end_counts_more_than_that_it_was_lost():
    """Who looks for lost tasks may be wrong; the store has refused one of the two."""
    (body,) = told(began(), of_body(Lost, 2.0), RETURNED).bodies

    assert isinstance(body.end, Returned)


def test_waits_are_spans():
    """One that goes on has no end, and the end of the body ends it."""
    facts = [began(), of_body(Blocked, 2.0), of_body(Unblocked, 3.0), of_body(Blocked, 4.0, on=("c",))]

    assert told(*facts).bodies[0].waits == ((2.0, 3.0), (4.0, None))
    assert told(*facts).bodies[0].waits_for == ("c",)
    assert told(*facts, RETURNED).bodies[0].waits == ((2.0, 3.0), (4.0, 9.0))
    assert told(*facts, RETURNED).bodies[0].waits_for == ()


def test_each_attempt_is_kept():
    """With its own end; the failure is the latest."""
    task = told(began(), of_body(Retried, 2.0), began(3.0, 2), of_body(Failed, 4.0, 2, error="E"))

    assert [(body.number, type(body.end)) for body in task.bodies] == [(1, Retried), (2, Failed)]
    assert task.failure.error == "E"


def test_the_latest_of_what_is_shown_under_a_key():
    facts = [Shown(at=at, task="t", key=key, html=html, order=order) for at, key, html, order in SHOWN]

    assert [one.html for one in told(*facts).shown] == ["first", "newer"]


SHOWN = [(1.0, "b", "older", 2.0), (3.0, "b", "newer", 2.0), (2.0, "a", "first", 1.0)]


def test_a_tree_has_parents_before_children_in_the_order_they_were_sent():
    tree = Tree([queued(3.0, "b", parent="r"), queued(1.0, "r"), queued(2.0, "a", parent="r"), queued(9.0, "lone")])

    assert [task.id for task in tree] == ["r", "a", "b", "lone"]
    assert [task.id for task in tree.children_of(tree.get("r"))] == ["a", "b"]


def test_a_child_of_nobody_known_stands_at_the_top():
    assert [task.id for task in Tree([queued(1.0, "child", parent="never told")]).roots] == ["child"]


def test_a_retried_root_is_not_its_own_parent():
    assert [task.id for task in Tree([queued(1.0, "r", parent="r")])] == ["r"]


def test_the_root_cause_is_the_one_that_failed_by_itself():
    """Through any number of tasks that failed because of another; one that was not told ends the search."""
    facts = [Failed(at=1.0, task=task, error="E", cause=cause) for task, cause in (("a", "b"), ("b", "c"), ("c", ""))]
    tree = Tree([*facts, Failed(at=1.0, task="x", error="E", cause="not told")])

    assert tree.root_cause(tree.get("a")).id == "c"
    assert tree.root_cause(tree.get("x")).id == "x"


def test_causes_in_a_circle_end():
    tree = Tree([Failed(at=1.0, task=task, error="E", cause=cause) for task, cause in (("a", "b"), ("b", "a"))])

    assert tree.root_cause(tree.get("a")).id == "b"


def test_facts_of_a_newer_release_are_kept():
    raw = b'{"fact":"of the future","at":1.0,"task":"t"}'

    assert Tree([decoded(raw)]).unknown == {Unknown(kind="of the future", raw=raw)}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"fact":3}', b'{"at":1.0}', b'{"fact":"began","at":1.0}'])
def test_what_is_no_fact_is_told(raw):
    with pytest.raises(ValueError, match="not a fact"):
        decoded(raw)


# ── laws ──────────────────────────────────────────────────────────────────────────────────

TASKS = ["a", "b", "c", "d"]
TIMES = st.floats(0, 100).map(lambda at: round(at, 2))


@st.composite
def facts(draw):
    """Any fact about one of four tasks; parents stand before their children, as in every run."""
    task = draw(st.sampled_from(TASKS))
    of = {"at": draw(TIMES), "task": task}
    in_body = {**of, "attempt": draw(st.integers(1, 3))}
    parent = draw(st.sampled_from(["", *TASKS[: TASKS.index(task)]]))
    return draw(
        st.sampled_from(
            [
                Queued(**of, name=NAME, parent=parent),
                Began(**in_body, name=NAME, parent=parent),
                Blocked(**in_body),
                Unblocked(**in_body),
                Shown(**of, key=draw(st.sampled_from("xy")), html="<b>"),
                Returned(**in_body),
                Failed(**in_body, error="E", cause=draw(st.sampled_from(["", *TASKS]))),
                Retried(**in_body),
                Lost(**in_body),
                Revoked(**of),
            ]
        )
    )


def looked_at(tree):
    """Everything that can be asked."""
    return [
        (
            *(task.id, task.state, task.name, task.parent, task.started_at, task.ended_at, task.failure, task.shown),
            tree.root_cause(task).id,
            *((body.number, body.end, body.waits) for body in task.bodies),
        )
        for task in tree
    ]


@given(st.lists(facts()), st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_matter(known, chance):
    """Also when somebody looks in between."""
    again = [*known, *chance.sample(known, len(known) // 2)]
    chance.shuffle(again)
    tree = Tree()
    for fact in again:
        tree.add(fact)
        looked_at(tree)

    assert tree == Tree(known)
    assert looked_at(tree) == looked_at(Tree(known))


@given(st.lists(facts()))
def test_each_task_stands_once_in_the_tree(known):
    assert sorted(task.id for task in Tree(known)) == sorted({fact.task for fact in known})


@given(facts())
def test_a_fact_is_read_as_it_was_written(fact):
    assert decoded(encoded(fact)) == fact
