"""Large values: what is stored on its own, what travels in its place, and how it comes back."""

import copy
import json
import pickle
import time
from dataclasses import dataclass

import kombu.utils.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firexkit import _wire
from firexkit._serialization import WireError, decode, encode
from firexkit._serialization.errors import LostValueError
from firexkit._serialization.keeping import SMALLEST, Keeper, Known, candidates
from firexkit._serialization.large import LargeValue, Place, entries_of, fetch, fetched, late
from firexkit._serialization.packing import exceeds, packed, unpacked, values_of
from unit.test_wire_values import LAW, Endless, Level, Model, Point, Rights, Word, same, values, words

BIG = "x" * 2000


class Shelf:
    """Keeps values in memory, and counts."""

    def __init__(self, *, away=False, expires=None):
        self.kept, self.renewed, self.reads, self.away, self.expires = {}, [], 0, away, expires

    def until(self):
        return None if self.expires is None else int(time.time()) + 2 * self.expires

    def is_stale(self, until):
        return until is not None and until < time.time() + self.expires

    def keep(self, new, renewed):
        if self.away:
            return False
        self.kept.update(new)
        self.renewed.extend(renewed)
        return True

    def read(self, places):
        self.reads += 1
        return values_of([self.kept.get(place) for place in places])


@pytest.fixture
def shelf():
    return Shelf()


def keeper(shelf, *, limit=1000, addressee="child", known=None):
    return Keeper(limit, shelf, addressee, known if known is not None else Known())


def through(bag, shelf, *, limit=1000, known=None):
    """A bag as the next task gets it."""
    sent = {**bag, **keeper(shelf, limit=limit, known=known).sent_for(bag)}
    return decode(kombu.utils.json.loads(kombu.utils.json.dumps(encode(sent))), shelf.read)


def late_bag(shelf, **bag):
    """A bag whose large values were not fetched yet."""
    return through(bag, shelf)


# ── laws ─────────────────────────────────────────────────────────────────────────────────


@LAW
@given(st.dictionaries(words, values, max_size=4), st.integers(1, 5000), st.booleans())
def test_a_bag_comes_back_as_it_was(bag, limit, is_wide):
    """Whatever is in a bag and whatever counts as large: equal values of equal types come out at the other end."""
    bag = {**bag, "wide": [bag] * 20, "text": "é" * limit} if is_wide else bag

    assert same(fetched(through(bag, Shelf(), limit=limit)), bag)


@LAW
@given(values)
def test_what_is_stored_comes_back_as_it_was(value):
    """A value that is stored on its own comes back equal, with the same types at every level."""
    assert same(unpacked(packed(value)), value)


@LAW
@given(st.dictionaries(words, values, max_size=4))
def test_small_values_travel_as_they_always_did(bag):
    """A bag with nothing large in it is the same bytes with and without a place for large values."""
    small = {name: value for name, value in bag.items() if name not in candidates(bag.items())}
    shelf = Shelf()

    assert json.dumps(encode({**small, **keeper(shelf).sent_for(small)})) == json.dumps(encode(small))
    assert not shelf.kept


@LAW
@given(values)
def test_looking_at_the_size_changes_nothing(value):
    """Whether a value is large is found out without touching it."""
    before = copy.deepcopy(value)
    exceeds(value, 10)

    assert same(value, before)


# ── how large ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_001,
        b"x" * 10_001,
        ["x" * 100] * 101,
        list(range(5000)),
        {"a": {"b": ["x" * 10_001]}},
        {"x" * 10_001: 1},
        ("x" * 6000, {"y" * 6000}),
        Point("x" * 10_001),
        Model(inner=["x" * 10_001]),
        ValueError("x" * 10_001),
        Endless(["x" * 10_001]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_large_wherever_the_bulk_is(value):
    """A value is large by what it holds, at any level."""
    assert exceeds(value, 10_000)
    assert not exceeds(value, 100_000)


def test_a_ring_has_a_size():
    """A list that holds itself ends the search like any other."""
    ring = []
    ring.append(ring)

    assert exceeds(ring, 10_000)


def test_an_object_that_answers_with_an_error_is_small():
    """Looking must not fail what encoding has to judge."""

    @dataclass
    class Sour:
        x: object

        def __getattribute__(self, name):
            raise RuntimeError

    assert not exceeds(Sour(BIG), SMALLEST)


@pytest.mark.parametrize("value", [Word.YES, Level.HIGH, Rights.ALL, Word, test_a_ring_has_a_size, json, object()])
def test_what_has_no_bulk_of_its_own_is_small(value):
    """A member of an enum is a name, however much its class holds; what cannot travel has no size."""
    assert not exceeds(value, 50)


def test_a_long_list_is_not_walked_beyond_the_limit():
    """The search in a value of millions of parts ends as soon as the answer is known."""
    value = [[["x" * 1000] * 1000] * 1000] * 1000

    assert exceeds(value, 64 * 1024)


# ── dicts that fetch ─────────────────────────────────────────────────────────────────────


def _as_keywords(**given):
    return given


def _updated(bag):
    taken = {}
    taken.update(bag)
    return taken


def _matched(bag):
    match bag:
        case {"one": one, "two": two, "three": three}:
            return {"one": one, "two": two, "three": three}


ALL_AT_ONCE = {
    "items": lambda bag: dict(bag.items()),
    "values": lambda bag: dict(zip(bag, bag.values(), strict=True)),
    "copy": lambda bag: bag.copy(),
    "copy.copy": copy.copy,
    "deep copy": copy.deepcopy,
    "pickle": lambda bag: pickle.loads(pickle.dumps(bag)),
    "or": lambda bag: bag | {},
    "or it": lambda bag: {} | bag,
    "json": lambda bag: json.loads(json.dumps(bag)),
    "kombu": lambda bag: kombu.utils.json.loads(kombu.utils.json.dumps(bag)),
    "sorted": lambda bag: dict(sorted(bag.items())),
}
ONE_BY_ONE = {
    "dict": dict,
    "unpacked": lambda bag: {**bag},
    "keywords": lambda bag: _as_keywords(**bag),
    "update": _updated,
    "getitem": lambda bag: {name: bag[name] for name in bag},
    "get": lambda bag: {name: bag.get(name) for name in bag},
    "setdefault": lambda bag: {name: bag.setdefault(name, 5) for name in bag},
    "pop": lambda bag: {name: bag.pop(name) for name in list(bag)},
    "popitem": lambda bag: dict(bag.popitem() for _ in range(3)),
    "match": _matched,
}


@pytest.mark.parametrize(
    ("way", "most"),
    [*((way, 1) for way in ALL_AT_ONCE.values()), *((way, 2) for way in ONE_BY_ONE.values())],
    ids=[*ALL_AT_ONCE, *ONE_BY_ONE],
)
def test_every_way_to_read_gives_the_values(shelf, way, most):
    """Whoever takes a bag apart gets values, however it is done, and few round trips are made."""
    taken = way(late_bag(shelf, one=BIG, two={"a": BIG}, three=3))

    assert taken == {"one": BIG, "two": {"a": BIG}, "three": 3}
    assert shelf.reads <= most


def test_only_what_is_read_is_fetched(shelf):
    """Names, small values and the length cost nothing; a large value is fetched alone and once."""
    bag = late_bag(shelf, one=BIG, two=[BIG], three=3)

    assert (list(bag), len(bag), "one" in bag, bag["three"], bag.get("four")) == (
        ["one", "two", "three"],
        3,
        True,
        3,
        None,
    )
    assert shelf.reads == 0
    assert bag["one"] is bag["one"]
    assert shelf.reads == 1


def test_it_compares_as_a_dict(shelf):
    """Equal to what it holds, from both sides; unlike anything else."""
    bag, other = late_bag(shelf, one=BIG, two=2), late_bag(shelf, one=BIG, two=2)

    assert bag == {"one": BIG, "two": 2} == bag
    assert bag == other
    assert not bag != other  # noqa: SIM202 - the other operator is another method
    assert bag != {"one": 1, "two": 2}
    assert bag != 5


def test_it_shows_itself_as_a_dict(shelf):
    """In logs and in a debugger it is the dict that it stands for."""
    assert repr(late_bag(shelf, one=BIG)) == repr({"one": BIG})


def test_what_nobody_may_have_changed_is_kept_apart(shelf):
    """Whoever passes a bag on takes its entries as they are, and nothing is fetched."""
    bag = late_bag(shelf, one=BIG, two=2)

    assert [type(value) for _, value in entries_of(bag)] == [LargeValue, int]
    assert shelf.reads == 0


def test_a_dict_without_large_values_stays_itself():
    """Nobody pays for what is not there."""
    plain = {"a": 1}

    assert late(plain) is plain


# ── lost values ──────────────────────────────────────────────────────────────────────────


def test_a_lost_value_is_told_by_its_name(shelf):
    """The error says which value of the bag it is, how large, whose, and what may have happened."""
    bag = late_bag(shelf, one=BIG, two=2)
    shelf.kept.clear()

    with pytest.raises(LostValueError, match=r"'one' \(2001 bytes, .* task child\).*expired.*forgotten.*backend"):
        bag["one"]
    with pytest.raises(LostValueError, match="'one'"):
        bag.items()
    assert bag["two"] == 2


def test_a_large_value_without_a_backend_is_lost():
    """A process that cannot read says so, instead of handing out something else."""
    value = LargeValue(Place("a", "b"), 5, None)

    with pytest.raises(LostValueError, match="A large value"):
        fetch({None: value})


@pytest.mark.parametrize(
    "encoded",
    [
        [{_wire.TAG: _wire.TAG_LARGE, "value": ["a", "b", 1, None]}],
        {"a": {"b": {_wire.TAG: _wire.TAG_LARGE, "value": ["a", "b", 1, None]}}},
        {_wire.TAG: _wire.TAG_LARGE, "value": ["a", "b"]},
        {_wire.TAG: _wire.TAG_LARGE, "value": ["a", 5, 1, None]},
    ],
)
def test_a_large_value_stands_only_where_it_is_fetched(shelf, encoded):
    """One in the depth of a value, or of another shape, is not ours."""
    with pytest.raises(WireError):
        decode({_wire.ENVELOPE: 1, "value": encoded}, shelf.read)


def test_what_looks_like_one_stays_what_it_is(shelf):
    """A value of a user that has our tags is escaped, as all tags are."""
    value = {_wire.ENVELOPE: 1, "value": {_wire.TAG: _wire.TAG_LARGE, "value": ["a", "b", 1, None]}}

    assert through({"x": value, "big": BIG}, shelf) == {"x": value, "big": BIG}


def test_an_unknown_kind_of_storage_is_refused():
    """What another release stores is not guessed at."""
    with pytest.raises(WireError, match="one release of firexkit"):
        unpacked(b"?abc")


# ── what is sent ─────────────────────────────────────────────────────────────────────────


def test_a_large_value_is_stored_for_the_task_that_it_is_sent_to(shelf):
    """The message has where it is; the store has it under the id of the task."""
    sent = keeper(shelf).sent_for({"big": BIG, "small": 1})

    assert sent["small"] == 1
    assert [place.owner for place in shelf.kept] == ["child"]
    assert sent["big"].place in shelf.kept


def test_the_same_value_twice_in_a_message_is_stored_once(shelf):
    """Equal values have one place."""
    sent = keeper(shelf).sent_for({"a": BIG, "b": BIG[:], "c": [BIG], "d": [BIG]})

    assert len(shelf.kept) == 2
    assert sent["a"].place == sent["b"].place
    assert sent["c"].place == sent["d"].place


def test_what_came_with_the_arguments_goes_on_as_it_came(shelf):
    """A value that passes through is not stored again, read or not, under this name or another."""
    bag, known = late_bag(shelf, text=BIG, data=[BIG]), Known("me")
    known.learn(dict(entries_of(bag)).values())
    first = keeper(shelf, known=known).sent_for(dict(entries_of(bag)))
    fetched(bag)
    again = keeper(shelf, known=known).sent_for({**dict(entries_of(bag)), "other": bag["text"], "more": [*bag["data"]]})

    assert len(shelf.kept) == 2
    assert first["text"].place == again["text"].place == again["other"].place
    assert first["data"].place == again["data"].place == again["more"].place


def test_a_text_that_passes_through_is_not_even_looked_into(shelf, monkeypatch):
    """The object that was fetched is known as such, so nothing is written to find out what it is."""
    bag, known = late_bag(shelf, text=BIG), Known("me")
    known.learn(dict(entries_of(bag)).values())
    fetched(bag)
    monkeypatch.setattr("firexkit._serialization.keeping.packed", None)

    assert keeper(shelf, known=known).sent_for({"again": bag["text"]})["again"].place in shelf.kept


def test_a_value_that_was_changed_in_place_goes_on_changed(shelf):
    """Who appends to a list of the bag, appends to the list that the next task gets."""
    bag, known = late_bag(shelf, data=[BIG]), Known("me")
    known.learn(dict(entries_of(bag)).values())
    bag["data"].append("more")

    assert through(dict(entries_of(bag)), shelf, known=known) == {"data": [BIG, "more"]}


def test_a_value_that_shrank_travels_in_the_message(shelf):
    """What became small is small."""
    bag, known = late_bag(shelf, data=[BIG]), Known("me")
    known.learn(dict(entries_of(bag)).values())
    bag["data"].clear()

    assert keeper(shelf, known=known).sent_for(dict(entries_of(bag))) == {"data": []}


def test_a_large_value_from_elsewhere_is_stored_anew(shelf):
    """What a child's result brought may be forgotten with the child, so it is sent as a value of the sender's."""
    bag = late_bag(shelf, text=BIG)
    sent = keeper(shelf, addressee="next", known=Known("me")).sent_for(dict(entries_of(bag)))

    assert sent["text"].place.owner == "next"


def test_a_value_for_several_tasks_is_the_senders(shelf):
    """The first task gets its own, with the second it is stored for the sender, and after that no more."""
    known = Known("me")
    owners = [
        keeper(shelf, addressee=child, known=known).sent_for({"x": BIG})["x"].place.owner
        for child in ("a", "b", "c", "d")
    ]

    assert owners == ["a", "me", "me", "me"]
    assert len(shelf.kept) == 2


def test_of_many_values_for_several_tasks_only_the_latest_are_held():
    """A task that sends thousands of them does not keep them in memory, and stores none of them twice for itself."""
    shelf, known, texts = Shelf(), Known("me"), [f"{number} {BIG}" for number in range(20)]
    for child in ("a", "b", "c"):
        for text in texts:
            keeper(shelf, addressee=child, known=known).sent_for({"x": text})

    assert len(shelf.kept) == 40
    assert [known.like(text) is not None for text in texts] == [False] * 12 + [True] * 8


def test_outside_of_a_task_nothing_is_shared(shelf):
    """A program that submits has no end at which its values could be forgotten, so each task gets its own."""
    known = Known()
    owners = {keeper(shelf, addressee=child, known=known).sent_for({"x": BIG})["x"].place.owner for child in ("a", "b")}

    assert owners == {"a", "b"}


def test_a_store_that_is_away_is_no_failure():
    """New values travel in the message then, and known ones as they came."""
    shelf = Shelf()
    bag, known = late_bag(shelf, text=BIG), Known("me")
    known.learn(dict(entries_of(bag)).values())
    shelf.away = True
    sent = keeper(shelf, known=known).sent_for({**dict(entries_of(bag)), "new": "y" * 2000})

    assert sent["new"] == "y" * 2000
    assert sent["text"].place in shelf.kept
    assert known.like(sent["new"]) is None


@pytest.mark.parametrize("limit", [None, 0])
def test_off_means_in_the_message(shelf, limit):
    """Without a limit nothing new is stored; what came stored goes on so."""
    bag, known = late_bag(shelf, text=BIG), Known("me")
    known.learn(dict(entries_of(bag)).values())
    sent = keeper(shelf, limit=limit, known=known).sent_for({**dict(entries_of(bag)), "new": "y" * 2000})

    assert sent["new"] == "y" * 2000
    assert isinstance(sent["text"], LargeValue)


def test_a_reference_is_never_stored(shelf):
    """What a text like ``@name`` asks for is known only to the bag that it arrives in."""
    assert keeper(shelf).sent_for({"x": "@" + BIG}) == {"x": "@" + BIG}


def test_a_value_that_cannot_travel_is_left_to_who_encodes_the_rest(shelf):
    """The error is about the whole: it names the argument and the path in it."""
    value = [BIG, object()]

    assert keeper(shelf).sent_for({"x": value})["x"] is value


def test_what_passes_on_lives_as_long_as_what_refers_to_it():
    """A value that would expire before a new result is kept for longer; one that has time is not touched."""
    shelf, known = Shelf(expires=1000), Known("me")
    bag = late_bag(shelf, text=BIG)
    known.learn(dict(entries_of(bag)).values())
    keeper(shelf, known=known).sent_for(dict(entries_of(bag)))
    fresh = list(shelf.renewed)
    old = {name: value.as_stored(int(time.time()) + 900) for name, value in entries_of(bag)}
    sent = keeper(shelf, known=known).sent_for(old)

    assert fresh == []
    assert shelf.renewed == ["child"]
    assert sent["text"].until > time.time() + 1900


def test_a_message_that_is_not_ours_gets_the_value(shelf):
    """kombu asks a stand-in for the value."""
    sent = dict(entries_of(late_bag(shelf, big=[BIG])))

    assert kombu.utils.json.loads(kombu.utils.json.dumps(sent)) == {"big": [BIG]}


def test_a_mutable_value_in_the_making_of_a_chain_is_encoded_anew(shelf):
    """What somebody may have changed since it came is written as it is now."""
    bag = late_bag(shelf, data=[BIG])
    bag["data"].append("more")

    assert encode(dict(entries_of(bag))["data"]) == [BIG, "more"]
