"""The result for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.rounds import Row

HEADINGS = ("figure", "unit", "raw", "celery", "firexkit", "ratio", "bound", "holds")
TEXT_COLUMNS = (0, 1, 6, 7)


def number(value: float | None) -> str:
    """Three figures, or a dash."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def cells(row: Row) -> tuple[str, ...]:
    """A line of the table."""
    bound = "" if row.bound is None else f"<= {row.bound.most:g}{' x' if row.bound.of == 'ratio' else ''}"
    sides = (number(row.values.get(side)) for side in ("raw", "plain", "firex"))
    return (row.name, row.unit, *sides, number(row.ratio), bound, {None: "", True: "yes", False: "NO"}[row.holds])


def text(rows: Iterable[Row]) -> str:
    """The whole table, aligned."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(aligned(line, widths) for line in lines)


def aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right."""
    return "  ".join(
        cell.ljust(width) if column in TEXT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ).rstrip()


def plain_data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """All of it, for JSON."""
    return [
        {
            "figure": row.name,
            "unit": row.unit,
            "rounds": row.rounds,
            "values": row.values,
            "ratio": row.ratio,
            "bound": row.bound._asdict() if row.bound else None,
            "holds": row.holds,
        }
        for row in rows
    ]
