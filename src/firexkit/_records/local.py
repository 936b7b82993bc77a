"""Records of this process alone, for backends without hashes.

Names are read by plain ``get``; the mark that a body ended counts as set. What a worker notes, only it can read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from firexkit import _wire
from firexkit._records.claims import Claim, Claimant, Standing
from firexkit._records.keys import cache_key, once_count_key, once_uid_key, scoped

_KINDS = ((_wire.ONCE_UID, "once"), (_wire.CACHE, "cache"))


class _InProcess:
    """Tables kept as long as their app lives."""

    _kept: ClassVar[WeakKeyDictionary[Any, dict[str, dict[str, Any]]]] = WeakKeyDictionary()

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._all = self._kept.setdefault(getattr(backend, "app", None) or backend, {})

    def _table(self, name: str) -> dict[str, Any]:
        return self._all.setdefault(name, {})


class LocalTaskRecords(_InProcess):
    """What this process knows about single tasks."""

    keeps_history = False

    def sent(self, task_id: str, *, name: str, queue: str, run: str, waiter: str = "") -> None:
        """Nothing to do: nobody else could read it."""

    def started(self, task_id: str, *, name: str, run: str, is_first: bool = False) -> None:
        self._table("start").setdefault(task_id, time.time())

    def done(self, task_id: str, *, leaves_no_result: bool = False, waiter: str = "") -> None:
        """Nothing to do: nobody else could read it."""

    def ended(self, task_id: str) -> None:
        """Nothing to do: it ends with this process."""

    def field(self, task_id: str, name: str) -> str:
        if name == _wire.FIELD_POST_RUN:
            return _wire.POST_RUN_MARK
        return self.plain(task_id) if name == _wire.FIELD_NAME else ""

    def fields(self, task_ids: Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
        revoked = self._table("revoked")
        return [{_wire.FIELD_REVOKED: "True"} if task_id in revoked else {} for task_id in task_ids]

    def plain(self, task_id: str) -> str:
        try:
            # A courtesy: a backend that has no plain values, or other keys, knows no names.
            value = self._backend.get(task_id)
        except (AttributeError, NotImplementedError, TypeError):
            return ""
        return value.decode() if isinstance(value, bytes) else str(value or "")

    def start_time(self, task_id: str) -> float | None:
        return self._table("start").get(task_id)

    def forget(self, task_ids: Sequence[str], *, also: Sequence[Any] = ()) -> None:
        gone = set(task_ids)
        for name in ("start", "revoked", "reports"):
            for task_id in gone:
                self._table(name).pop(task_id, None)
        for name in ("once", "cache"):
            table = self._table(name)
            for key in [key for key, task_id in table.items() if task_id in gone]:
                del table[key]


class LocalRunRecords(_InProcess):
    """Once-keys, cached results and reports of this process."""

    def is_known(self, run: str) -> bool:
        return any(key.startswith(scoped(prefix, run, "")) for prefix, name in _KINDS for key in self._table(name)) or (
            run in self._table("reports").values()
        )

    def add_report(self, task_id: str, run: str) -> None:
        self._table("reports")[task_id] = run

    def reports(self, run: str) -> set[str]:
        return {task_id for task_id, owner in self._table("reports").items() if run in ("", owner)}

    def claim_once(self, key: str, run: str, task_id: str, claimant: Claimant) -> Claim:
        mine = Claim(Standing.FIRST, task_id, claimant.task_id)
        claim: Claim = self._table("once-owner").setdefault(once_count_key(key, run), mine)
        if sent := self._table("once").get(once_uid_key(key, run)):
            self._table("once-owner").pop(once_count_key(key, run), None)
            return Claim(Standing.DONE, sent, "")
        if claim is mine:
            return mine
        return claim._replace(standing=Standing.AGAIN if claim.claimant == claimant.task_id else Standing.HELD)

    def release_once(self, key: str, run: str, claimant: str) -> None:
        self._table("once-owner").pop(once_count_key(key, run), None)

    def publish_once(self, key: str, run: str, task_id: str) -> None:
        self._table("once")[once_uid_key(key, run)] = task_id
        self._table("once-owner").pop(once_count_key(key, run), None)

    def once_uids(self, run: str) -> set[str]:
        return _under(self._table("once"), _wire.ONCE_UID, run)

    def claim_call(self, key: str, run: str, useless: str, claimant: Claimant) -> Claim:
        source = self._table("cache").get(cache_key(key, run), useless)
        if source in (useless, claimant.task_id):
            return Claim(Standing.FIRST, claimant.task_id, claimant.task_id)
        return Claim(Standing.DONE, source, source)

    def remember_cached(self, key: str, run: str, task_id: str) -> None:
        self._table("cache")[cache_key(key, run)] = task_id

    def cached_uids(self, run: str) -> set[str]:
        return _under(self._table("cache"), _wire.CACHE, run)

    def once_keys(self, run: str) -> list[str]:
        return _keys_under(self._table("once"), _wire.ONCE_UID, run)

    def cached_keys(self, run: str) -> list[str]:
        return _keys_under(self._table("cache"), _wire.CACHE, run)


class LocalClusterRecords(_InProcess):
    """Revocations and queues that this process noted."""

    def revoked(self, task_ids: Iterable[str], *, terminate: bool = False) -> None:
        self._table("revoked").update(dict.fromkeys(task_ids, True))

    def revoked_ids(self) -> list[str]:
        return list(self._table("revoked"))

    def claim_question(self, seconds: float) -> bool:
        return True

    def queues_ready(self, queues: Iterable[str]) -> None:
        self._table("queues").update(dict.fromkeys(queues, True))

    def is_queue_ready(self, queue: str) -> bool:
        return queue in self._table("queues")


def _keys_under(table: Mapping[str, str], prefix: str, run: str) -> list[str]:
    return sorted(key for key in table if key.startswith(scoped(prefix, run, "")))


def _under(table: Mapping[str, str], prefix: str, run: str) -> set[str]:
    return {table[key] for key in _keys_under(table, prefix, run)}
