"""How rows of a tree look."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from firexkit.cli.branches import Row
from firexkit.cli.drawing import Paper, cut_end, cut_middle, drawn, summed_up
from firexkit.runtime.progress import FAILED, RECEIVED, RUNNING, SUCCEEDED

ROWS = [
    Row(0, "waiting", "test", 0.0, None, {"waiting": 1}, "waits for 2 check, lint"),
    Row(1, RUNNING, "check", 10.0, None, {SUCCEEDED: 37, FAILED: 1, RUNNING: 2}, longest=40.0),
    Row(2, FAILED, "check", 10.0, 11.0, {FAILED: 1}, "ValueError('nothing\x1b[31m works')"),
    Row(1, RUNNING, "lint_all_of_the_many_sources_of_this_large_project", 95.0, None, {RUNNING: 1}, "", "w@far", 2),
    Row(1, RECEIVED, "übersetzen", counts={RECEIVED: 1}),
    Row(0, "pending", "package", note="waits for test"),
    Row(0, "more", "and 1,200 more", counts={SUCCEEDED: 1200}),
]


def lines(width: int, *, is_ascii: bool = False) -> list[str]:
    return [line.plain for line in drawn(ROWS, Paper(width, 24, is_ascii), now=100.0)]


def test_eighty_columns():
    assert lines(80) == [
        "▷ test                              1:40  waits for 2 check, lint",
        "  ▶ check                           1:30  38 of 40  █████░  2 running, 1 failed",
        "    ✘ check                       1.00 s  ValueError: nothing [31m works",
        "  ▶ lint_all_of_t…large_project      5 s  attempt 3, on far",
        "  ○ übersetzen                            queued",
        "○ package                                 waits for test",
        "… and 1,200 more: 1,200 succeeded",
    ]


def test_a_wide_terminal_has_room_for_whole_names_longer_bars_and_the_longest():
    wide = lines(160)

    assert "lint_all_of_the_many_sources_of_this_large_project" in wide[3]
    assert f"38 of 40  {'█' * 28}{'░' * 2}  2 running, 1 failed (longest 1:00)" in wide[1]


def test_what_may_grow_has_no_bar():
    """It would always look as if it were nearly done."""
    row = Row(0, RUNNING, "check", 10.0, None, {SUCCEEDED: 37, RUNNING: 2}, may_grow=True)

    assert drawn([row], Paper(80, 24), 100.0)[0].plain == "▶ check     1:30  37 of 39 so far  2 running"


@pytest.mark.parametrize("width", [1, 20, 33, 40, 79, 80, 120, 200])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_no_line_is_wrapped_and_the_last_column_stays_empty(width: int, is_ascii: bool):
    assert max(map(cell_len, lines(width, is_ascii=is_ascii))) < max(width, 20)


def test_in_ascii():
    drawn_in_ascii = lines(80, is_ascii=True)

    assert " ".join(drawn_in_ascii[1].split()) == "> check 1:30 38 of 40 #####. 2 running, 1 failed"
    assert "".join(drawn_in_ascii).replace("ü", "").isascii()


@pytest.mark.parametrize(
    ("name", "width", "cut"),
    [
        ("short", 5, "short"),
        ("compile_everything", 9, "comp…hing"),
        ("日本語日本語日本語", 9, "日本…本語"),
        ("abc", 1, "…"),
    ],
)
def test_names_are_cut_in_the_middle(name: str, width: int, cut: str):
    assert cut_middle(name, width) == cut
    assert cell_len(cut) <= width


def test_other_texts_are_cut_at_the_end():
    assert (cut_end("a long text", 7), cut_end("text", 4)) == ("a long…", "text")


def test_the_line_below_the_tree():
    counts = {SUCCEEDED: 4812, RUNNING: 8, FAILED: 0, RECEIVED: 20}

    assert summed_up(counts, 75.4, Paper(80, 24)).plain == "1:15  8 running, 20 queued, 4,812 succeeded"
    assert summed_up({}, 0.4, Paper(80, 24)).plain == "0 s  starting"
    assert summed_up({SUCCEEDED: 1}, 0.4, Paper(80, 24), is_over=True).plain == "0.40 s  1 succeeded"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("ValueError('nothing works')", "ValueError: nothing works"),
        ("FireXReturnCodeException(3, 'tests fail')", "FireXReturnCodeException: tests fail"),
        ("""SyntaxError("don't", ('a.py', 2))""", "SyntaxError: don't"),
        ("KeyError()", "KeyError()"),
        ("Odd(<object>)", "Odd(<object>)"),
        ("TimeLimitExceeded(600.0)", "TimeLimitExceeded(600.0)"),
    ],
)
def test_an_error_is_shown_by_its_class_and_text(error: str, shown: str):
    row = Row(0, FAILED, "check", counts={FAILED: 1}, note=error)

    assert drawn([row], Paper(80, 24), 0.0)[0].plain.split(maxsplit=2)[2] == shown
