"""`|` on chains gives what Celery's own gives, whatever is done to the parts before, between and afterwards."""

import json
import pickle
from contextlib import contextmanager

import pytest
from celery import chain, chord, group
from celery.canvas import Signature, _chain
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import dumps

from unit.support import add_task, new_app

APP = new_app()
TASKS = [add_task(APP, lambda x=0, y=0: x, f"link_{number}") for number in range(4)]


@contextmanager
def celerys_own_links():
    ours = _chain.__or__
    _chain.__or__ = ours.__wrapped__
    try:
        yield
    finally:
        _chain.__or__ = ours


def first_parts():
    """Something of everything that can be linked."""
    a, b, c, d = TASKS
    return [
        a.s(1),
        b.s(y=2).set(task_id="id-b", queue="q"),
        c.si(3),
        a.s() | b.s(),
        chain(c.s(4)),
        chain(),
        chain(a.s(), b.s(), c.s()),
        group(a.s(5), b.s(6)),
        group(d.s(7)),
        chord([a.s(), b.s()], c.s()),
        d.s(link=[a.s(8)]),
    ]


def link(parts, left, right):
    parts.append(parts[left] | parts[right])


def member_of(part, number):
    members = getattr(part, "tasks", ())
    return members[number % len(members)] if isinstance(members, list | tuple) and members else part


def set_option(parts, at, number):
    member_of(parts[at], number).set(queue=f"q{number}")


def replace_arguments(parts, at, number):
    if (member := member_of(parts[at], number)).subtask_type is None:
        member["kwargs"] = {"y": number}


def link_member(parts, at, number):
    member_of(parts[at], number).link(TASKS[number].s("callback"))


def link_error(parts, at, number):
    if "tasks" not in parts[at].kwargs or parts[at].tasks:
        parts[at].set(link_error=[TASKS[number].s("errback")])


def set_on_whole(parts, at, number):
    parts[at].set(label=f"l{number}")


def look(parts, at, number):
    [repr, dict, list, dumps][number](parts[at])


def copy(parts, at, number):
    parts.append([Signature.clone, lambda sig: pickle.loads(pickle.dumps(sig))][number % 2](parts[at]))


def append_member(parts, at, number):
    if isinstance(getattr(parts[at], "tasks", None), list):
        parts[at].tasks.append(TASKS[number].s("appended"))


CHANGES = [set_option, replace_arguments, link_member, link_error, set_on_whole, look, copy, append_member]
numbers = st.integers(0, 3)
places = st.integers(0, 200)
steps = st.lists(
    st.one_of(
        st.tuples(st.just(link), places, places),
        st.tuples(st.just(link), st.just(-1), places),
        st.tuples(st.sampled_from(CHANGES), places, numbers),
    ),
    max_size=25,
)


def after(program):
    """All parts after these steps, as plain data; which of their members are the same object; the kinds of parts."""
    parts = first_parts()
    for step, left, right in program:
        place = left % len(parts) if left >= 0 else len(parts) - 1
        try:
            step(parts, place, right % len(parts) if step is link else right)
        except (TypeError, AttributeError, LookupError) as error:
            # Celery can't do everything with everything; then it must refuse here, too.
            parts.append(TASKS[0].s(type(error).__name__))
    seen = {}
    same = [seen.setdefault(id(sig), len(seen)) for part in parts for sig in _all_in(part)]
    return json.loads(dumps(parts)), same, [type(part) for part in parts]


def _all_in(sig):
    members = getattr(sig, "tasks", None) or ()
    return [sig, *(inner for member in list(members) for inner in _all_in(member))]


@pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header")
@given(steps)
def test_linking_is_celerys(program):
    """Members, options, copies and what is the same object: all as with Celery's own `|`."""
    ours = after(program)
    with celerys_own_links():
        celerys = after(program)

    assert ours == celerys


@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=12), st.sampled_from(["|", "chain"]))
def test_frozen_chains_have_the_same_ids(members, built):
    """The results of a chain are those of its members, in order, whatever built it."""

    def ids():
        sigs = [
            (TASKS[number].si if immutable else TASKS[number].s)().set(task_id=f"id-{at}")
            for at, (number, immutable) in enumerate(members)
        ]
        whole = chain(*sigs) if built == "chain" else _piped(sigs)
        result, found = whole.freeze(), []
        while result is not None:
            found.append(result.id)
            result = result.parent
        return found

    ours = ids()
    with celerys_own_links():
        celerys = ids()

    assert ours == celerys == [f"id-{at}" for at in range(len(members))][::-1]


def _piped(sigs):
    whole = sigs[0]
    for sig in sigs[1:]:
        whole |= sig
    return whole


@pytest.mark.parametrize("build", [_piped, lambda sigs: chain(*sigs), lambda sigs: _piped([chain(), *sigs])])
def test_copies_grow_with_the_chain(build, monkeypatch):
    """A chain four times as long takes four times the copies, not sixteen times."""
    copies = []
    clone = Signature.clone

    def counted(self, *args, **kwargs):
        copies.append(self)
        return clone(self, *args, **kwargs)

    monkeypatch.setattr(Signature, "clone", counted)

    def copies_for(length):
        copies.clear()
        assert len(build([TASKS[0].s() for _ in range(length)]).tasks) == length
        return len(copies)

    assert copies_for(200) <= 4 * copies_for(50) + 8


def test_a_looked_at_chain_is_celerys_own_kind():
    """Who looks sees a plain chain."""
    three = TASKS[0].s() | TASKS[1].s() | TASKS[2].s()
    dict(three)

    assert type(three) is _chain
    assert type(pickle.loads(pickle.dumps(TASKS[0].s() | TASKS[1].s() | TASKS[2].s()))) is _chain


def test_a_kind_of_chain_of_an_application_links_itself():
    """A subclass of Celery's chain is not taken for Celery's."""

    class Own(_chain):
        """A chain of an application."""

    whole = Own([TASKS[0].s(), TASKS[1].s()]) | TASKS[2].s() | TASKS[3].s()

    assert type(whole) is Own
    assert [member.task for member in whole.tasks] == [task.name for task in TASKS]
