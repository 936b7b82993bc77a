"""Instances taken apart into named fields, and put together again without running their constructors.

This is what pickle does too, minus the code: an object comes back as it was, even where a constructor
would refuse or change what it is given. Fields that a sender of another release did not know get their default.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable
from enum import Enum, Flag
from typing import Any, Final, NamedTuple

from firexkit import _wire

_Fields = dict[str, Any]


class Parts(NamedTuple):
    """What an object is made of; ``state`` holds what is no field."""

    fields: _Fields
    state: _Fields | None = None


class Kind(NamedTuple):
    """A sort of class whose instances may travel."""

    tag: str
    fits: Callable[[type], bool]
    apart: Callable[[Any], Any]
    together: Callable[[Any, Any], Any]


# ── enums ────────────────────────────────────────────────────────────────────────────────
def _is_enum(cls: type) -> bool:
    return issubclass(cls, Enum)


def _enum_apart(member: Enum) -> str | int:
    """Its name; flags put together from several have none of their own and give their number."""
    if member.name in type(member).__members__ or not isinstance(member, Flag):
        return member.name
    return int(member.value)


def _enum_together(cls: type[Enum], part: str | int) -> Enum:
    if isinstance(part, str):
        return cls[part]
    if not issubclass(cls, Flag):
        raise ValueError("only flags are read by number")
    return cls(part)


# ── fields in general ────────────────────────────────────────────────────────────────────
def _refuse_unknown(given: _Fields, known: Iterable[str]) -> None:
    if unknown := given.keys() - set(known):
        raise ValueError(f"no field named {', '.join(sorted(unknown))}")


# ── dataclasses ──────────────────────────────────────────────────────────────────────────
def _dataclass_apart(value: Any) -> Parts:
    every = {field.name: getattr(value, field.name, dataclasses.MISSING) for field in dataclasses.fields(value)}
    return Parts({name: content for name, content in every.items() if content is not dataclasses.MISSING})


def _dataclass_together(cls: type[Any], parts: Parts) -> object:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    _refuse_unknown(parts.fields, fields)
    value = object.__new__(cls)
    defaults = {name: _dataclass_default(field) for name, field in fields.items() if name not in parts.fields}
    for name, content in {**defaults, **parts.fields}.items():
        if content is not dataclasses.MISSING:
            # Frozen classes refuse plain assignment.
            object.__setattr__(value, name, content)
    return value


def _dataclass_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.init and field.default is dataclasses.MISSING:
        raise ValueError(f"field {field.name} is missing")
    return field.default


# ── named tuples ─────────────────────────────────────────────────────────────────────────
def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _named_tuple_apart(value: Any) -> Parts:
    return Parts(dict(zip(value._fields, tuple.__iter__(value), strict=True)))


def _named_tuple_together(cls: Any, parts: Parts) -> object:
    _refuse_unknown(parts.fields, cls._fields)
    complete = {**cls._field_defaults, **parts.fields}
    return tuple.__new__(cls, [complete[name] for name in cls._fields])


# ── pydantic models ──────────────────────────────────────────────────────────────────────
def is_model(cls: type) -> bool:
    # Without pydantic in memory there are no models; importing it costs more than it could tell.
    pydantic = sys.modules.get("pydantic.main")
    base = getattr(pydantic, "BaseModel", None)
    return base is not None and issubclass(cls, base)


_MODEL_STATE = {
    _wire.MODEL_FIELDS_SET: "__pydantic_fields_set__",
    _wire.MODEL_EXTRA: "__pydantic_extra__",
    _wire.MODEL_PRIVATE: "__pydantic_private__",
}
"""What a model holds besides its fields: our name, and the one in the state it gives to pickle."""


def _model_apart(value: Any) -> Parts:
    state = value.__getstate__()
    fields = {name: state["__dict__"][name] for name in type(value).model_fields if name in state["__dict__"]}
    other = {ours: state.get(theirs) for ours, theirs in _MODEL_STATE.items()}
    return Parts(fields, {name: content for name, content in other.items() if content is not None})


def _model_together(cls: Any, parts: Parts) -> object:
    _refuse_unknown(parts.fields, cls.model_fields)
    missing = {name: field for name, field in cls.model_fields.items() if name not in parts.fields}
    if required := [name for name, field in missing.items() if field.is_required()]:
        raise ValueError(f"field {', '.join(required)} is missing")
    defaults = {name: field.get_default(call_default_factory=True) for name, field in missing.items()}
    state = {theirs: (parts.state or {}).get(ours) for ours, theirs in _MODEL_STATE.items()}
    value = cls.__new__(cls)
    value.__setstate__({**state, "__dict__": {**defaults, **parts.fields}})
    return value


KINDS: Final = (
    Kind(_wire.TAG_ENUM, _is_enum, _enum_apart, _enum_together),
    Kind(_wire.TAG_OBJECT, is_model, _model_apart, _model_together),
    Kind(_wire.TAG_OBJECT, dataclasses.is_dataclass, _dataclass_apart, _dataclass_together),
    Kind(_wire.TAG_OBJECT, _is_named_tuple, _named_tuple_apart, _named_tuple_together),
)


def kind_for(cls: type) -> Kind | None:
    """How instances of this class travel once it is allowed; None if it is no such class."""
    if issubclass(cls, BaseException):
        return None
    return next((kind for kind in KINDS if kind.fits(cls)), None)
