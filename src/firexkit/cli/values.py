"""Named values as lines, with where they came from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import structs

from firexkit.cli.lines import Line, block, line
from firexkit.cli.phrases import origin, size_of
from firexkit.journal.model import Entry, Value
from firexkit.journal.origins import Finder, source_of
from firexkit.journal.tree import Task
from firexkit.runtime.page_text import readable

INDENT: Final = "  "
WIDEST_NAME: Final = 24
WIDEST_VALUE: Final = 40
"""Columns up to which values are padded, so that origins stand below each other."""
LEAST_VALUE: Final = 20
"""Columns that a value gets however little room there is."""


def arguments(task: Task, find: Finder, *, room: int | None = None) -> Iterator[Line]:
    """A task's arguments, each with its value and where it came from.

    Args:
        task: the task.
        find: gives other tasks of the run.
        room: columns there are; a value that needs more is cut off. None for values as they are.
    """
    told = [origin(source_of(find, task, entry.name), entry.name) for entry in task.arguments]
    yield from _rows(task.arguments, told, room)


def results(task: Task, *, room: int | None = None) -> Iterator[Line]:
    """What a task returned; see `arguments`."""
    yield from _rows(task.results, [""] * len(task.results), room)


def _rows(entries: Sequence[Entry], origins: Sequence[str], room: int | None) -> Iterator[Line]:
    names = [entry.name or "(value)" for entry in entries]
    name_width = min(max(map(len, names), default=0), WIDEST_NAME)
    taken = len(INDENT) + name_width + len(" = ") + len("  ") + max(map(len, origins), default=0)
    values = [_fitting(preview(entry.value), room and max(room - taken, LEAST_VALUE)) for entry in entries]
    value_width = min(max((len(value) for value in values if "\n" not in value), default=0), WIDEST_VALUE)
    for name, value, told in zip(names, values, origins, strict=True):
        first, *others = value.split("\n")
        padded = first.ljust(value_width) if told else first
        yield line(INDENT, f"{name:<{name_width}} = ", padded, (f"  {told}" if told else "", "dim"), wraps=True)
        yield from block("\n".join(others), indent=f"{INDENT}    ")


def _fitting(text: str, room: int | None) -> str:
    """A text, or its beginning in one line of so many columns."""
    if room is None or (len(text) <= room and "\n" not in text):
        return text
    return f"{text.partition(chr(10))[0][: room - 1]}…"


def preview(value: Value) -> str:
    """As much of a value as is kept with each fact, and how much more there is."""
    shown = readable(value.preview)
    return f"{shown}… ({size_of(value.size)}; --full shows all)" if is_cut(value) else shown


def is_cut(value: Value) -> bool:
    """Whether there is more of a value than its preview."""
    return value.size > len(value.preview.encode(errors="replace"))


def with_whole_values(task: Task, value_of: Callable[[str], bytes | None]) -> Task:
    """A task whose values are all there, as far as they were kept.

    Args:
        task: the task.
        value_of: gives a whole value by its digest; None when it was not kept.
    """
    whole = Task(task.id)
    for fact in task.facts:
        names = [name for name in ("arguments", "results") if hasattr(fact, name)]
        entries = {name: tuple(_whole(entry, value_of) for entry in getattr(fact, name)) for name in names}
        whole.add(structs.replace(fact, **entries))
    return whole


def _whole(entry: Entry, value_of: Callable[[str], bytes | None]) -> Entry:
    value = entry.value
    if not is_cut(value):
        return entry
    kept = value_of(value.digest)
    cut_off = f"{value.preview}… ({size_of(value.size)}; too large to be kept)"
    text = cut_off if kept is None else kept.decode(errors="replace")
    return structs.replace(entry, value=structs.replace(value, preview=text, size=0))
