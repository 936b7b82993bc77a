"""What a type annotation means for somebody who types text: its members, its items, its name."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter, OrderedDict, abc, defaultdict, deque
from contextlib import suppress
from enum import Enum
from os import PathLike
from pathlib import PurePath
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

NONE: Final = inspect.Parameter.empty
"""Stands where a parameter has no annotation."""

_SETS: Final = frozenset({set, frozenset, abc.Set, abc.MutableSet})
_SEQUENCES: Final = frozenset({list, tuple, deque, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection})
_MAPPINGS: Final = frozenset({dict, OrderedDict, defaultdict, Counter, abc.Mapping, abc.MutableMapping})
_NEVER_FROM_TEXT: Final = frozenset({abc.Callable, type})


def resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The type that an annotation stands for; its text when a name in it does not exist at run time.

    Args:
        annotation: as the function has it; text under ``from __future__ import annotations``.
        namespace: the globals of the function.
    """
    if annotation is NONE:
        return NONE
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, namespace, {}, include_extras=True)["it"]
    except Exception:
        # Names for type checkers only do not exist here, and an annotation may be any expression.
        return annotation if isinstance(annotation, str) else str(annotation)


def is_same(one: Any, other: Any) -> bool:
    """Whether two annotations mean the same type: ``List[int]`` and ``list[int]`` do."""
    if one == other:
        return True
    kind, args, others = get_origin(one), get_args(one), get_args(other)
    if kind is None or kind is not get_origin(other) or len(args) != len(others):
        return False
    if kind is Annotated:
        # Pydantic's constraints have no comparison, but tell in their text all that they are.
        return is_same(args[0], others[0]) and repr(args[1:]) == repr(others[1:])
    return all(is_same(*pair) for pair in zip(args, others, strict=True))


# ── what stands inside ───────────────────────────────────────────────────────────────────
def bare(annotation: Any) -> Any:
    """The annotation without ``Annotated``, and what a NewType or a type alias stands for."""
    while (inner := _inside(annotation)) is not annotation:
        annotation = inner
    return annotation


def _inside(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    if type(annotation).__name__ == "TypeAliasType":
        with suppress(NameError):  # an alias is read when it is asked for
            return annotation.__value__
    return annotation


def class_of(annotation: Any) -> type | None:
    """The class, ``list`` for ``list[int]``; None for a union or whatever else is no class."""
    kind = bare(annotation)
    kind = get_origin(kind) or kind
    return kind if isinstance(kind, type) and kind is not UnionType else None


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, of unions inside it too; the annotation itself when it is none."""
    if not is_union(annotation):
        return (annotation,)
    return tuple(inner for member in get_args(bare(annotation)) for inner in members(member))


def literals(annotation: Any) -> tuple[Any, ...]:
    """The values of a ``Literal``; none for any other type."""
    kind = bare(annotation)
    return get_args(kind) if get_origin(kind) is Literal else ()


def enum_of(annotation: Any) -> type[Enum] | None:
    """The enum class; None for any other type."""
    kind = class_of(annotation)
    return kind if kind is not None and issubclass(kind, Enum) else None


def item_type(annotation: Any, index: int) -> Any:
    """The annotation of an item of a collection; NONE when it has none."""
    types = get_args(bare(annotation))
    if class_of(annotation) is tuple and types[-1:] != (...,):
        return types[index] if index < len(types) else NONE
    return types[0] if types else NONE


# ── what it is ───────────────────────────────────────────────────────────────────────────
def is_union(annotation: Any) -> bool:
    """Whether there is a choice of types."""
    return get_origin(bare(annotation)) in {Union, UnionType}


def is_none(annotation: Any) -> bool:
    """Whether nothing but None fits."""
    kind = bare(annotation)
    return kind is None or kind is NoneType


def is_open(annotation: Any) -> bool:
    """Whether text stays text: no annotation, one that takes anything, or one of which nothing is known."""
    kind = bare(annotation)
    if kind is NONE or kind is Any or kind is object or isinstance(kind, (str, TypeVar)):
        return True
    return class_of(kind) in _NEVER_FROM_TEXT


def is_switch(annotation: Any) -> bool:
    """Whether there is an on and an off."""
    return any(bare(member) is bool for member in members(annotation))


def takes_flag(annotation: Any) -> bool:
    """Whether the name alone, without a value, can mean true."""
    return is_switch(annotation) or any(
        is_open(member) or any(option is True for option in literals(member)) for member in members(annotation)
    )


def is_path(annotation: Any) -> bool:
    """Whether it is the path of a file or directory."""
    kind = class_of(annotation)
    return kind is not None and (issubclass(kind, PurePath) or kind is PathLike)


def is_collection(annotation: Any) -> bool:
    """Whether it holds items that can be written one after the other."""
    kind = class_of(annotation)
    return kind in _SEQUENCES or kind in _SETS


def is_object(annotation: Any) -> bool:
    """Whether it has named entries and is written as JSON: a dict, dataclass, model, typed dict or named tuple."""
    kind = class_of(annotation)
    if kind is None:
        return False
    if kind in _MAPPINGS or is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return True
    return isinstance(getattr(kind, "model_fields", None), dict) or (issubclass(kind, tuple) and kind is not tuple)


# ── what people call it ──────────────────────────────────────────────────────────────────
def type_text(annotation: Any) -> str:
    """The type as one writes it in code, without modules; ``text`` where there is no annotation."""
    if annotation is NONE:
        return "text"
    if isinstance(annotation, str):
        return annotation
    if get_origin(annotation) is Annotated:
        return type_text(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return " | ".join(type_text(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return " | ".join(option_text(option) for option in get_args(annotation))
    return _generic_text(annotation)


def option_text(option: Any) -> str:
    """A value that is one of a few, as one writes it on the command line."""
    if isinstance(option, Enum):
        return str(option.value) if isinstance(option.value, (str, int)) else option.name
    if option is None or isinstance(option, bool):
        return str(option).lower()
    return str(option)


def _generic_text(annotation: Any) -> str:
    if is_none(annotation):
        return "None"
    kind, args = get_origin(annotation), get_args(annotation)
    name = str(getattr(kind or annotation, "__name__", annotation))
    if kind is None or not args:
        return name
    return f"{name}[{', '.join(_argument_text(arg) for arg in args)}]"


def _argument_text(arg: Any) -> str:
    if arg is ...:
        return "..."
    if isinstance(arg, list):
        return f"[{', '.join(map(type_text, arg))}]"
    return type_text(arg)
