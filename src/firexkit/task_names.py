"""Tasks by the names that people type: short, or full with their module."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import reduce
from operator import or_
from typing import Any, Final

from firexkit._celery.types import Celery, Signature
from firexkit._wire import REPLACEMENT_TASK_NAME_POSTFIX
from firexkit.task.names import short

__all__ = [
    "AmbiguousTaskError",
    "UnknownTaskError",
    "chain_of",
    "find_task",
    "matching_names",
    "offered_tasks",
    "similar_names",
]

CELERYS_OWN: Final = "celery."


class UnknownTaskError(LookupError):
    """No loaded task has that name.

    Args:
        name: what was asked for.
        suggestions: names that look like it, the likeliest first.
    """

    def __init__(self, name: str, suggestions: Iterable[str] = ()) -> None:
        self.name = name
        self.suggestions: tuple[str, ...] = tuple(suggestions)
        super().__init__(name, self.suggestions)

    def __str__(self) -> str:
        if not self.suggestions:
            return f"no task is called {self.name!r}; is the file that defines it loaded?"
        return f"no task is called {self.name!r}; did you mean {' or '.join(self.suggestions)}?"


class AmbiguousTaskError(LookupError):
    """Several loaded tasks have that name.

    Args:
        name: what was asked for.
        candidates: the full names of the tasks.
    """

    def __init__(self, name: str, candidates: Iterable[str] = ()) -> None:
        self.name = name
        self.candidates: tuple[str, ...] = tuple(candidates)
        super().__init__(name, self.candidates)

    def __str__(self) -> str:
        return f"several tasks are called {self.name!r}; say which one: {', '.join(self.candidates)}"


def offered_tasks(app: Celery) -> dict[str, Any]:
    """The tasks of an app by their full names: without Celery's own and without originals that a plugin replaced."""
    return {name: task for name, task in sorted(app.tasks.items()) if _is_offered(name)}


def _is_offered(name: str) -> bool:
    return not name.startswith(CELERYS_OWN) and not name.endswith(REPLACEMENT_TASK_NAME_POSTFIX)


def find_task(app: Celery, name: str) -> Any:
    """The task of that name.

    Args:
        app: whose tasks to search.
        name: a full name, or what follows the last dot of one. Upper and lower case count only if they have to.

    Raises:
        UnknownTaskError: there is none; the text suggests others.
        AmbiguousTaskError: a short name, and several tasks have it.
    """
    tasks = offered_tasks(app)
    found = matching_names(name, tasks)
    if not found:
        raise UnknownTaskError(name, similar_names(name, tasks))
    # A plugin's task is registered under the name that it replaces as well: two names, one task.
    if len({id(tasks[full_name]) for full_name in found}) > 1:
        raise AmbiguousTaskError(name, found)
    return tasks[found[0]]


def matching_names(name: str, full_names: Iterable[str]) -> list[str]:
    """The full names that a name stands for: itself, else by short name, else whatever the case."""
    known = list(full_names)
    if name in known:
        return [name]
    lowered = name.lower()
    return [full for full in known if short(full) == name] or [
        full for full in known if lowered in (full.lower(), short(full).lower())
    ]


def similar_names(name: str, full_names: Iterable[str]) -> list[str]:
    """Up to three names that look like one that nobody has: short ones, and full ones for a name with dots."""
    by_lower = {(full if "." in name else short(full)).lower(): full for full in full_names}
    close = get_close_matches(name.lower(), by_lower, n=3)
    return [by_lower[found] if "." in name else short(by_lower[found]) for found in close]


def chain_of(app: Celery, names: str | Iterable[str]) -> Signature:
    """The tasks of these names, one after the other.

    Args:
        app: whose tasks they are.
        names: short or full names, in a list or as text with commas between them.

    Returns:
        A chain; of a single name, that task's signature.

    Raises:
        ValueError: there is no name.
        UnknownTaskError: a name is no task's.
        AmbiguousTaskError: a name is several tasks'.
    """
    listed = names.split(",") if isinstance(names, str) else names
    wanted = [name for listed_name in listed if (name := listed_name.strip())]
    if not wanted:
        raise ValueError(f"a chain needs the name of at least one task, not {names!r}")
    chain: Signature = reduce(or_, [find_task(app, name).s() for name in wanted])
    return chain
