"""Values as a journal keeps them, and how facts travel."""

import json
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from firexkit._serialization.large import LargeValue, Place
from firexkit.journal import stream
from firexkit.journal.model import Queued, Unblocked, decoded, encoded
from firexkit.journal.valuing import LONGEST, PREVIEW, Valuer, beginning, end

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_a_small_value_is_shown_whole_as_json(value):
    shown, whole = Valuer().value("run", value)
    if shown.size <= PREVIEW:
        assert (json.loads(shown.preview), whole) == (value, None)


@given(JSON, JSON)
def test_digests_are_equal_if_and_only_if_the_json_is(one, other):
    digests = [Valuer().value("run", value).digest for value in (one, other)]
    assert (digests[0] == digests[1]) == (json.dumps(one) == json.dumps(other))


def test_a_longer_value_is_told_whole_once_in_each_run():
    valuer, text = Valuer(), "long " * PREVIEW
    assert json.loads(valuer.value("a", text).whole or b"") == text
    assert valuer.value("a", text).whole is None
    assert valuer.value("b", text).whole is not None
    assert len(valuer.value("a", text).shown.preview) == PREVIEW


def test_what_is_too_long_to_be_kept_has_its_digest_and_its_size():
    shown, whole = Valuer().value("run", "x" * LONGEST)
    assert (shown.size, whole) == (LONGEST + 2, None)
    assert shown.digest != Valuer().value("run", "x" * (LONGEST - 1) + "y").digest


def test_a_large_value_that_is_not_here_is_not_fetched():
    def read(_places):
        raise AssertionError("fetched")

    shown, whole = Valuer().value("run", LargeValue(Place("owner", "abc"), 5_000_000, None, read))
    assert (shown.digest, shown.preview, shown.size, whole) == ("abc", "", 5_000_000, None)


@dataclass
class Point:
    x: int
    at: Path


class Odd:
    def __repr__(self):
        return "<odd \ud800>"


def test_any_object_can_be_told():
    circle = []
    circle.append(circle)
    for value in (Point(1, Path("/a")), {1, 2}, {(1, 2): 3}, b"\xff", "\ud800", object(), Odd(), circle, float("nan")):
        assert Valuer().value("run", value).shown.preview


def test_texts_are_cut_where_they_say_least():
    assert beginning("short") == end("short") == "short"
    assert beginning("a" * 10_000 + "z").endswith("a …")
    assert end("a" * 10_000 + "z").endswith("az")


@given(st.lists(st.integers(1, 5), max_size=5))
def test_what_is_added_to_a_stream_is_read_again(sizes):
    entries, facts = [], []
    for number, size in enumerate(sizes):
        told = [Unblocked(at=float(at), task=f"{number}.{at}", attempt=1) for at in range(size)]
        fields = stream.addition("run", map(encoded, told), {f"d{number}": b"whole"})[6:]
        named = {str(name).encode(): content for name, content in zip(fields[::2], fields[1::2], strict=True)}
        entries.append((f"{number + 1}-0".encode(), named))
        facts += told
    read = stream.portion(entries, "0")
    assert [decoded(raw) for _, raw in read.facts] == facts
    assert len({place for place, _ in read.facts}) == len(facts)
    assert read.values == [(f"d{number}", b"whole") for number in range(len(sizes))]
    assert read.last == (f"{len(sizes)}-0" if sizes else "0")


def test_a_place_tells_where_to_read_on():
    fields = stream.addition("run", [encoded(Queued(at=1.0, task="a", name="n"))], {})[6:]
    ((place, _),) = stream.portion([(b"7-3", {str(fields[0]).encode(): fields[1]})], "0").facts
    assert stream.entry_of(place) == "7-3"
    assert stream.entry_of("") == "0"
