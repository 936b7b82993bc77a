"""Which rows a tree of tasks is drawn with."""

from __future__ import annotations

import random

import pytest

from firexkit.cli.branches import Branches, Row, fitted
from firexkit.runtime.progress import TaskSeen


def task(name: str, state: str, parent: str | None = None, **facts) -> TaskSeen:
    """A task that is called as its id without digits."""
    short = name.rstrip("0123456789")
    return TaskSeen(name, f"tasks.{short}", parent=parent, state=state, **facts)


def branches(*tasks: TaskSeen, chain: tuple[str, ...] = ()) -> Branches:
    tree = Branches(chain)
    for one in tasks:
        tree.see(one)
    return tree


def shown(rows: list[Row]) -> list[str]:
    return [f"{'  ' * row.depth}{row.name} {row.state}{f': {row.note}' if row.note else ''}" for row in rows]


def many(number: int, state: str, parent: str = "all", first: int = 0) -> list[TaskSeen]:
    return [task(f"part{n}", state, parent, started=10.0 + n) for n in range(first, first + number)]


def test_children_stand_below_whoever_sent_them_in_the_order_they_came():
    tree = branches(
        task("all", "waiting"), task("b", "running", "all"), task("c", "running", "b"), task("a", "received", "all")
    )

    assert shown(tree.rows()) == ["all waiting: waits for b, a", "  b running", "    c running", "  a received"]


def test_a_chain_is_no_ladder_and_what_is_not_sent_waits_for_what_is_before_it():
    """The message of a chain's second task looks as if its parent were the first; its start tells better."""
    first, message = task("one", "succeeded"), task("two", "received", "one")
    tree = branches(first, message, chain=("one", "two", "three"))
    queued = shown(tree.rows())
    tree.see(task("two", "running", "one", started=1.0, chain_depth=1))

    assert queued == ["one succeeded", "two pending: queued", "three pending: waits for two"]
    assert shown(tree.rows()) == ["one succeeded", "two running", "three pending: waits for two"]


def test_nothing_is_to_come_after_a_failure_or_in_the_end():
    failed = branches(task("one", "failed", exception="X()"), chain=("one", "two"))
    going_on = branches(task("one", "running"), chain=("one", "two"))

    assert shown(failed.rows()) == ["one failed: X()"]
    assert shown(going_on.rows(is_over=True)) == ["one running"]


def test_what_succeeded_with_all_below_it_is_one_row():
    below = [task("step", "succeeded", "build"), task("deeper", "running", "step")]
    tree = branches(task("all", "waiting"), task("build", "succeeded", "all"), *below)
    before = shown(tree.rows())
    tree.see(task("deeper", "succeeded", "step"))

    assert before[1:] == ["  build succeeded", "    step succeeded", "      deeper running"]
    assert shown(tree.rows())[1:] == ["  build succeeded"]


def test_four_of_a_name_have_rows_of_their_own_and_five_have_one():
    four = branches(task("all", "waiting"), *many(4, "running"))
    five = branches(task("all", "waiting"), *many(4, "succeeded"), *many(1, "running", first=4))
    row = five.rows()[1]

    assert len(four.rows()) == 5
    assert shown(five.rows()) == ["all waiting: waits for part", "  part running"]
    assert (row.ended, row.tasks, row.since, row.longest) == (4, 5, 10.0, 14.0)


def test_as_long_as_the_parent_does_not_wait_more_may_come():
    growing = branches(task("all", "running"), *many(5, "running"))
    known = branches(task("all", "waiting"), *many(5, "running"))

    assert [tree.rows()[1].may_grow for tree in (growing, known)] == [True, False]


def test_who_plans_children_tells_how_many_are_to_come():
    tree = branches(task("all", "waiting", planned=40), *many(5, "running"))
    nobody_knows = branches(task("all", "waiting", planned=None), *many(5, "running"))
    gone_before_all_were_sent = branches(task("all", "failed", planned=40), *many(5, "running"))

    assert [(row.tasks, row.may_grow) for row in (one.rows()[1] for one in (tree, nobody_knows))] == [
        (40, False),
        (5, True),
    ]
    assert gone_before_all_were_sent.rows()[1].tasks == 5


def test_of_planned_chains_only_the_first_members_are_counted():
    second = [task(f"b{number}", "running", f"a{number}", chain_depth=1) for number in range(5)]
    first = [task(f"a{number}", "succeeded", "all") for number in range(5)]
    tree = branches(task("all", "waiting", planned=8), *first, *second)

    assert [(row.name, row.tasks, row.may_grow) for row in tree.rows()[1:]] == [("a", 8, False), ("b", 5, True)]


def test_failed_members_are_shown_by_themselves_and_so_is_the_way_to_failures_below():
    tree = branches(
        task("all", "waiting"),
        *many(6, "succeeded"),
        task("part6", "failed", "all", exception="ValueError('no')\nmore"),
        task("part7", "succeeded", "all"),
        task("check", "failed", "part7", exception="ValueError('below')"),
    )

    assert shown(tree.rows())[1:] == [
        "  part failed",
        "    part failed: ValueError('no')",
        "    part succeeded",
        "      check failed: ValueError('below')",
    ]


def test_a_task_that_failed_because_of_another_says_so():
    tree = branches(task("all", "failed", cause="part1"), task("part1", "failed", "all", exception="X()"))

    assert shown(tree.rows()) == ["all failed: because of part", "  part failed: X()"]


def test_a_child_may_be_told_of_before_its_parent():
    tree = branches(task("part1", "running", "all"), task("all", "waiting"))

    assert shown(tree.rows()) == ["all waiting: waits for part", "  part running"]


def test_a_task_of_no_name_gets_one_later():
    tree = branches(task("all", "waiting"), TaskSeen("x", parent="all"), TaskSeen("x", "m.named", parent="all"))

    assert shown(tree.rows())[1:] == ["  named received"]


def test_parents_in_a_circle_harm_nobody():
    tree = branches(task("a", "running", "b"), task("b", "running", "a"), task("c", "running", "c"))

    assert {row.name for row in tree.rows()} == {"a", "b", "c"}


def test_a_tree_may_be_deep():
    tree = branches(task("n0", "waiting"), *(task(f"n{n}", "running", f"n{n - 1}") for n in range(1, 3000)))

    assert len(tree.rows()) == 3000


def drawn(tree: Branches) -> list[tuple[int, str, str]]:
    return sorted((row.depth, row.name, row.state) for row in tree.rows())


@pytest.mark.parametrize("seed", range(20))
def test_however_tasks_came_to_a_state_the_rows_are_the_same(seed: int):
    """What is kept up to date with each change is what a new tree finds."""
    dice = random.Random(seed)
    states = ("received", "running", "waiting", "succeeded", "failed", "revoked")
    names = [f"{dice.choice('ab')}{n}" for n in range(40)]
    parents = {name: dice.choice([None, *names[:n]]) for n, name in enumerate(names)}
    tree, last = Branches(), {}
    for name in [*names, *dice.choices(names, k=200)]:
        last[name] = task(name, dice.choice(states), parents[name], started=1.0, chain_depth=dice.choice((0, 0, 1)))
        tree.see(last[name])
    moved = {name: TaskSeen(**{**vars(one), "chain_depth": 0}) for name, one in last.items()}
    for one in moved.values():
        tree.see(one)

    anew = branches(*(moved[name] for name in names))

    assert drawn(tree) == drawn(anew)
    assert +tree.counts == anew.counts


def row(name: str, state: str, until: float | None = None, **facts) -> Row:
    return Row(0, state, name, since=1.0, until=until, counts={state: 1}, **facts)


def test_what_has_ended_longest_is_dropped_first():
    rows = [row("new", "succeeded", 9.0), row("old", "succeeded", 2.0), row("bad", "failed", 1.0), row("a", "running")]

    assert fitted(rows, 4) == rows
    assert [(one.name, one.state) for one in fitted(rows, 3)] == [
        ("bad", "failed"),
        ("a", "running"),
        ("and 2 more", "more"),
    ]


def test_what_runs_is_dropped_last_and_never_is_there_more_than_there_is_room_for():
    rows = [row("waits", "waiting"), *(row(f"q{n}", "received") for n in range(30)), row("works", "running")]

    assert [one.name for one in fitted(rows, 3)] == ["waits", "works", "and 30 more"]
    assert [one.name for one in fitted(rows, 2)] == ["works", "and 31 more"]
    assert [one.name for one in fitted(rows, 1)] == ["and 32 more"]
