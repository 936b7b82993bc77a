"""The banners that frame a task's log: what it got, what it returned. Pure, linear in size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

WIDTH = 100


def banner(text: str, ch: str = "=", length: int = 78, content: str = "") -> str:
    """Text framed by two rows.

    Args:
        text: centred in the first row.
        ch: what the rows are made of.
        length: the width; longer lines of the content are wrapped.
        content: what stands between the rows.
    """
    title = f" {text} " if text else ""
    lines = [title.center(length, ch), *_wrapped(content, length), ch * length]
    return "\n" + "\n".join(lines) + "\n"


def _wrapped(content: str, length: int) -> Iterator[str]:
    for line in content.splitlines():
        for start in range(0, len(line) or 1, length):
            yield line[start : start + length]


def start_banner(name: str, bound: Mapping[str, Any], defaults: Mapping[str, Any], *, from_plugin: bool) -> str:
    """What a task was started with."""
    plugin = " (PLUGIN)" if from_plugin else ""
    lines = _numbered({**bound, **defaults}, defaults)
    return _framed(f"STARTED: {name}{plugin}", "=", "ARGUMENTS", lines)


def completion_banner(name: str, results: Any) -> str:
    """What a task returned."""
    lines = _numbered(results) if isinstance(results, Mapping) else [f"  {results!r}"]
    return _framed(f"COMPLETED: {name}", "*", "RETURNS", lines)


def _framed(title: str, ch: str, heading: str, lines: list[str]) -> str:
    row = ch * WIDTH
    return "\n".join(["", row, title.center(WIDTH), heading, *lines, row, ""])


def _numbered(values: Mapping[str, Any], defaults: Collection[str] = ()) -> list[str]:
    return [
        f"  {number}. {name}: {value!r}{' (default)' if name in defaults else ''}"
        for number, (name, value) in enumerate(values.items(), start=1)
    ]
