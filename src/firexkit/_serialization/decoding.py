"""From JSON to values. Only tags inside an envelope mean anything; no module is ever imported for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from firexkit import _wire
from firexkit._serialization.classes import find_allowed
from firexkit._serialization.encoding import MAX_DEPTH
from firexkit._serialization.errors import Json, WireError
from firexkit._serialization.exceptions import find_exception_class, make, stand_in
from firexkit._serialization.large import LargeValue, Read, from_told, late
from firexkit._serialization.objects import Parts
from firexkit._serialization.redaction import know_all
from firexkit._serialization.scalars import SCALARS
from firexkit._serialization.sealing import opened
from firexkit._serialization.text import safe_repr, shortened
from firexkit.secret import Secret

_Node: TypeAlias = "dict[str, Any]"

_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
_ENVELOPE: Final = {_wire.ENVELOPE, _wire.VALUE}
_UNREADABLE: Final = object()
_SHOWN: Final = 200
_LARGE_DEPTH: Final = 3
"""One level for the entries of a bag, and one for each tag around."""


def decode(data: Json, read: Read | None = None) -> Any:
    """The value that :func:`~firexkit._serialization.encode` made this JSON of.

    Args:
        data: what a JSON reader gave. Without an envelope it is the value already.
        read: reads large values; without it, one is an error.

    Returns:
        The value: a large one as a :class:`LargeValue`; a dict of such values, as a bag is, fetches them when read.

    Raises:
        WireError: a tag holds what it cannot mean, or names a class that is not allowed here.
    """
    if type(data) is not dict or _wire.ENVELOPE not in data:
        return data
    if data.keys() != _ENVELOPE:
        raise WireError(f"this envelope was not made by firexkit: {_shown(data)}")
    if data[_wire.ENVELOPE] != _wire.WIRE_VERSION:
        raise WireError(
            f"this value was written as version {_shown(data[_wire.ENVELOPE])} of the format, and version "
            f"{_wire.WIRE_VERSION} is read here; let both sides run the same release of firexkit"
        )
    decoder = Decoder(read)
    try:
        value = decoder.walk(data[_wire.VALUE], 1)
    except RecursionError as error:
        raise WireError("this value is nested too deeply for the rest of this stack") from error
    if not decoder.met_large or type(value) is LargeValue:
        return value
    if type(value) is not dict:
        raise WireError(f"a large value stands where none can: {_shown(data)}")
    return late(value)


def decode_exception(data: object) -> BaseException:
    """The exception that :func:`~firexkit._serialization.encode_exception` made this of.

    This never fails: what cannot be rebuilt here comes back as :class:`RemoteError`.
    """
    return Decoder().exception(data, 1)


class Decoder:
    """One walk over one encoded value; remembers the exceptions rebuilt so far, by number.

    Args:
        read: reads large values.
    """

    __slots__ = ("_read", "_rebuilt", "met_large")

    def __init__(self, read: Read | None = None) -> None:
        self._rebuilt: dict[int, BaseException] = {}
        self._read = read
        self.met_large = False

    def walk(self, node: Any, depth: int) -> Any:
        """The value of any node; ``depth`` counts as it did when the value was encoded."""
        kind = type(node)
        if kind in _LEAVES:
            return node
        # One more than can be sent: a tagged scalar is a dict here.
        if depth > MAX_DEPTH + 1:
            raise WireError(f"this value is nested more than {MAX_DEPTH} levels deep")
        if kind is list:
            return self.items(node, depth + 1)
        if kind is not dict:
            raise WireError(f"no JSON reader gives a {kind.__qualname__}: {_shown(node)}")
        return self.tagged(node, depth + 1) if _wire.TAG in node else self.fields(node, depth + 1)

    def items(self, nodes: Any, depth: int) -> list[Any]:
        """Each value of a list."""
        if type(nodes) is not list:
            raise WireError(f"expected a list: {_shown(nodes)}")
        return [node if type(node) in _LEAVES else self.walk(node, depth) for node in nodes]

    def fields(self, node: Any, depth: int) -> dict[Any, Any]:
        """Each value of a dict, escaped or not, under its key."""
        if type(node) is not dict:
            raise WireError(f"expected a dict: {_shown(node)}")
        if _wire.TAG in node:
            return self.pairs(node, depth)
        return {key: value if type(value) in _LEAVES else self.walk(value, depth) for key, value in node.items()}

    def pairs(self, node: _Node, depth: int) -> dict[Any, Any]:
        """An escaped dict."""
        if node[_wire.TAG] != _wire.TAG_DICT:
            raise WireError(f"expected a dict: {_shown(node)}")
        return {self.walk(key, depth): self.walk(value, depth) for key, value in node[_wire.VALUE]}

    def tagged(self, node: _Node, depth: int) -> Any:
        """The value of a node with a tag."""
        try:
            return _READERS[node[_wire.TAG]](self, node, depth)
        except (WireError, RecursionError):
            raise
        except Exception as error:
            raise WireError(f"this is no value of ours ({safe_repr(error)}): {_shown(node)}") from error

    def enum(self, node: _Node, _: int) -> object:
        """A member of an allowed enum."""
        cls, kind = find_allowed(node[_wire.CLASS])
        return kind.together(cls, node[_wire.VALUE])

    def object_(self, node: _Node, depth: int) -> object:
        """An instance of an allowed class."""
        cls, kind = find_allowed(node[_wire.CLASS])
        state = self.fields(node[_wire.STATE], depth) if _wire.STATE in node else None
        return kind.together(cls, Parts(self.fields(node[_wire.VALUE], depth), state))

    def large(self, node: _Node, depth: int) -> LargeValue:
        """A value that is stored on its own: an argument, or an entry of a bag."""
        if self._read is None or depth > _LARGE_DEPTH:
            raise WireError(f"a large value stands where none can: {_shown(node)}")
        self.met_large = True
        return from_told(node[_wire.VALUE], self._read)

    def hidden(self, node: _Node, _: int) -> Any:
        """A value that was hidden on its way."""
        value = decode(json.loads(opened(node[_wire.VALUE])))
        know_all([value])
        return value

    def secret(self, node: _Node, depth: int) -> Secret[Any]:
        """A secret."""
        return Secret(self.hidden(node, depth))

    # ── exceptions ───────────────────────────────────────────────────────────────────────
    def exception(self, told: Any, depth: int) -> BaseException:
        """An exception from what was told about it, with its cause and notes."""
        if type(told) is not dict:
            return stand_in(None, _shown(told))
        arguments = self._readable(told.get(_wire.ARGUMENTS, []), depth)
        attributes = self._attempt(told.get(_wire.ATTRIBUTES, {}), depth)
        cause = self._attempt(told.get(_wire.CAUSE), depth)
        error = _rebuilt(told, arguments, attributes)
        _complete(error, cause, told.get(_wire.NOTES))
        if type(number := told.get(_wire.NUMBER)) is int:
            self._rebuilt[number] = error
        return error

    def again(self, node: _Node, _: int) -> BaseException:
        """An exception that stood earlier in this value."""
        return self._rebuilt[node[_wire.VALUE]]

    def _readable(self, nodes: Any, depth: int) -> list[Any]:
        return [self._attempt(node, depth) for node in nodes] if type(nodes) is list else [_UNREADABLE]

    def _attempt(self, node: Any, depth: int) -> Any:
        try:
            return self.walk(node, depth)
        except (WireError, RecursionError):
            return _UNREADABLE


def _rebuilt(told: _Node, arguments: list[Any], attributes: Any) -> Exception:
    cls = find_exception_class(told.get(_wire.CLASS))
    known = type(attributes) is dict and all(argument is not _UNREADABLE for argument in arguments)
    error = make(cls, arguments, attributes) if cls is not None and known else None
    return error or stand_in(told.get(_wire.CLASS), told.get(_wire.TEXT))


def _complete(error: BaseException, cause: Any, notes: Any) -> None:
    # Asked of the base: a frozen exception class refuses assignment.
    if isinstance(cause, BaseException):
        BaseException.__setattr__(error, "__cause__", cause)
    for note in notes if type(notes) is list else ():
        BaseException.add_note(error, str(note))


def _shown(node: object) -> str:
    return shortened(safe_repr(node), _SHOWN)


def _scalar_reader(together: Callable[[Any], Any]) -> Callable[[Decoder, _Node, int], Any]:
    return lambda _, node, __: together(node[_wire.VALUE])


def _items_reader(kind: Callable[[list[Any]], Any]) -> Callable[[Decoder, _Node, int], Any]:
    return lambda decoder, node, depth: kind(decoder.items(node[_wire.VALUE], depth))


_READERS: Final[dict[str, Callable[[Decoder, _Node, int], Any]]] = {
    **{row.tag: _scalar_reader(row.together) for row in SCALARS},
    _wire.TAG_TUPLE: _items_reader(tuple),
    _wire.TAG_SET: _items_reader(set),
    _wire.TAG_FROZENSET: _items_reader(frozenset),
    _wire.TAG_DICT: Decoder.pairs,
    _wire.TAG_ENUM: Decoder.enum,
    _wire.TAG_OBJECT: Decoder.object_,
    _wire.TAG_EXCEPTION: lambda decoder, node, depth: decoder.exception(node[_wire.VALUE], depth),
    _wire.TAG_AGAIN: Decoder.again,
    _wire.TAG_LARGE: Decoder.large,
    _wire.TAG_SECRET: Decoder.secret,
    _wire.TAG_HIDDEN: Decoder.hidden,
}
