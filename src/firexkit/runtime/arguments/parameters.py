"""What can be given to a run: the parameters of its loaded tasks, and whose each of them is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple, Protocol, get_args

from firexkit import _wire
from firexkit.runtime.arguments.annotations import NONE, class_of, is_same, is_switch, members, resolved, type_text
from firexkit.runtime.arguments.words import option
from firexkit.secret import Secret

__all__ = ["Declaration", "Parameter", "declared", "listed", "switched_off", "unknown"]

_OF_THE_RUN: Final = frozenset({_wire.UID, _wire.CHAIN_DEPTH})
"""Names that the run gives by itself."""
_CELERYS_OWN: Final = "celery."
_COLLECTING: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OFF: Final = "no_"
_SHORT, _FEW_EDITS, _CLOSE, _MOST_SUGGESTED = 10, 3, 0.9, 3


class DeclaringTask(Protocol):
    """What is read of a task; a FireXTask has it."""

    name: str
    sig: inspect.Signature
    undecorated: Callable[..., Any]

    @property
    def short_name(self) -> str:
        """What follows the last dot of the name."""
        ...


class Declaration(NamedTuple):
    """What one task says about one of its parameters."""

    task: str
    """The task's short name."""
    annotation: Any
    """Its type; text when it can't be found at run time; ``inspect.Parameter.empty`` when there is none."""
    default: Any
    """Its default; ``inspect.Parameter.empty`` when it is required."""
    docstring: str
    """The task's whole docstring."""

    @property
    def is_required(self) -> bool:
        """Whether the task can't do without it."""
        return self.default is inspect.Parameter.empty


class Parameter(NamedTuple):
    """A name that can be given, with what each task that takes it says about it."""

    name: str
    declarations: tuple[Declaration, ...]

    @property
    def by_type(self) -> tuple[tuple[Any, tuple[str, ...]], ...]:
        """Each type that is asked for, with the tasks that ask for it; tasks without an annotation ask for none."""
        types: list[tuple[Any, list[str]]] = []
        for said in self.declarations:
            if said.annotation is NONE:
                continue
            with_it = next((tasks for kind, tasks in types if is_same(kind, said.annotation)), None)
            if with_it is None:
                types.append((said.annotation, [said.task]))
            else:
                with_it.append(said.task)
        return tuple((kind, tuple(tasks)) for kind, tasks in types)

    @property
    def is_secret(self) -> bool:
        """Whether a task takes it for a secret."""
        return any(class_of(member) is Secret for said in self.declarations for member in members(said.annotation))

    @property
    def holds_secrets(self) -> bool:
        """Whether a task takes secrets in it: a list of them, say."""
        return any(_mentions_secrets(said.annotation) for said in self.declarations)

    @property
    def annotation(self) -> Any:
        """The type that all tasks agree on; ``inspect.Parameter.empty`` when they don't, or none says one."""
        types = self.by_type
        return types[0][0] if len(types) == 1 else NONE

    @property
    def wanted(self) -> str:
        """The types and who wants them: ``count: int, wanted by greet and shout``."""
        types = self.by_type or ((NONE, tuple(said.task for said in self.declarations)),)
        return f"{self.name}: " + "; ".join(f"{type_text(kind)}, wanted by {listed(tasks)}" for kind, tasks in types)


def _mentions_secrets(annotation: Any) -> bool:
    return class_of(annotation) is Secret or any(map(_mentions_secrets, get_args(annotation)))


def declared(tasks: Iterable[DeclaringTask]) -> dict[str, Parameter]:
    """The parameters that can be given, by name, in the order of the tasks.

    Not among them: ``*args`` and ``**kwargs``, names that start with an underscore, those that the run gives by
    itself (``uid``), and those of Celery's own tasks.

    Args:
        tasks: all loaded tasks, such as ``app.tasks.values()``. One that is registered twice counts once.
    """
    said: dict[str, list[Declaration]] = {}
    for task in {task.name: task for task in tasks if not task.name.startswith(_CELERYS_OWN)}.values():
        namespace = getattr(task.undecorated, "__globals__", {})
        docstring = task.undecorated.__doc__ or task.__doc__ or ""
        for parameter in task.sig.parameters.values():
            if is_offered(parameter):
                annotation = resolved(parameter.annotation, namespace)
                declaration = Declaration(task.short_name, annotation, parameter.default, docstring)
                said.setdefault(parameter.name, []).append(declaration)
    return {name: Parameter(name, tuple(declarations)) for name, declarations in said.items()}


def is_offered(parameter: inspect.Parameter) -> bool:
    """Whether users may give a value for a parameter of a task's function."""
    if parameter.kind in _COLLECTING or parameter.name.startswith("_"):
        return False
    return parameter.name != "self" and parameter.name not in _OF_THE_RUN


def unknown(given: Iterable[str], parameters: Mapping[str, Parameter]) -> list[str]:
    """One line for each given name that no task takes, with the names that may have been meant.

    Args:
        given: the names.
        parameters: those of all loaded tasks.
    """
    known = [*parameters, *(_OFF + name for name in parameters if _has_switch(name, parameters))]
    return [_not_taken(name, known) for name in given if name not in known]


def switched_off(name: str, parameters: Mapping[str, Parameter]) -> str | None:
    """The bool parameter that ``--no-NAME`` turns off; None when the name means itself."""
    if name in parameters or not name.startswith(_OFF):
        return None
    positive = name.removeprefix(_OFF)
    return positive if _has_switch(positive, parameters) else None


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: ``a, b and c``, each once."""
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} and {last}" if most else last


def _has_switch(name: str, parameters: Mapping[str, Parameter]) -> bool:
    return name in parameters and any(is_switch(kind) for kind, _ in parameters[name].by_type)


# ── did you mean ─────────────────────────────────────────────────────────────────────────
def _not_taken(name: str, known: Iterable[str]) -> str:
    if name in _OF_THE_RUN:
        return f"{option(name)} is set by the run itself; leave it out"
    meant = " or ".join(map(option, close_names(name, known)))
    return f"{option(name)}: no loaded task takes it; " + (f"did you mean {meant}?" if meant else "--help lists them")


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """The names that may have been meant, the closest first, three at most.

    Names of less than ten letters are close with less than three edits, and one letter in common at least;
    longer ones when nine tenths of their letters are in the same order.
    """
    if len(name) < _SHORT:
        edits = {other: edit_distance(name, other) for other in known}
        close = [other for other in edits if edits[other] < min(_FEW_EDITS, len(name))]
        return sorted(close, key=edits.__getitem__)[:_MOST_SUGGESTED]
    ratios = {other: SequenceMatcher(None, name, other, autojunk=False).ratio() for other in known}
    return sorted((other for other in ratios if ratios[other] > _CLOSE), key=lambda o: -ratios[o])[:_MOST_SUGGESTED]


def edit_distance(one: str, other: str) -> int:
    """The number of letters to insert, delete or replace to make one text of the other."""
    distances = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        diagonal, distances[0] = distances[0], row
        for column, its_letter in enumerate(other, start=1):
            replaced = diagonal + (letter != its_letter)
            diagonal = distances[column]
            distances[column] = min(replaced, diagonal + 1, distances[column - 1] + 1)
    return distances[-1]
