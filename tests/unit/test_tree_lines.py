"""The tree of a run as people see it."""

from __future__ import annotations

from firexkit.cli.lines import line
from firexkit.cli.tree_lines import Now, tree_lines
from firexkit.journal.model import Blocked, Lost, Revoked
from firexkit.journal.tree import Tree
from unit.journal_support import START, began, failed, queued, succeeded

NOW = Now(START + 60.0, goes_on=True)
LATER = Now(START + 9000.0, goes_on=False)


def shown(facts, now=NOW, **options):
    """The lines, with blanks within them as one."""
    lines = [one.plain for one in tree_lines(Tree(facts), now, **options)]
    return [one[: len(one) - len(one.lstrip())] + " ".join(one.split()) for one in lines]


def test_a_task_has_a_mark_a_name_and_how_long_it_took():
    facts = [*succeeded("r", "ci.nightly"), *succeeded("b", "ci.build", 0.5, parent="r")]

    assert shown(facts) == ["✔ nightly 1.00 s", "  ✔ build 1.00 s"]


def test_columns_stand_below_each_other():
    lines = [one.plain for one in tree_lines(Tree([*succeeded("r", "a"), *succeeded("b", "longer", parent="r")]), NOW)]

    assert [one.index("1.00 s") for one in lines] == [lines[0].index("1.00 s")] * 2


def test_what_goes_on_says_what_it_waits_for():
    facts = [
        queued("r", "ci.nightly"),
        began("r", "ci.nightly"),
        Blocked(at=START + 2.0, task="r", attempt=1),
        *(fact for n in "xy" for fact in (queued(n, "ci.build", 2.0, parent="r"), began(n, "ci.build", 3.0))),
        queued("q", "ci.deploy", 2.0, parent="r"),
    ]

    assert shown(facts) == [
        "▷ nightly 59 s waits for deploy, 2 x build",
        "  ○ deploy queued",
        "  ▶ build 57 s x running",
        "  ▶ build 57 s y running",
    ]


def many(number, failing=(), running=()):
    for n in range(number):
        at, task = 2.0 + n / 100, f"c{n:04}"
        yield queued(task, "ci.compile", at, parent="r")
        yield began(task, "ci.compile", at + 1)
        if n in failing:
            yield failed(task, at + 2, message=f"no file {n}")
        elif n not in running:
            yield succeeded(task, "ci.compile", at)[-1]


def test_children_alike_are_one_line_and_those_that_failed_have_their_own():
    facts = [*succeeded("r", "ci.nightly"), *many(40, failing=(3, 7))]

    assert shown(facts)[1:] == [
        "  ✘ 40 x compile ≤ 1.00 s 38 succeeded, 2 failed",
        "    ✘ compile 1.00 s c0003 ValueError: no file 3",
        "    ✘ compile 1.00 s c0007 ValueError: no file 7",
    ]
    assert len(shown(facts, every=True)) == 41


def test_of_very_many_failures_some_are_shown():
    assert shown([*succeeded("r", "n"), *many(40, failing=range(30))])[-1] == "    ✘ … 25 more with failures"


def test_a_failure_below_children_alike_is_seen():
    """However well the children themselves ended."""
    deep = [queued("d", "ci.link", 9.0, parent="c0005"), began("d", "ci.link"), failed("d", message="undefined")]

    lines = shown([*succeeded("r", "n"), *many(40), *deep])

    assert lines[1].endswith("1 task below")
    assert lines[2:] == ["    ✔ compile 1.00 s c0005", "      ✘ link 1.00 s ValueError: undefined"]


def test_who_failed_because_of_another_says_so():
    facts = [
        *(queued("r", "ci.nightly"), began("r", "ci.nightly"), failed("r", 9.0, "ChainInterrupted", cause="b")),
        *(queued("b", "ci.build", parent="r"), began("b", "ci.build"), failed("b", message="boom\nmore")),
    ]

    assert shown(facts) == ["✘ nightly 8.00 s because build failed", "  ✘ build 1.00 s ValueError: boom"]


def test_what_a_killed_run_leaves_open_is_not_running():
    facts = [queued("r", "ci.nightly"), began("r", "ci.nightly"), queued("q", "ci.build", parent="r")]

    assert shown(facts, LATER) == ["? nightly was running; its end is unknown", "  ○ build never began"]


def test_attempts_and_revocations_are_told():
    again = [queued("a", "ci.a"), began("a", "ci.a"), Lost(at=START + 2.0, task="a", attempt=1)]
    second = [type(fact)(**{**as_dict(fact), "attempt": 2}) for fact in succeeded("a", "ci.a", 5.0)[1:]]
    revoked = [queued("b", "ci.b"), Revoked(at=START + 1.0, task="b", reason="too slow (by ada)")]

    assert shown([*again, *second, *revoked]) == ["✔ a 6.00 s attempt 2", "■ b revoked: too slow (by ada)"]


def as_dict(fact):
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


def test_nothing_that_a_task_said_is_obeyed_by_a_terminal():
    facts = [queued("r", "n"), began("r", "n"), failed("r", message="\x1b[2Jred\x07")]

    assert shown(facts) == ["✘ n 1.00 s ValueError: red\\x07"]


def test_a_line_is_its_texts():
    assert line("a ", ("b", "red"), "  ").plain == "a b"
