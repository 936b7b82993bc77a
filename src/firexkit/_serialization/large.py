"""Large values: stored once, sent as stand-ins, fetched when they are read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from firexkit import _wire
from firexkit._serialization.errors import LostValueError

_Name = TypeVar("_Name")

GONE: Final = object()
"""What a reader gives in the place of a value that is not there any more."""
_NOT_HERE: Final = object()
_SEALED: Final = frozenset({str, bytes})
"""Types whose values nobody can change: the same object is the same value."""


class Place(NamedTuple):
    """Where a large value is stored."""

    owner: str
    """The task that it came with."""
    digest: str
    """What it is, by the digest of its bytes."""


Read: TypeAlias = Callable[[Sequence[Place]], Sequence[Any]]
"""Reads values by their places, all in one round trip; ``GONE`` for those that are not there."""


class LargeValue:
    """In the place of a value that is stored on its own.

    Args:
        place: where it is stored.
        size: what it takes there, in bytes.
        until: Unix time until which it is kept; None for ever.
        read: how to read it; None where nobody will.
        value: the value, for whoever stored it; not kept if somebody may change it later.
    """

    __slots__ = ("_value", "place", "read", "size", "until")

    place: Place
    size: int
    until: int | None
    read: Read | None

    def __init__(
        self, place: Place, size: int, until: int | None, read: Read | None = None, value: Any = _NOT_HERE
    ) -> None:
        self.place = place
        self.size = size
        self.until = until
        self.read = read
        self._value = value if type(value) in _SEALED else _NOT_HERE

    @property
    def is_here(self) -> bool:
        """Whether the value was fetched."""
        return self._value is not _NOT_HERE

    @property
    def may_have_changed(self) -> bool:
        """Whether somebody got the value, and could have changed it in place."""
        return self._value is not _NOT_HERE and type(self._value) not in _SEALED

    def stands_for(self, value: object) -> bool:
        """Whether this is surely that value, without a look into it."""
        return self._value is value and type(value) in _SEALED

    def get(self, name: object = None) -> Any:
        """The value; fetched at the first call.

        Args:
            name: what the value is called where it is read, for the error.

        Raises:
            LostValueError: it is not stored any more.
        """
        if self._value is _NOT_HERE:
            fetch({name: self})
        return self._value

    def arrived(self, value: Any, name: object) -> None:
        """Take the value that was read."""
        if value is GONE:
            raise LostValueError.of(name, size=self.size, owner=self.place.owner)
        self._value = value

    def as_stored(self, until: int | None) -> LargeValue:
        """What is stored, whatever was done with the value since; kept until then."""
        return LargeValue(self.place, self.size, until, self.read, self._value)

    def __json__(self) -> Any:
        """The value, for a message that is not ours: kombu asks for it."""
        return self.get()

    def __repr__(self) -> str:
        return f"<large value, {self.size} bytes>"


def fetch(values: Mapping[_Name, Any]) -> None:
    """Read what is not here yet of the large values among these, in one round trip.

    Args:
        values: by the names that an error shall tell.

    Raises:
        LostValueError: one is not stored any more.
    """
    by_reader: dict[Read | None, dict[LargeValue, Any]] = {}
    for name, value in values.items():
        if type(value) is LargeValue and not value.is_here:
            by_reader.setdefault(value.read, {}).setdefault(value, name)
    for read, missing in by_reader.items():
        places = [value.place for value in missing]
        found = read(places) if read is not None else [GONE] * len(places)
        for (value, name), arrived in zip(missing.items(), found, strict=True):
            value.arrived(arrived, name)


def here(value: Any, name: object = None) -> Any:
    """The value itself, whether or not it is a large one."""
    return value.get(name) if type(value) is LargeValue else value


def fetched(values: Mapping[_Name, Any]) -> dict[_Name, Any]:
    """The same with all values, those that have to be fetched in one round trip."""
    entries = dict(entries_of(values))
    fetch(entries)
    return {name: here(value) for name, value in entries.items()}


def entries_of(values: Mapping[_Name, Any]) -> Iterable[tuple[_Name, Any]]:
    """The entries of a mapping as they are kept, large values as their stand-ins."""
    return dict.items(values) if isinstance(values, LateDict) else values.items()


def late(values: dict[Any, Any]) -> dict[Any, Any]:
    """A dict that fetches its large values when they are read; the same object if it has none."""
    if isinstance(values, LateDict) or LargeValue not in map(type, values.values()):
        return values
    return LateDict(values.items())


class LateDict(dict[Any, Any]):
    """A dict whose large values are fetched when they are read: one by its name, all for who reads all.

    The dict itself keeps the stand-ins, for whoever passes it on; see :func:`entries_of`.
    """

    def __getitem__(self, name: Any) -> Any:
        return here(super().__getitem__(name), name)

    def __iter__(self) -> Any:
        # It changes nothing, but keeps dict(this) and {**this} from looking past the methods here.
        return super().__iter__()

    def get(self, name: Any, default: Any = None) -> Any:
        """The value of a name."""
        return here(super().get(name, default), name)

    def items(self) -> Any:
        """All names with their values."""
        return fetched(self).items()

    def values(self) -> Any:
        """All values."""
        return fetched(self).values()

    def pop(self, name: Any, *default: Any) -> Any:
        """Take an entry out."""
        return here(super().pop(name, *default), name)

    def popitem(self) -> tuple[Any, Any]:
        """Take the last entry out."""
        name, value = super().popitem()
        return name, here(value, name)

    def setdefault(self, name: Any, default: Any = None) -> Any:
        """The value of a name, put in if it is not there."""
        return here(super().setdefault(name, default), name)

    def copy(self) -> dict[Any, Any]:
        """A plain dict with all values."""
        return fetched(self)

    def __copy__(self) -> dict[Any, Any]:
        return fetched(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return copy.deepcopy(fetched(self), memo)

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return dict, (fetched(self),)

    def __or__(self, other: Any) -> Any:
        return fetched(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | fetched(self)

    def __eq__(self, other: object) -> bool:
        return fetched(self) == (fetched(other) if isinstance(other, LateDict) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as of every dict

    def __repr__(self) -> str:
        return repr(fetched(self))


def told(large: LargeValue) -> list[Any]:
    """What travels of a large value."""
    return [*large.place, large.size, large.until]


def from_told(parts: list[Any], read: Read | None) -> LargeValue:
    """A large value from what travelled of it."""
    owner, digest, size, until = parts
    if type(owner) is not str or type(digest) is not str or type(size) is not int:
        raise TypeError(f"a {_wire.TAG_LARGE} has an owner, a digest, a size and a time")
    return LargeValue(Place(owner, digest), size, until, read)
