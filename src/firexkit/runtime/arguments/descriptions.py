"""What help and completion show of a parameter: its type, its default, its words, and the values it may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from firexkit import _lazy
from firexkit._serialization.text import safe_repr, shortened
from firexkit.runtime.arguments.annotations import (
    bare,
    enum_of,
    is_collection,
    is_path,
    item_type,
    literals,
    members,
    option_text,
    type_text,
)
from firexkit.runtime.arguments.parameters import Declaration, Parameter, listed

__all__ = ["Description", "choices", "described", "takes_path"]

_LONGEST_DEFAULT: Final = 40
_REQUIRED: Final = "required"


class Description(NamedTuple):
    """A parameter in three texts."""

    type: str
    """Its type; where tasks disagree, ``text`` and who wants what."""
    default: str
    """Its default as one would write it, or ``required``; by task where they differ."""
    doc: str
    """What the first task that describes it says, on one line; empty when none does."""


def described(parameter: Parameter) -> Description:
    """What help shows of a parameter."""
    docs = (parameter_docs(said.docstring).get(parameter.name, "") for said in parameter.declarations)
    return Description(_type(parameter), _default(parameter.declarations), next(filter(None, docs), ""))


def choices(parameter: Parameter) -> list[str]:
    """The values of a bool, a Literal or an enum, as one writes them; in a union, other values may be right too."""
    values: list[str] = []
    for kind in _in_turn(parameter.annotation):
        few = enum_of(kind) or literals(kind) or ((True, False) if bare(kind) is bool else ())
        values += map(option_text, few)
    return list(dict.fromkeys(values))


def takes_path(parameter: Parameter) -> bool:
    """Whether a value is the path of a file or directory, or several are."""
    return any(is_path(kind) for kind in _in_turn(parameter.annotation))


def _in_turn(annotation: Any) -> Iterator[Any]:
    """The types that one written value may have: members of a union, items of a collection."""
    for member in members(annotation):
        if is_collection(member):
            yield from members(item_type(member, 0))
        else:
            yield member


def _type(parameter: Parameter) -> str:
    if len(parameter.by_type) < 2:
        return type_text(parameter.annotation)
    return f"text ({'; '.join(f'{type_text(kind)} for {listed(tasks)}' for kind, tasks in parameter.by_type)})"


def _default(declarations: Iterable[Declaration]) -> str:
    tasks: dict[str, list[str]] = {}
    for said in declarations:
        tasks.setdefault(_REQUIRED if said.is_required else _default_text(said.default), []).append(said.task)
    if len(tasks) == 1:
        return next(iter(tasks))
    return "; ".join(f"{text} {'by' if text == _REQUIRED else 'for'} {listed(names)}" for text, names in tasks.items())


def _default_text(default: Any) -> str:
    plain = isinstance(default, (bool, Enum, PurePath)) or default is None or (isinstance(default, str) and default)
    return shortened(option_text(default) if plain else safe_repr(default), _LONGEST_DEFAULT)


@lru_cache(maxsize=1024)
def parameter_docs(docstring: str) -> dict[str, str]:
    """What a docstring says of each parameter, on one line; Google's, numpy's and Sphinx's forms are known."""
    if not docstring:
        return {}
    parser = _lazy.module("docstring_parser")
    try:
        parsed = parser.parse(docstring)
    except parser.ParseError:
        return {}
    return {
        name.strip().lstrip("*"): " ".join((parameter.description or "").split())
        for parameter in parsed.params
        for name in parameter.arg_name.split(",")
    }
