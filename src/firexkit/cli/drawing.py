"""How rows of a tree look: a line of text for each, for a terminal of some width, in ASCII if need be."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from firexkit.cli.branches import MORE, PENDING, Row
from firexkit.cli.letters import in_ascii
from firexkit.cli.phrases import elapsed, plain_error
from firexkit.cli.screen import MARKS
from firexkit.runtime.progress import BLOCKED, FAILED, RECEIVED, RETRIED, REVOKED, RUNNING, SUCCEEDED

LOOKS: Final = {
    **MARKS,
    BLOCKED: ("▷", "cyan"),
    RECEIVED: ("○", "dim"),
    PENDING: ("○", "dim"),
    MORE: ("…", "dim"),
}
CALM: Final = frozenset({RUNNING, BLOCKED, SUCCEEDED})
"""States that colour their sign, not the whole row."""
WORDS: Final = {RECEIVED: "queued", PENDING: "not sent", RETRIED: "to be tried again", REVOKED: REVOKED}
"""What a state is called where its own name says less."""
COUNTED: Final = (RUNNING, BLOCKED, RETRIED, RECEIVED, SUCCEEDED, FAILED, REVOKED, PENDING)
"""The order in which states are counted."""
HERE: Final = socket.gethostname()
NARROWEST: Final = 20
TIME_WIDTH: Final = 7
GAP: Final = "  "
SHORTEST_BAR: Final = 6
LONGEST_BAR: Final = 30
LONG: Final = 2.0
"""Seconds from which on it is of interest how long the longest of several takes."""
WIDE: Final = 120
"""From this width on there is room for what is not needed at once."""


@dataclass(frozen=True)
class Paper:
    """What is drawn on.

    Attributes:
        width: columns.
        height: lines.
        is_ascii: whether it takes no other letters.
    """

    width: int
    height: int
    is_ascii: bool = False


def drawn(rows: Sequence[Row], paper: Paper, now: float) -> list[Text]:
    """A line for each row, none wider than the paper.

    Args:
        rows: from the top.
        paper: what they are drawn on.
        now: Unix time.
    """
    # The last column stays empty: some terminals go to the next line when it is written.
    width = max(paper.width, NARROWEST) - 1
    named = [row for row in rows if row.state != MORE]
    wanted = max((_indent(row, width) + 2 + cell_len(row.name) for row in named), default=0)
    told = max((_width_of_rest(row, paper, now) for row in named), default=0)
    # Names may have what the rest leaves, and two fifths at least.
    name_width = min(wanted, max(width - TIME_WIDTH - 2 * len(GAP) - told, width * 2 // 5))
    return [_line(row, name_width, width, paper, now) for row in rows]


def summed_up(counts: Mapping[str, int], seconds: float, paper: Paper, *, is_over: bool = False) -> Text:
    """The line below the tree: how long it takes, and how many tasks are in which state.

    Args:
        counts: how many.
        seconds: since the run began.
        paper: what it is drawn on.
        is_over: whether the run is.
    """
    took = elapsed(seconds) if is_over else passing(seconds)
    return _cut(f"{took}{GAP}{_counted(counts, COUNTED) or 'starting'}", max(paper.width, NARROWEST) - 1, "bold", paper)


def passing(seconds: float) -> str:
    """A duration that goes on: without fractions, which would flicker."""
    return f"{max(0.0, seconds):.0f} s" if seconds < 10 else elapsed(seconds)


def cut_end(text: str, width: int, mark: str = "…") -> str:
    """A text of at most ``width`` columns: what is too much is cut off at its end."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - cell_len(mark))).rstrip() + mark[: max(0, width)]


def cut_middle(text: str, width: int, mark: str = "…") -> str:
    """A text of at most ``width`` columns: its beginning and its end tell names apart, so its middle goes."""
    if cell_len(text) <= width:
        return text
    room = max(0, width - cell_len(mark))
    tail = text[len(text) - room // 2 :]
    while cell_len(tail) > room // 2:
        tail = tail[1:]
    return set_cell_size(text, room - cell_len(tail)).rstrip() + mark[: max(0, width)] + tail


def _line(row: Row, name_width: int, width: int, paper: Paper, now: float) -> Text:
    if row.state == MORE:
        return _cut(f"{LOOKS[MORE][0]} {row.name}: {_counted(row.counts, COUNTED)}", width, "dim", paper)
    mark, style = LOOKS[row.state]
    indent = _indent(row, width)
    dots = "..." if paper.is_ascii else "…"
    name = cut_middle(_letters(row.name, paper), max(name_width - indent - 2, 1), dots)
    line = Text(" " * indent, style="" if row.state in CALM else style)
    line.append(f"{_letters(mark, paper)} ", style=style)
    line.append(name, style="bold" if row.state in (RUNNING, FAILED) else "")
    line.append(" " * max(0, name_width - line.cell_len))
    line.append(GAP + _time(row, now).rjust(TIME_WIDTH) + GAP)
    for part in _details(row, width - line.cell_len, paper, now):
        line.append_text(part)
    if line.cell_len > width:
        line.truncate(width - len(dots))
        line.append(dots)
    line.rstrip()
    return line


def _cut(text: str, width: int, style: str, paper: Paper) -> Text:
    return Text(cut_end(_letters(text, paper), width, _letters("…", paper)), style=style)


def _letters(text: str, paper: Paper) -> str:
    """A text whose letters the terminal has, and none that would move the cursor."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return in_ascii(shown) if paper.is_ascii else shown


def _indent(row: Row, width: int) -> int:
    """Columns before a row; what is very deep does not go further to the right."""
    return min(2 * row.depth, width // 4)


def _time(row: Row, now: float) -> str:
    if row.since is None:
        return ""
    if row.until is not None:
        return elapsed(max(0.0, row.until - row.since))
    return passing(now - row.since)


def _width_of_rest(row: Row, paper: Paper, now: float) -> int:
    """Columns that all there is to say of a row takes, with a bar that can be read."""
    bar = len(GAP) + LONGEST_BAR // 2 if _has_bar(row) else 0
    return cell_len(_told(row, paper, now)) + bar


def _has_bar(row: Row) -> bool:
    """Whether there is a part of a whole to show; a whole that may grow would always look as if it were nearly done."""
    return row.tasks > 1 and row.until is None and not row.may_grow


def _told(row: Row, paper: Paper, now: float) -> str:
    """What there is to say of a row, but for bars."""
    return _letters(", ".join(_words(row)) if row.tasks < 2 else GAP.join(_numbers(row, paper, now)), paper)


def _words(row: Row) -> Iterator[str]:
    if word := plain_error(row.note) or WORDS.get(row.state):
        yield word
    if row.retries and row.state not in (SUCCEEDED, REVOKED):
        yield f"attempt {row.retries + 1}"
    host = row.worker.partition("@")[2]
    if host and host != HERE and row.state not in (SUCCEEDED, RECEIVED):
        yield f"on {host}"


def _numbers(row: Row, paper: Paper, now: float) -> tuple[str, str]:
    """``38 of 40``, and how many are not yet done or did not go well."""
    rest = _counted(row.counts, [state for state in COUNTED if state != SUCCEEDED])
    if row.longest is not None and now - row.longest >= LONG and paper.width >= WIDE:
        rest += f" (longest {passing(now - row.longest)})"
    return f"{row.ended:,} of {row.tasks:,}{' so far' if row.may_grow else ''}", rest


def _details(row: Row, room: int, paper: Paper, now: float) -> Iterator[Text]:
    told = _told(row, paper, now)
    bar = min(LONGEST_BAR if paper.width >= WIDE else LONGEST_BAR // 2, room - len(told) - len(GAP))
    if not _has_bar(row) or bar < SHORTEST_BAR:
        yield Text(told, style="red" if row.state == FAILED else "dim")
        return
    numbers, rest = _numbers(row, paper, now)
    yield Text(f"{numbers}{GAP}")
    yield from _bar(row, bar, paper)
    yield Text(f"{GAP}{rest}", style="dim")


def _bar(row: Row, width: int, paper: Paper) -> Iterator[Text]:
    bad = sum(row.counts.get(state, 0) for state in (FAILED, REVOKED))
    filled = width * row.ended // row.tasks
    # One that failed among thousands is still seen.
    red = min(filled, -(-width * bad // row.tasks))
    yield Text(_letters("█" * (filled - red), paper), style="green")
    yield Text(_letters("█" * red, paper), style="red")
    yield Text(_letters("░" * (width - filled), paper), style="dim")


def _counted(counts: Mapping[str, int], states: Iterable[str]) -> str:
    return ", ".join(f"{counts[state]:,} {WORDS.get(state, state)}" for state in states if counts.get(state))
