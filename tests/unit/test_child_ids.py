"""Ids of children: the same for the same enqueue, in whatever process; another one for anything else."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from celery import chain, chord, group
from celery.app.task import Context
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from firexkit._serialization.large import LargeValue, LateDict, Place
from firexkit.task.child_ids import Enqueue, digest_of, heads, identified, places
from firexkit.task.rerun import Seen, first_to_send, is_complete, lost_bodies, seen_of, standing
from unit.support import add_task, new_app

APP = new_app()
PAINT = add_task(APP, lambda colour=None, **_: colour, "paint")
FRAME = add_task(APP, lambda colour=None, **_: colour, "frame")
HANG = add_task(APP, lambda colour=None, **_: colour, "hang")
LAW = settings(deadline=None, max_examples=150)
ENQUEUE = Enqueue(parent="parent", life="0.0", position=0, digest="d")

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda values: st.lists(values) | st.tuples(values) | st.dictionaries(st.text(), values) | st.sets(st.text()),
    max_leaves=8,
)


def ids_of(sig):
    return [task.options["task_id"] for _, task in places(sig)]


def ids(sig, parent="parent", life="0.0", position=0):
    return ids_of(identified(sig, Enqueue(parent, life, position, digest_of(sig)).id_at))


# ── the id of a place ─────────────────────────────────────────────────────────────────────


def test_an_id_is_the_same_for_ever():
    """Two releases that run the same body must agree; whoever changes this loses what runs at that moment."""
    assert ENQUEUE.id_at("/0") == "0e1064ec-5cee-5858-9395-f52ad6178c54"
    assert UUID(ENQUEUE.id_at("/0")).version == 5


@LAW
@given(st.lists(st.tuples(st.text(), st.text(), st.integers(0), st.text(), st.text(), st.integers(0)), unique=True))
def test_whatever_differs_gives_another_id(calls):
    """Parent, life, position, digest, place and generation each count."""
    given_ids = {Enqueue(*call[:4]).id_at(*call[4:]) for call in calls if not any("\n" in str(part) for part in call)}

    assert len(given_ids) == len([call for call in calls if not any("\n" in str(part) for part in call)])


# ── digests ───────────────────────────────────────────────────────────────────────────────


@LAW
@given(plain_values, plain_values)
def test_equal_arguments_give_one_digest(first, second):
    """Copies count as the same, and so does another order of the keywords."""
    again = pickle.loads(pickle.dumps(first))

    assert digest_of(PAINT.s(first, a=1, b=second)) == digest_of(PAINT.s(again, b=second, a=1))


@LAW
@given(st.integers() | st.text() | st.lists(st.text()), st.integers() | st.text() | st.lists(st.text()))
def test_different_arguments_give_two_digests(first, second):
    """Whether they are positional or not."""
    same = first == second

    assert (digest_of(PAINT.s(first)) == digest_of(PAINT.s(second))) is same
    assert (digest_of(PAINT.s(colour=first)) == digest_of(PAINT.s(colour=second))) is same


class Colour(Enum):
    RED = 1
    BLUE = 2


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass
class Frame:
    wood: object


class Nail(NamedTuple):
    length: object


class Wall(BaseModel):
    colours: set[str] = set()


class Word(str):
    """A text of another class."""


class Handle:
    """Nothing that anybody could tell apart."""


def large(digest):
    return LargeValue(Place("owner", digest), 10**6, None)


DIFFERENT = [
    (Colour.RED, Colour.BLUE),
    (Size.SMALL, Size.LARGE),
    (Path("/a"), Path("/b")),
    (Decimal("1.1"), Decimal("1.2")),
    (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)),
    (Frame({Path("a")}), Frame({Path("b")})),
    (Nail(Path("a")), Nail(Path("b"))),
    (Wall(colours={"red"}), Wall(colours={"blue"})),
    (Word("a"), Word("b")),
    (ValueError("a"), ValueError("b")),
    (ValueError("a"), KeyError("a")),
    (large("x"), large("y")),
    (LateDict({"a": large("x")}), LateDict({"a": large("y")})),
    ({Path("a"): 1}, {Path("a"): 2}),
    ([Handle(), 1], [Handle(), 2]),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_values_that_json_does_not_know_are_told_apart(one, other):
    """By their content, wherever they stand."""
    assert digest_of(PAINT.s([one])) != digest_of(PAINT.s([other]))
    assert digest_of(PAINT.s(one)) == digest_of(PAINT.s(one))


def test_a_value_without_content_counts_by_its_class():
    """Its address in memory would be another one in each process."""
    nested = []
    nested.append(nested)

    assert digest_of(PAINT.s(Handle(), colour={1: Handle()})) == digest_of(PAINT.s(Handle(), colour={1: Handle()}))
    assert digest_of(PAINT.s(Handle())) != digest_of(PAINT.s(object()))
    assert digest_of(PAINT.s(nested)) == digest_of(PAINT.s(nested))


def test_values_that_answer_with_errors_count_by_their_class():
    """A child is not refused because of its id."""

    class Sullen(dict):
        def items(self):
            raise RuntimeError("not now")

        __iter__ = keys = items

    assert digest_of(PAINT.s(Sullen(a=1))) == digest_of(PAINT.s(Sullen(a=2)))


TOLD_BY_A_PROCESS = """
from pathlib import Path
from celery import signature
from firexkit.task.child_ids import digest_of
values = [{"a", "bb", "ccc", "dddd"}, frozenset({Path("a"), Path("b"), Path("c")}), {"k": {1, "x", None}}, "abc" * 3]
print(digest_of(signature("m.paint", args=(values, object()), kwargs={"b": 1, "a": {Path("p"): {"q", "r", "s"}}})))
"""


def test_processes_agree():
    """Sets have another order in each process, objects another address."""
    told = {
        subprocess.run(
            [sys.executable, "-c", TOLD_BY_A_PROCESS],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(told) == 1


# ── members ───────────────────────────────────────────────────────────────────────────────


def shapes():
    """One of everything that can be sent."""
    a, b, c = PAINT.s(1), FRAME.s(), HANG.s()
    return {
        "task": a,
        "other task": FRAME.s(1),
        "other argument": PAINT.s(2),
        "keyword": PAINT.s(colour=1),
        "chain": a | b,
        "other end": a | c,
        "long chain": a | b | c,
        "nested chain": chain(a, chain(b, c, app=APP), app=APP),
        "group": group(a, b),
        "chord": chord([a, b], c, app=APP),
        "chain with a group": a | group(b, c),
        "chain with a chord": a | group(b, b) | c,
        "group of chains": group(a | b, b | c),
        "chord with a chain behind it": chord([a, b], b | c, app=APP),
    }


@pytest.mark.parametrize("shape", shapes())
def test_all_members_have_ids_of_their_own(shape):
    """All different, and the same each time; the caller's signature has none."""
    sig, again = shapes()[shape], shapes()[shape]
    found = ids(sig)

    assert len(set(found)) == len(found) == len(list(places(sig)))
    assert ids(again) == found
    assert all("task_id" not in task.options for _, task in places(sig))


def test_no_two_shapes_share_an_id():
    """Not even a member that stands first in several chains."""
    found = [task_id for sig in shapes().values() for task_id in ids(sig)]

    assert len(set(found)) == len(found)


@pytest.mark.parametrize("other", [{"parent": "p"}, {"life": "1.0"}, {"position": 1}], ids=str)
def test_another_enqueue_gives_other_ids(other):
    """Another parent, another retry, or the same once more."""
    sig = shapes()["chain with a chord"]

    assert set(ids(sig)).isdisjoint(ids(sig, **other))


@pytest.mark.parametrize("shape", ["chain", "group", "chord", "chain with a chord", "group of chains"])
def test_what_celery_sends_has_these_ids(shape):
    """Celery's own preparation keeps the ids, in the results that it returns, too."""
    copy = identified(shapes()[shape], ENQUEUE.id_at)
    result, found = copy.clone().freeze(), set()
    waiting = [result]
    while waiting:
        node = waiting.pop()
        found |= {node.id} if not hasattr(node, "results") else set()
        waiting += [*getattr(node, "results", ()), *([node.parent] if node.parent is not None else [])]

    assert found == set(ids_of(copy))


def test_an_id_that_a_member_has_stays():
    """Whoever gave it knows why."""
    sig = PAINT.s(1).set(task_id="mine") | FRAME.s() | HANG.s()

    assert ids(sig)[0] == "mine"
    assert ids_of(identified(sig, ENQUEUE.id_at, last="last"))[-1] == "last"
    assert ids_of(identified(chain(PAINT.s(), HANG.s(), app=APP).set(task_id="last"), ENQUEUE.id_at))[-1] == "last"


def test_the_last_task_of_a_chord_gets_the_id_that_is_given():
    """It is the one whose result the caller has."""
    copy = identified(chord([PAINT.s(), PAINT.s()], FRAME.s() | HANG.s(), app=APP), ENQUEUE.id_at, last="last")

    assert [task.options["task_id"] == "last" for _, task in places(copy)] == [False, False, False, True]


def test_the_heads_are_what_is_sent_at_once():
    """The first of a chain, all members of a group."""
    found = {name: list(heads(sig)) for name, sig in shapes().items()}

    assert (found["task"], found["long chain"]) == ([""], ["/0"])
    assert found["group of chains"] == ["+0/0", "+1/0"]
    assert (found["chord"], found["chain with a chord"]) == (["+0", "+1"], ["/0"])


# ── what follows from what is known ───────────────────────────────────────────────────────

NOT_THERE = Seen(is_sent=False, state="PENDING")
WAITING = Seen(is_sent=True, state="PENDING")
DONE = Seen(is_sent=True, state="SUCCESS")
SILENT = Seen(is_sent=True, state="PENDING", left_nothing=True)
FAILED = Seen(is_sent=True, state="FAILURE")
REVOKED = Seen(is_sent=True, state="REVOKED")
SKIPPED = Seen(is_sent=False, state="FAILURE")
FROM = [
    ([NOT_THERE, NOT_THERE], 0),
    ([WAITING, NOT_THERE], None),
    ([DONE, NOT_THERE], None),
    ([DONE, WAITING], None),
    ([DONE, DONE], None),
    ([FAILED, SKIPPED], 0),
    ([DONE, FAILED, SKIPPED], 1),
    ([DONE, DONE, REVOKED], 2),
    ([SILENT, FAILED], 0),
    ([DONE, SILENT, SILENT, FAILED], 1),
    ([DONE, WAITING, REVOKED], None),
    ([SILENT], None),
]


@pytest.mark.parametrize(("members", "first"), FROM)
def test_where_a_chain_goes_on(members, first):
    """At the first member that failed, with what the one before it returned; nowhere while it is under way."""
    assert first_to_send(members) == first


REQUESTS = [
    ({}, 0),
    ({"firexkit_attempt": 1, "retries": 0}, 0),
    ({"firexkit_attempt": 3, "retries": 2}, 0),
    ({"firexkit_attempt": 3, "retries": 0}, 2),
    ({"firexkit_attempt": 3, "retries": 1}, 1),
    ({"firexkit_attempt": 1, "delivery_info": {"redelivered": True}}, 0),
    ({"delivery_info": {"redelivered": True}}, 1),
    ({"delivery_info": {"redelivered": False}}, 0),
]


@pytest.mark.parametrize(("fields", "lost"), REQUESTS)
def test_how_many_bodies_were_lost(fields, lost):
    """Bodies beyond the retries; where nobody counts them, what was delivered again had one."""
    assert lost_bodies(Context(fields)) == lost


def test_a_revocation_on_record_counts_until_there_is_a_result():
    """A task that waits in its queue does not start any more; one that has succeeded has succeeded."""
    record = {"sent": "1.0", "revoked": "2.0"}

    assert seen_of(record, "PENDING").has_failed
    assert not seen_of(record, "SUCCESS").has_failed


def test_the_latest_generation_counts_from_the_member_on_that_was_sent_again():
    """What was not sent anew has its first id."""
    first, second = [DONE, REVOKED, REVOKED], [NOT_THERE, WAITING, NOT_THERE]

    assert standing([first]) == [0, 0, 0]
    assert standing([first, second, [NOT_THERE] * 3]) == [0, 1, 1]


def test_a_group_that_was_sent_in_part_is_not_complete():
    """Nor is one with a failure."""
    assert is_complete({"+0": DONE, "+1": WAITING}, {"+0", "+1"})
    assert not is_complete({"+0": DONE, "+1": NOT_THERE}, {"+0", "+1"})
    assert not is_complete({"/0": DONE, "/1+0": DONE, "/1+1": FAILED}, {"/0"})
