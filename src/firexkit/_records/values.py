"""Large values in Redis or Valkey: one hash for each task that brought some, by the digests of their bytes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from firexkit._celery.outbox import run
from firexkit._celery.patience import is_transient, patience_of, patiently
from firexkit._records.keys import large_values_key
from firexkit._serialization.large import Place

_RESERVE: Final = 0.25
"""Part of their time by which values outlive the results that refer to them, so that few have to be kept longer."""


class RedisLargeValues:
    """A hash for each task.

    Args:
        backend: a Celery result backend on Redis.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._expires = int(backend.expires) if backend.expires else None

    def until(self) -> int | None:
        return None if self._lifetime is None else int(time.time()) + self._lifetime

    def is_stale(self, until: int | None) -> bool:
        return until is not None and self._expires is not None and until < time.time() + self._expires

    def keep(self, new: Mapping[Place, bytes], renewed: Collection[str]) -> bool:
        owners = {*renewed, *(place.owner for place in new)} if self._lifetime else ()
        stored = [("HSET", large_values_key(place.owner), place.digest, data) for place, data in new.items()]
        try:
            # At once, and not with others: whoever hears of the message or the result may read at that moment.
            run(self._backend, [*stored, *(("EXPIRE", large_values_key(owner), self._lifetime) for owner in owners)])
        except Exception as error:
            if not is_transient(error):
                raise
            return False
        return True

    def read(self, places: Sequence[Place]) -> list[bytes | None]:
        wanted = [("HGET", large_values_key(place.owner), place.digest) for place in places]
        return patiently(run, self._backend, wanted, timeout=partial(patience_of, self._backend.app.conf))

    @property
    def _lifetime(self) -> int | None:
        return None if self._expires is None else int(self._expires * (1 + _RESERVE)) + 1
