"""The banners that frame a task's log: what it got, what it returned. Pure, and no longer than somebody reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from firexkit._serialization.text import beginning

WIDTH: Final = 100
LONGEST_VALUE: Final = 2_000
"""Characters of one value."""


def banner(text: str, ch: str = "=", length: int = 78, content: str = "") -> str:
    """Text framed by two rows.

    Args:
        text: the title, centred below the first row.
        ch: what the rows are made of.
        length: the width; longer lines of the content are wrapped.
        content: what stands below the title.
    """
    row = ch * length
    return "\n".join(["", row, text.center(length), *_wrapped(content, length), row, ""])


def _wrapped(content: str, length: int) -> Iterator[str]:
    for line in content.splitlines():
        for start in range(0, len(line) or 1, length):
            yield line[start : start + length]


def start_banner(name: str, bound: Mapping[str, Any], defaults: Mapping[str, Any], *, from_plugin: bool) -> str:
    """What a task was started with."""
    plugin = " (PLUGIN)" if from_plugin else ""
    lines = ["ARGUMENTS", *_numbered({**bound, **defaults}, defaults)]
    return banner(f"STARTED: {name}{plugin}", length=WIDTH, content="\n".join(lines))


def completion_banner(name: str, results: Any) -> str:
    """What a task returned."""
    lines = [
        "RETURNS",
        *(_numbered(results) if isinstance(results, Mapping) else [f"  {beginning(results, LONGEST_VALUE)}"]),
    ]
    return banner(f"COMPLETED: {name}", "*", WIDTH, "\n".join(lines))


def _numbered(values: Mapping[str, Any], defaults: Collection[str] = ()) -> list[str]:
    return [
        f"  {number}. {name}: {beginning(value, LONGEST_VALUE)}{' (default)' if name in defaults else ''}"
        for number, (name, value) in enumerate(values.items(), start=1)
    ]
