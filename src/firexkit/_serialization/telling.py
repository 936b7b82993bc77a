"""Exceptions told as data: class, text, arguments, attributes, notes and cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from firexkit import _wire
from firexkit._serialization.classes import class_key
from firexkit._serialization.errors import Json, Refused
from firexkit._serialization.text import safe_repr, safe_str, shortened

MAX_CAUSES: Final = 20
"""Exceptions inside exceptions, as causes, arguments or attributes, are told to this depth."""
MAX_TEXT: Final = 10_000
"""Longer texts of exceptions, and of arguments that cannot travel, are cut."""
_NOTES: Final = "__notes__"


class Telling:
    """The exceptions met in one value: each is told once, after that it is a number.

    So a cause that is also an argument, and the same in the exception inside, stays linear in size.

    Args:
        walk: makes JSON of a value at a level, or raises.
    """

    def __init__(self, walk: Callable[[object, int], Json]) -> None:
        self._walk = walk
        self._told: dict[int, tuple[int, BaseException]] = {}
        self._open: list[BaseException] = []

    def number(self, error: BaseException) -> int | None:
        """The number of an exception that was told before."""
        return self._told[id(error)][0] if id(error) in self._told else None

    def tell(self, error: BaseException, depth: int) -> dict[str, Json]:
        """What is known about an exception, empty parts left out.

        Raises:
            Refused: it is inside too many others, or inside itself.
        """
        if len(self._open) > MAX_CAUSES or any(error is other for other in self._open):
            raise Refused(f"is an exception inside more than {MAX_CAUSES} others, or inside itself")
        number = len(self._told) + len(self._open)
        self._open.append(error)
        parts = self._parts(error, depth)
        self._open.pop()
        self._told[id(error)] = (number, error)
        told: dict[str, Json] = {_wire.CLASS: class_key(type(error)), _wire.NUMBER: number}
        parts[_wire.TEXT] = _text(safe_str(error))
        return {**told, **{name: part for name, part in parts.items() if part}}

    def _parts(self, error: BaseException, depth: int) -> dict[str, Json]:
        causes = {_wire.CAUSE: error.__cause__} if error.__cause__ is not None else {}
        return {
            _wire.ARGUMENTS: [
                self._attempt(argument, depth, lambda refused: _text(safe_repr(refused)))
                for argument in arguments_of(error)
            ],
            _wire.ATTRIBUTES: self._travelling(_attributes(error), depth),
            _wire.NOTES: [safe_str(note) for note in _notes(error)],
            **self._travelling(causes, depth),
        }

    def _travelling(self, values: Mapping[str, Any], depth: int) -> dict[str, Json]:
        attempts = {name: self._attempt(value, depth, lambda _: _LEFT_OUT) for name, value in values.items()}
        return {name: told for name, told in attempts.items() if told is not _LEFT_OUT}

    def _attempt(self, value: object, depth: int, otherwise: Callable[[object], Any]) -> Any:
        """The value as JSON; if it cannot travel, no exception inside it counts as told."""
        told, opened = len(self._told), len(self._open)
        try:
            return self._walk(value, depth)
        except Exception:
            while len(self._told) > told:
                self._told.popitem()
            del self._open[opened:]
            return otherwise(value)


_LEFT_OUT: Final = object()


def arguments_of(error: BaseException) -> tuple[Any, ...]:
    """What to give to the class to get the exception again."""
    # Asked of the base: the args of an OSError leave out its file name, and a subclass may hide its own.
    base = OSError if isinstance(error, OSError) else BaseException
    return tuple(base.__reduce__(error)[1])


def _attributes(error: BaseException) -> dict[str, Any]:
    names = vars(error).keys() - {_NOTES, _wire.TAG, _wire.KOMBU_TAG, _wire.ENVELOPE}
    return {name: value for name, value in vars(error).items() if name in names}


def _notes(error: BaseException) -> list[object]:
    notes = vars(error).get(_NOTES)
    return list(notes) if isinstance(notes, (list, tuple)) else []


def _text(text: str) -> str:
    return shortened(text, MAX_TEXT)
