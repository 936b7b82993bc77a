"""Text of the command line made the type that tasks ask for. Nothing in it is ever evaluated.

Pydantic decides what fits, in its lax mode. Before it is asked, text gets the shape that its type needs: items are
split at commas, JSON is read, ``none`` becomes None. A type that pydantic does not know, and one that tasks do not
agree on, leaves text as it is: the task's own converters may still know what to do with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from firexkit.bag_of_goodies import referenced_name
from firexkit.runtime.arguments.annotations import (
    NONE,
    bare,
    enum_of,
    is_collection,
    is_none,
    is_object,
    is_open,
    is_union,
    item_type,
    literals,
    members,
    option_text,
    takes_flag,
    type_text,
)
from firexkit.runtime.arguments.parameters import Parameter, switched_off
from firexkit.runtime.arguments.validation import MisfitError, UnknownTypeError, shown, validated
from firexkit.runtime.arguments.words import ArgumentError, Repeated, option
from firexkit.secret import Secret

__all__ = ["converted"]

_BOOLS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_NONES: Final = frozenset({"none", "null"})


class MisuseError(MisfitError):
    """What is wrong is not the value, but how the argument is given."""


def _bool(text: str) -> bool:
    if (word := text.lower()) not in _BOOLS:
        raise ValueError(word)
    return _BOOLS[word]


_WITHOUT_PYDANTIC: Final[Mapping[Any, Callable[[str], Any]]] = {
    bool: _bool,
    float: float,
    int: int,
    Path: Path,
    str: str,
}
"""The commonest types. What these refuse, pydantic judges; a run that gives nothing else never waits for its import."""


def converted(
    given: Mapping[str, Any], parameters: Mapping[str, Parameter], secret: Container[str] = ()
) -> dict[str, Any]:
    """The arguments with values of the types that tasks ask for.

    Text is converted; what is no text any more, because a file or a converter gave it, is validated the same way.
    References (``@name``) and names that no task declares stay as they are. ``--no-NAME`` gives a bool parameter
    false; of ``--NAME`` and ``--no-NAME`` the later counts.

    Args:
        given: by name, what the command line, a file and converters gave.
        parameters: those of all loaded tasks.
        secret: names whose values no error shows.

    Raises:
        ArgumentError: values that don't fit, one line each.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in given.items():
        off = switched_off(name, parameters)
        parameter = parameters.get(off or name)
        try:
            values[off or name] = _value(value, parameter) if off is None else _off(value, off)
        except MisfitError as misfit:
            is_told = name not in secret or isinstance(misfit, MisuseError)
            problems.append(_line(name, misfit if is_told else MisfitError("the value does not fit"), parameter))
    if problems:
        raise ArgumentError(*problems)
    return values


def _line(name: str, misfit: MisfitError, parameter: Parameter | None) -> str:
    said = f"{option(name)} {misfit}" if isinstance(misfit, MisuseError) else f"{option(name)}: {misfit}"
    return f"{said} ({parameter.wanted})" if parameter else said


def _off(value: Any, name: str) -> bool:
    if isinstance(value, Repeated):
        raise _too_often(value)
    if value is not True:
        raise MisuseError(f"takes no value; write {option(name)} true or {option(name)} false")
    return False


def _value(value: Any, parameter: Parameter | None) -> Any:
    if referenced_name(value) is not None:
        return value
    annotation = parameter.annotation if parameter else NONE
    if isinstance(value, Repeated):
        return _collected(value, annotation)
    if value is True and not _may_be_flag(parameter):
        raise MisuseError("needs a value")
    try:
        return from_text(value, annotation) if isinstance(value, str) else from_value(value, annotation)
    except UnknownTypeError:
        return value


def _may_be_flag(parameter: Parameter | None) -> bool:
    types = parameter.by_type if parameter else ()
    return not types or any(takes_flag(kind) for kind, _ in types)


def _collected(values: Repeated, annotation: Any) -> Any:
    """The items of all values together, for a type that holds several."""
    kind = next((member for member in members(annotation) if is_collection(member)), None)
    if kind is None:
        raise _too_often(values)
    items: list[Any] = []
    for value in values:
        if not isinstance(value, str):
            raise MisuseError("needs a value")
        if referenced_name(value) is not None:
            raise MisfitError(f"{shown(value)} is a reference, and can't be one of several values")
        items += _items(value, kind)
    try:
        return validated(items, kind)
    except UnknownTypeError:
        return items


def _too_often(values: Repeated) -> MisuseError:
    return MisuseError(f"is given {len(values)} times, but takes one value")


def from_value(value: Any, annotation: Any) -> Any:
    """A value that is no text as one of the annotated type; MisfitError and UnknownTypeError as ``validated``."""
    if is_open(annotation) or type(value) is annotation:
        return value
    return validated(value, annotation)


def from_text(text: str, annotation: Any) -> Any:
    """The value that a text means for the annotated type; MisfitError and UnknownTypeError as ``validated``."""
    if is_open(annotation):
        raise UnknownTypeError(type_text(annotation))
    if annotation is Secret:
        return Secret(text)
    if isinstance(annotation, type) and annotation in _WITHOUT_PYDANTIC:
        with suppress(ValueError):
            return _WITHOUT_PYDANTIC[annotation](text)
    value = shaped(text, annotation)
    # The members of a union have judged already; another look might choose another member.
    is_judged = is_union(annotation) and bare(annotation) is annotation
    return value if is_judged else validated(value, annotation, written=text)


# ── the shape of a text ──────────────────────────────────────────────────────────────────
def shaped(text: str, annotation: Any) -> Any:
    """What a text stands for, as far as its form tells; text when pydantic is to find out."""
    if is_union(annotation):
        return _first_fit(text, members(annotation))
    if is_none(annotation):
        return None if text.lower() in _NONES else text
    if is_collection(annotation):
        return _items(text, annotation)
    if is_object(annotation) and text.lstrip().startswith(("{", "[")):
        return _json(text)
    if bare(annotation) is timedelta:
        return _seconds(text)
    return _one_of_few(text, annotation)


def _first_fit(text: str, kinds: tuple[Any, ...]) -> Any:
    """By the first member that it fits; None goes before all others, text after them, and unknown types last."""
    misfits: list[str] = []
    is_anything = False
    for kind in sorted(kinds, key=_turn):
        try:
            return from_text(text, kind)
        except MisfitError as misfit:
            misfits += [] if is_none(kind) else [str(misfit)]
        except UnknownTypeError:
            is_anything = True
    if is_anything:
        return text
    raise MisfitError(misfits[0] if len(misfits) == 1 else f"{shown(text)} fits none of these types")


def _turn(kind: Any) -> int:
    if is_none(kind):
        return 0
    return 2 if bare(kind) is str else 1


def _items(text: str, annotation: Any) -> list[Any]:
    start = text.lstrip()[:1]
    if start == "[":
        items: list[Any] = _json(text)
        return items
    if start == "{" and is_object(item_type(annotation, 0)):
        return [_json(text)]
    words = [word.strip() for word in text.split(",")] if start else []
    return [shaped(word, item_type(annotation, place)) for place, word in enumerate(words)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MisfitError(f"{shown(text)} is not JSON: {error}") from error


def _seconds(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _one_of_few(text: str, annotation: Any) -> Any:
    """The value of a Literal, or the member of an enum, that is written like this."""
    if kind := enum_of(annotation):
        by_value = (member for member in kind if str(member.value) == text)
        return next(by_value, kind.__members__.get(text, text))
    return next((value for value in literals(annotation) if text in {value, option_text(value)}), text)
