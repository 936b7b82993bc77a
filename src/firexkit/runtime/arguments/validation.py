"""A value of the annotated type, or one sentence why there is none: pydantic, asked and answered in plain words."""

from __future__ import annotations

import re
import sys
from collections import abc
from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from firexkit import _lazy
from firexkit._serialization.text import safe_repr, shortened
from firexkit.runtime.arguments.annotations import class_of, is_union

_LONGEST_SHOWN: Final = 60
_MOST_SHOWN: Final = 3


class MisfitError(Exception):
    """A value that is not of the annotated type; the text goes on from the argument's name."""


class UnknownTypeError(Exception):
    """The annotation is nothing that pydantic can build a value for."""


def validated(value: Any, annotation: Any, *, written: object = None) -> Any:
    """The value as one of the annotated type, as far as it can be made one.

    Args:
        value: text, what was read from text, or any object.
        annotation: the type.
        written: what the user wrote, for the message; the value itself when not given.

    Raises:
        MisfitError: it is none and can't be made one.
        UnknownTypeError: the annotation is nothing that pydantic knows, so nobody can tell.
    """
    pydantic = _lazy.module("pydantic")
    adapter = _adapter(pydantic, annotation)
    try:
        return adapter.validate_python(value, strict=False)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        words = [sentence(problem, value if written is None else written) for problem in found[:_MOST_SHOWN]]
        more = [f"{len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
        raise MisfitError("; ".join(words + more)) from error


def _adapter(pydantic: Any, annotation: Any) -> Any:
    try:
        return pydantic.TypeAdapter(for_pydantic(annotation))
    except Exception as error:
        # A class without a schema, a name that exists for type checkers only, an annotation that is no type.
        raise UnknownTypeError(str(error)) from error


# ── what pydantic does not take as it is ─────────────────────────────────────────────────
def for_pydantic(annotation: Any) -> Any:
    """The annotation as pydantic can build values for it.

    It makes a lazy iterator for an Iterable, knows no Collection, and below Python 3.12 refuses ``typing.TypedDict``.
    """
    kind, args = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return Annotated[(for_pydantic(args[0]), *args[1:])]
    if class_of(annotation) in {abc.Iterable, abc.Collection}:
        return GenericAlias(list, (for_pydantic(args[0]),)) if args else list
    if is_typeddict(annotation) and sys.version_info < (3, 12):
        return _typed_dict(annotation)
    changed = args if kind is Literal else tuple(for_pydantic(arg) for arg in args)
    if all(new is old for new, old in zip(changed, args, strict=True)):
        return annotation
    return reduce(or_, changed) if is_union(annotation) else kind[changed]


def _typed_dict(cls: Any) -> Any:
    fields = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        # Where annotations are text, only the hint itself knows that a field may be left out.
        needed = Required if name in cls.__required_keys__ else NotRequired
        wrapped = get_origin(hint) in {Required, NotRequired}
        fields[name] = get_origin(hint)[for_pydantic(get_args(hint)[0])] if wrapped else needed[for_pydantic(hint)]
    return _lazy.module("typing_extensions").TypedDict(cls.__name__, fields)


# ── in plain words ───────────────────────────────────────────────────────────────────────
_WRONG_KIND: Final = re.compile(r"(?P<kind>\w+?)_(type|parsing|from_\w+|attributes_type)")
_OBJECT: Final = 'is not a JSON object like {"name": "value"}'
_LIST: Final = "is not a list; write a,b or JSON"
_IS_NOT: Final[Mapping[str, str]] = {
    "bool": "is neither true nor false",
    "dataclass": _OBJECT,
    "date": "is not a date like 2030-12-31",
    "datetime": "is not a date and time like 2030-12-31T23:59",
    "decimal": "is not a decimal number",
    "dict": _OBJECT,
    "float": "is not a number",
    "frozen_set": _LIST,
    "int": "is not a whole number",
    "list": _LIST,
    "mapping": _OBJECT,
    "model": _OBJECT,
    "named_tuple": _OBJECT,
    "path": "is not a path",
    "set": _LIST,
    "string": "is not text",
    "time": "is not a time like 23:59",
    "time_delta": "is not a duration: seconds, 01:30:00 or PT90M",
    "tuple": _LIST,
    "uuid": "is not a UUID",
}
_NOT_FOR_USERS: Final = re.compile(r"^Value error, |^Assertion failed, | after validation")
_ABOUT_THE_VALUE: Final = re.compile(r"\w+ ((?:should|is|does|must) .+)")


def sentence(problem: Mapping[str, Any], written: object) -> str:
    """One of pydantic's errors, as it follows the argument's name.

    Args:
        problem: an entry of ``ValidationError.errors()``.
        written: the whole value as the user wrote it.
    """
    place = problem["loc"]
    if problem["type"] == "missing":
        return f"{shown(problem['input'])}{_where(place[:-1])} lacks {_step(place[-1])}"
    subject = shown(problem["input"] if place else written) + _where(place)
    kind = _WRONG_KIND.fullmatch(problem["type"])
    if kind and kind["kind"] in _IS_NOT:
        return f"{subject} {_IS_NOT[kind['kind']]}"
    message = " ".join(_NOT_FOR_USERS.sub("", problem["msg"]).split())
    about = _ABOUT_THE_VALUE.fullmatch(message)
    return f"{subject} {about[1]}" if about else f"{subject}: {message}"


def shown(value: object) -> str:
    """A value in a message."""
    return shortened(safe_repr(value), _LONGEST_SHOWN)


def _where(place: tuple[int | str, ...]) -> str:
    return f" ({', '.join(map(_step, place))})" if place else ""


def _step(step: int | str) -> str:
    return f"item {step + 1}" if isinstance(step, int) else step
