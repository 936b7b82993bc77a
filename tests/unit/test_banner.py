"""How values look in a task's banners."""

import pytest

from firexkit.task.banner import LONGEST_VALUE, completion_banner, start_banner


class Sulky:
    """An object that does not want to be shown."""

    def __repr__(self):
        raise ValueError("no")


def shown(value):
    """The value as the banner of a start has it, its lines joined."""
    lines = start_banner("name", {"x": value}, {}, from_plugin=False).splitlines()
    return "".join(lines[4:-1]).removeprefix("  1. x: ")


@pytest.mark.parametrize("value", ["text", b"bytes", {"b": [1], "a": (2,)}, "x" * (LONGEST_VALUE - 2)])
def test_what_can_be_read_is_shown_whole(value):
    """As Python writes it."""
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "value", ["x" * 1_000_000, b"x" * 1_000_000, ["x"] * 200_000, {"deep": {"text": "x" * 1_000_000}}]
)
def test_what_nobody_reads_is_cut(value):
    """Of a large value there is the beginning, and its size."""
    text = shown(value)

    assert text.startswith(repr(value)[: LONGEST_VALUE - 1])
    assert len(text) < LONGEST_VALUE + 100
    assert text.endswith(" characters)")


def test_a_value_that_cannot_be_shown_fails_no_task():
    """The banner says so instead."""
    assert "Sulky, whose repr() raised ValueError" in shown(Sulky())
    assert "whose repr() raised" in completion_banner("name", Sulky())
