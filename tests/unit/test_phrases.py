"""What people write and read: times, sizes, counts."""

from __future__ import annotations

from datetime import datetime

import pytest

from firexkit.cli.phrases import bytes_in, counted, short, since, size_of
from firexkit.journal.tree import State

NOW = datetime(2026, 5, 4, 15, 30)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", datetime(2026, 5, 4, 15, 28, 30)),
        ("2h", datetime(2026, 5, 4, 13, 30)),
        ("1.5 h ago", datetime(2026, 5, 4, 14, 0)),
        ("3d", datetime(2026, 5, 1, 15, 30)),
        ("1w", datetime(2026, 4, 27, 15, 30)),
        ("today", datetime(2026, 5, 4)),
        ("yesterday", datetime(2026, 5, 3)),
        ("2026-05-01", datetime(2026, 5, 1)),
        ("2026-05-01 14:00", datetime(2026, 5, 1, 14)),
    ],
)
def test_a_time_as_people_write_it(text, meant):
    assert since(text, NOW) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "3", "2026-13-01"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match=r"is no time; write it like 2h"):
        since(text, NOW)


@pytest.mark.parametrize(
    ("text", "meant"), [("12", 12), ("500M", 500_000_000), ("1.5G", 1_500_000_000), ("2 kB", 2000)]
)
def test_a_size_as_people_write_it(text, meant):
    assert bytes_in(text) == meant


@pytest.mark.parametrize("text", ["", "G", "-1M", "many"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size; write it like 500M"):
        bytes_in(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (7_356_416, "7.4 MB"), (2e12, "2.0 TB")],
)
def test_a_size_as_people_read_it(number, text):
    assert size_of(number) == text


def test_counts_stand_in_the_order_of_interest():
    assert counted([State.FAILED, State.SUCCEEDED, State.SUCCEEDED]) == "2 succeeded, 1 failed"


@pytest.mark.parametrize(("name", "last"), [("a.b.c", "c"), ("c", "c"), ("a.b|a.c", "b"), ("", "")])
def test_the_short_name_of_a_task(name, last):
    assert short(name) == last
