"""Which values of a message or result are stored on their own, under which task, and what is sent in their place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar

from firexkit._serialization.errors import Json, WireError
from firexkit._serialization.large import LargeValue, Place
from firexkit._serialization.packing import exceeds, packed, packed_json
from firexkit._wire import INDIRECT_ARG_CHAR

_Spot = TypeVar("_Spot")

SMALLEST: Final = 512
"""No value below this is worth a key of its own, whatever the setting says."""
_LATEST: Final = 8
"""Values for several tasks that an execution holds on to, to know them again without a look into them."""


def candidates(values: Iterable[tuple[_Spot, Any]]) -> dict[_Spot, Any]:
    """Those values, by where they stand, that are large or could be by some setting; the others just travel."""
    return {
        spot: value
        for spot, value in values
        # First what most values are.
        if not (type(value) is str and len(value) <= SMALLEST)
        and (type(value) is LargeValue or exceeds(value, SMALLEST))
    }


class Store(Protocol):
    """Where large values are kept."""

    def until(self) -> int | None:
        """Unix time until which a value that is stored now is kept; None for ever."""

    def is_stale(self, until: int | None) -> bool:
        """Whether a value that is kept until then may be gone before a result that is stored now."""

    def keep(self, new: Mapping[Place, bytes], renewed: Collection[str]) -> bool:
        """Store values, and keep those of some owners for longer; False when the backend is away."""


class Known:
    """The large values that one execution may send on as they came.

    Those that came with its arguments belong to tasks above it; those that it sent to several others, to itself. So
    whoever is sent one is forgotten before its owner is.

    Args:
        owner: the execution's task id; empty outside of a task, where nothing is known.
    """

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        self._values: dict[str, LargeValue] = {}
        self._latest: deque[LargeValue] = deque(maxlen=_LATEST)
        self._sent: set[str] = set()

    def learn(self, values: Iterable[Any]) -> None:
        """Remember the large ones of the values that came with the arguments."""
        self._values.update((value.place.digest, value) for value in values if type(value) is LargeValue)

    def learn_own(self, values: Iterable[LargeValue]) -> None:
        """Remember values that were stored for the execution; the values themselves only of the latest."""
        for value in values:
            self._latest.append(value)
            self._values[value.place.digest] = LargeValue(value.place, value.size, value.until)

    def like(self, value: object) -> LargeValue | None:
        """The known value that this is; None if that takes a look into it."""
        return next((known for known in (*self._latest, *self._values.values()) if known.stands_for(value)), None)

    def of(self, digest: str) -> LargeValue | None:
        """The known value with a digest."""
        return self._values.get(digest)

    def is_known(self, value: LargeValue) -> bool:
        """Whether a large value may be sent on."""
        known = self._values.get(value.place.digest)
        return known is not None and known.place == value.place

    def owner_for(self, digest: str, addressee: str) -> str:
        """Who shall own a new value: the task that it is sent to; with the second such task, the execution."""
        if not self.owner or digest not in self._sent:
            self._sent.add(digest)
            return addressee
        return self.owner


class Keeper:
    """Large values on their way out with one message or one result.

    Args:
        limit: values of more bytes are stored; None for none.
        store: where.
        addressee: id of the task that the message is for, or whose result it is.
        known: what the execution knows that sends the message, or returns.
    """

    def __init__(self, limit: int | None, store: Store | None, addressee: str, known: Known) -> None:
        self._limit = max(limit, SMALLEST) if limit and store is not None else None
        self._store = store
        self._addressee = addressee
        self._known = known

    def sent_for(self, values: Mapping[_Spot, Any]) -> dict[_Spot, Any]:
        """What is sent for each value: the large ones are stored when this returns, and come as their stand-ins."""
        return self._exchanged(values, packed)

    def sent_for_encoded(self, values: Mapping[_Spot, Json]) -> dict[_Spot, Any]:
        """As :meth:`sent_for`, for values that are encoded already."""
        return self._exchanged(values, packed_json)

    def _exchanged(self, values: Mapping[_Spot, Any], pack: Callable[[Any], bytes]) -> dict[_Spot, Any]:
        load = _Load(self._store)
        sent = {spot: self._sent(spot, value, pack, load) for spot, value in values.items()}
        if load.stored():
            self._known.learn_own(value for value in load.values.values() if value.place.owner == self._known.owner)
            return sent
        # The backend is away: what is new travels in the message.
        new = load.values.values()
        return {spot: values[spot] if any(value is one for one in new) else value for spot, value in sent.items()}

    def _sent(self, spot: object, value: Any, pack: Callable[[Any], bytes], load: _Load) -> Any:
        if type(value) is LargeValue:
            if self._known.is_known(value) and not value.may_have_changed:
                return load.passing(value)
            value = value.get(spot)
        if self._limit is None or not exceeds(value, self._limit) or _is_reference(value):
            return value
        if (known := self._known.like(value)) is not None:
            return load.passing(known)
        try:
            data = pack(value)
        except WireError:
            # Who encodes the rest says where it stands.
            return value
        return self._stored(value, data, load)

    def _stored(self, value: Any, data: bytes, load: _Load) -> LargeValue:
        digest = sha256(data).hexdigest()
        if (known := self._known.of(digest)) is not None:
            return load.passing(known)
        return load.values.get(digest) or load.new(
            Place(self._known.owner_for(digest, self._addressee), digest), data, value
        )


class _Load:
    """What one message or result gives the backend to keep."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._data: dict[Place, bytes] = {}
        self._renewed: set[str] = set()
        self.values: dict[str, LargeValue] = {}

    def new(self, place: Place, data: bytes, value: Any) -> LargeValue:
        """A value that was not stored before."""
        until = self._store.until() if self._store is not None else None
        self._data[place] = data
        self.values[place.digest] = LargeValue(place, len(data), until, value=value)
        return self.values[place.digest]

    def passing(self, value: LargeValue) -> LargeValue:
        """A value that is stored, and shall outlive what refers to it now."""
        if self._store is None or not self._store.is_stale(value.until):
            return value.as_stored(value.until)
        self._renewed.add(value.place.owner)
        return value.as_stored(self._store.until())

    def stored(self) -> bool:
        """Have it kept; False when the backend is away."""
        return self._store is None or not (self._data or self._renewed) or self._store.keep(self._data, self._renewed)


def _is_reference(value: object) -> bool:
    """Whether it looks like ``'@name'``: what that asks for is known only to the bag it arrives in."""
    return isinstance(value, str) and value.startswith(INDIRECT_ARG_CHAR)
