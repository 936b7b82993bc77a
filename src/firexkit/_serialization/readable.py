"""Any value as something a person can read and JSON can carry: for events, pages and reports, never to come back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from firexkit._serialization.objects import is_model
from firexkit._serialization.text import safe_repr

_LEAVES: Final = frozenset({str, float, bool, type(None)})
_KEYS: Final = frozenset({str})
_HIGH: Final = 1 << 2048
_LOW: Final = -_HIGH
_PLAIN_DEPTH: Final = 50
_MOST_ITEMS: Final = 100_000
"""Of collections that compute their items; a range may have more than any memory."""
_BYTES = (bytes, bytearray, memoryview)
_HELD = (dict, list, tuple, set, frozenset)

# Filled once by the rooms above, when they are imported.
_descriptions: Final[list[tuple[Callable[[Any], bool], Callable[[Any], str]]]] = []


def describe_with(predicate: Callable[[Any], bool], describe: Callable[[Any], str]) -> None:
    """Give values that would be shown by their repr a better text.

    Args:
        predicate: tells which values; asked about each that nothing else fits.
        describe: makes the text.
    """
    _descriptions.append((predicate, describe))


def is_jsonable(obj: Any) -> bool:
    """Whether ``json.dumps`` takes the object."""
    return _is_plain(obj, _PLAIN_DEPTH) or _dumps_takes(obj)


def convert_to_serializable(obj: Any, max_recursive_depth: int = 10) -> Any:
    """The object if JSON takes it, else the nearest thing that JSON takes; never fails and always ends.

    Args:
        obj: any value.
        max_recursive_depth: containers below this level, if something in them is no JSON, are shown by their repr.

    Returns:
        What ``firex_serializable()`` of the object gives if it has that; ISO text for a datetime; dicts for pydantic
        models, dataclasses and mappings; lists for other collections of known size; text for bytes; else the repr.
    """
    return _converted(obj, max_recursive_depth, ())


def _converted(obj: Any, levels: int, outer: tuple[int, ...]) -> Any:
    if type(obj) in _LEAVES or isinstance(obj, (str, float)):
        return obj
    try:
        return _shown(obj, levels, outer)
    except Exception:
        # Whatever the object's own methods raised: showing a value must not fail the task that holds it.
        return safe_repr(obj)


def _shown(obj: Any, levels: int, outer: tuple[int, ...]) -> Any:
    show = next((show for fits, show in _BY_KIND if fits(obj)), None)
    if show is not None:
        return show(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        obj = {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
    if is_jsonable(obj):
        return obj
    if levels > 0 and id(obj) not in outer and isinstance(obj, Collection):
        return _container(obj, levels - 1, (*outer, id(obj)))
    return _described(obj)


def _container(obj: Collection[Any], levels: int, outer: tuple[int, ...]) -> Any:
    if isinstance(obj, Mapping):
        return {
            _key(key, levels, outer): _converted(value, levels, outer) for key, value in islice(obj.items(), len(obj))
        }
    if isinstance(obj, _HELD) or len(obj) <= _MOST_ITEMS:
        return [_converted(item, levels, outer) for item in islice(obj, len(obj))]
    return _described(obj)


def _key(key: Any, levels: int, outer: tuple[int, ...]) -> Any:
    converted = _converted(key, levels, outer)
    return converted if isinstance(converted, (str, int, float, type(None))) else safe_repr(key)


def _described(obj: Any) -> str:
    return next((describe(obj) for predicate, describe in _descriptions if predicate(obj)), None) or safe_repr(obj)


def _has_own_form(obj: Any) -> bool:
    return not isinstance(obj, type) and callable(getattr(obj, "firex_serializable", None))


def _text_of(data: Any) -> str:
    try:
        return bytes(data).decode()
    except UnicodeDecodeError:
        return safe_repr(data)


_BY_KIND: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...]] = (
    (lambda obj: isinstance(obj, int) and _LOW < obj < _HIGH, lambda obj: obj),
    (_has_own_form, lambda obj: obj.firex_serializable()),
    (lambda obj: isinstance(obj, datetime), lambda obj: obj.isoformat()),
    (lambda obj: is_model(type(obj)), lambda obj: obj.model_dump(mode="json")),
    (lambda obj: isinstance(obj, _BYTES), _text_of),
)


def _is_plain(obj: Any, levels: int) -> bool:
    """A quick yes for common data, without making the text; a no tells nothing."""
    kind = type(obj)
    if kind in _LEAVES:
        return True
    if kind is int:
        return bool(_LOW < obj < _HIGH)
    if levels == 0:
        return False
    if kind is dict:
        return _KEYS.issuperset(map(type, obj)) and all(_is_plain(value, levels - 1) for value in obj.values())
    return kind in (list, tuple) and all(_is_plain(item, levels - 1) for item in obj)


def _dumps_takes(obj: Any) -> bool:
    try:
        json.dumps(obj)
    except Exception:
        # TypeError, ValueError for cycles, OverflowError, RecursionError; or a subclass's own methods.
        return False
    return True
