"""Whether a run is one that somebody looks for, and which of its tasks are."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from firexkit.journal.lookup import Lookup, names_of
from firexkit.journal.store import JournalError
from firexkit.journal.tree import Task
from firexkit.runtime.record import RunRecord
from firexkit.runtime.remembered import Remembered, opened_journal


@dataclass(frozen=True)
class Asked:
    """What somebody looks for; all of it holds of one task.

    Attributes:
        words: texts that stand in its name, arguments, results or error.
        task: its short or full name; empty for any.
        arguments: values that it got, by name.
    """

    words: tuple[str, ...] = ()
    task: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.words or self.task or self.arguments)


@dataclass(frozen=True)
class Found:
    """A run, and whether it is one that somebody looks for.

    Attributes:
        run: the run.
        fits: whether it is.
        tasks: the first that were found; none when nothing was asked of tasks, or the run has no journal.
        count: how many were found.
        damage: what could not be read of its journal.
    """

    run: Remembered
    fits: bool
    tasks: list[Task] = field(default_factory=list)
    count: int = 0
    damage: list[str] = field(default_factory=list)


def found_in(run: Remembered, asked: Asked, most: int | None = None) -> Found:
    """A run with the tasks that are looked for.

    Args:
        run: the run.
        asked: what is looked for.
        most: tasks that are told with it; None for all.
    """
    if not asked:
        return Found(run, fits=True)
    try:
        journal = opened_journal(run.directory)
        if journal is not None:
            with journal:
                lookup = Lookup(journal)
                # Names and values are words, too: the index narrows it down, what it gives is then looked at.
                words = [*asked.words, asked.task, *asked.arguments, *map(_word, asked.arguments.values())]
                ids = journal.find(words) if any(words) else journal.ids_beginning("")
                known = (task for task_id in ids if (task := lookup.get(task_id)) is not None)
                if asked.task or asked.arguments:
                    tasks = [task for task in known if fits(task, asked)]
                    return Found(run, bool(tasks), tasks[:most], len(tasks), journal.damage)
                return Found(run, bool(ids), [*islice(known, most)], len(ids), journal.damage)
    except JournalError as error:
        return Found(run, _record_fits(run, asked), damage=[str(error)])
    return Found(run, _record_fits(run, asked))


def _record_fits(run: Remembered, asked: Asked) -> bool:
    return run.record is not None and record_fits(run.record, asked)


def fits(task: Task, asked: Asked) -> bool:
    """Whether a task has the name and the arguments that are looked for. Pure."""
    given = {entry.name: entry.value.preview for entry in task.arguments}
    return (not asked.task or asked.task in names_of(task)) and all(
        name in given and is_same(given[name], value) for name, value in asked.arguments.items()
    )


def is_same(told: str, written: str) -> bool:
    """Whether a value as it is kept is the one that somebody wrote: a text needs no quotes. Pure.

    Args:
        told: the value, as JSON or as Python writes it.
        written: what was written.
    """
    return written in (told, told[1:-1] if told[:1] in "\"'" else told) or _parsed(told) == _parsed(written)


def record_fits(record: RunRecord, asked: Asked) -> bool:
    """Whether a run without a journal is the one, by what its record tells. Pure."""
    text = json.dumps([record.chain, record.inputs, record.results, record.submission_cmd], default=str).casefold()
    return (
        all(word.casefold() in text for word in asked.words)
        and (not asked.task or asked.task.rpartition(".")[2] in record.chain)
        and all(
            name in record.inputs and is_same(_text(record.inputs[name]), value)
            for name, value in asked.arguments.items()
        )
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _parsed(text: str) -> Any:
    """A value that was written as JSON or as Python writes it, else the text."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return parse(text)
    return text


def _word(value: str) -> str:
    """What the index knows of a value: nothing when it has no letter in it, or may be written in other ways."""
    if not isinstance(_parsed(value), str):
        return ""
    words: Iterable[str] = "".join(letter if letter.isalnum() else " " for letter in value).split()
    return max(words, key=len, default="")
