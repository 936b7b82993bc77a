"""The classes that messages may bring back to life: registered by name, never looked up by import."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

from firexkit._serialization.errors import WireError
from firexkit._serialization.objects import Kind, kind_for
from firexkit._serialization.text import safe_repr, type_name

_Class = TypeVar("_Class", bound=type)

# What a process has loaded is a fact about the process, like sys.modules.
_by_key: Final[dict[str, type]] = {}
_kinds: Final[dict[type, Kind]] = {}

_STANDS_FOR = ("__supertype__", "__bound__", "__constraints__", "__value__")
"""Where NewType, TypeVar and type aliases keep the types they stand for."""


def class_key(cls: type) -> str:
    """The name of a class on the wire: ``module:qualified.name``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def allow(cls: _Class) -> _Class:
    """Let instances of a class travel between processes, and those of the classes its fields are annotated with.

    Classes in the annotations of a loaded task's parameters and return need no call of this. It may be used as a
    decorator; then it stands above ``@dataclass``. Both sides, the one that sends and the one that receives, need it.

    Args:
        cls: a dataclass, pydantic model, named tuple, enum or exception class.

    Returns:
        The same class.

    Raises:
        TypeError: it is no class, or of none of these sorts.
    """
    if not isinstance(cls, type):
        raise TypeError(f"allow() takes a class, not {safe_repr(cls)}")
    if kind_for(cls) is None and not issubclass(cls, Exception):
        raise TypeError(
            f"{type_name(cls)} cannot be rebuilt from its fields: make it a dataclass (with @allow above @dataclass), "
            f"a pydantic model, a named tuple or an enum"
        )
    allow_annotated(cls)
    _register(cls)
    return cls


def allow_annotated(annotation: object) -> None:
    """Allow every class that a type annotation mentions, down through the fields of those classes.

    Text that cannot be resolved is passed over; :func:`allow` is there for such classes.
    """
    pending, seen = [annotation], dict[int, object]()
    while pending:
        current = pending.pop()
        if id(current) not in seen:
            # Kept with its object, because the id of a collected object may come again.
            seen[id(current)] = current
            with suppress(Exception):
                pending.extend(_mentioned(current))


def allow_signature(function: Callable[..., Any]) -> None:
    """Allow the classes in the annotations of a function's parameters and return."""
    plain = inspect.unwrap(function)
    with suppress(Exception):
        for annotation in _resolved(inspect.get_annotations(plain), getattr(plain, "__globals__", {}), {}):
            allow_annotated(annotation)


def allowed_kind(cls: type) -> Kind | None:
    """How instances of the class travel; None if it is not allowed."""
    return _kinds.get(cls)


def find_allowed(key: object) -> tuple[type, Kind]:
    """The allowed class of that name on the wire.

    Raises:
        WireError: there is none, whatever else may have that name in this process.
    """
    cls = registered(key)
    if cls is None or cls not in _kinds:
        raise WireError(
            f"{safe_repr(key)} is no class that may be rebuilt here: annotate a parameter or the return of a task "
            f"loaded in this process with it, or call firexkit.allow() on it"
        )
    return cls, _kinds[cls]


def registered(key: object) -> type | None:
    """The class allowed under that name, exception classes included."""
    return _by_key.get(key) if isinstance(key, str) else None


def _register(cls: type) -> None:
    before = _by_key.get(class_key(cls))
    if before is not None and before is not cls:
        # Defined anew, as by a reload: instances of the old class would come back as the new one.
        _kinds.pop(before, None)
    _by_key[class_key(cls)] = cls
    if (kind := kind_for(cls)) is not None:
        _kinds[cls] = kind


def _mentioned(annotation: object) -> list[object]:
    """What stands directly in an annotation; a class that can travel is registered on the way."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return _inside_class(annotation)
    if isinstance(annotation, Enum):
        return [type(annotation)]
    if isinstance(annotation, (list, tuple)):
        return list(annotation)
    if get_origin(annotation) is Annotated:
        return [get_args(annotation)[0]]
    if get_origin(annotation) is not None:
        return [get_origin(annotation), *get_args(annotation)]
    return [getattr(annotation, name, None) for name in _STANDS_FOR]


def _inside_class(cls: type) -> list[object]:
    kind = kind_for(cls)
    if kind is not None:
        _register(cls)
    return list(_field_types(cls)) if kind is not None or is_typeddict(cls) else []


def _field_types(cls: type) -> Iterator[object]:
    # pydantic has resolved its own, and knows what a generic model was made for.
    if isinstance(fields := getattr(cls, "model_fields", None), dict):
        yield from (field.annotation for field in fields.values())
    for base in cls.__mro__:
        module = vars(sys.modules.get(base.__module__, SimpleNamespace()))
        with suppress(Exception):
            yield from _resolved(inspect.get_annotations(base), module, {**vars(base), base.__name__: base})


def _resolved(annotations: Mapping[str, object], module: dict[str, Any], local: dict[str, Any]) -> list[object]:
    """The annotations as types; one that cannot be resolved does not take the others with it."""
    types: list[object] = []
    for name, annotation in annotations.items():
        with suppress(Exception):
            types += get_type_hints(SimpleNamespace(__annotations__={name: annotation}), module, local).values()
    return types
