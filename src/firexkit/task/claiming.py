"""A claim of a task, asked for in the name of its process: it is taken for lost when the process is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from time import monotonic
from typing import Any, Final

from firexkit._celery import outbox
from firexkit._celery.leases import lease_time, main_lease, own_lease
from firexkit._celery.messages import JSON
from firexkit._celery.patience import patiently
from firexkit._records import Claim, Claimant, Standing

_LONGEST: Final = 1.0
"""Seconds between two looks at a claim that somebody else has, at most."""
_GONE: Final = 0.4
"""The part of a lease's time for which leases must have been over: who lives has renewed one more than once by then."""


class Asking:
    """One task asks for one claim, until it or somebody else has done what is claimed.

    Attributes:
        pause: seconds until the next look, at most.

    Args:
        task: the task that asks.
        claimant_id: its id.
        ask: asks the store.
    """

    def __init__(self, task: Any, claimant_id: str, ask: Callable[[Claimant], Claim]) -> None:
        self._task = task
        self._lease = lease_time(task.app.conf)
        self._ask = ask
        self._id = claimant_id
        self._answered = -inf
        self._lost_since = inf
        self.pause: float = min(_LONGEST, self._lease / 4)

    def look(self) -> Claim:
        """What the store answers now; a broker that is away is waited for.

        Who has the claim has lost it when its leases were over at each of several looks, and all were answered.
        """
        return patiently(self._look)

    def _look(self) -> Claim:
        lease, asked = own_lease(), monotonic()
        if asked - self._answered > self._lease / 2:
            self._lost_since = inf
        claimant = self._claimant(is_sure=asked - self._lost_since > _GONE * self._lease)
        try:
            claim = self._ask(claimant)
        except BaseException:
            self._lost_since = inf
            raise
        if claim.is_mine and claimant.renewal:
            lease.renewed(asked)
        self._answered = monotonic()
        if claim.standing is not Standing.LOST or self._answered - asked > self._lease / 4:
            self._lost_since = inf
        else:
            self._lost_since = min(self._lost_since, asked)
        return claim._replace(standing=Standing.HELD) if claim.standing is Standing.LOST else claim

    def _claimant(self, *, is_sure: bool) -> Claimant:
        app, lease = self._task.app, own_lease()
        return Claimant(
            task_id=self._id,
            leases=tuple(dict.fromkeys((lease.name, main_lease().name))),
            renewal=int(self._lease * 1000) if lease.due(app.conf) else 0,
            results=_before_ids(app.backend),
            is_tracked=_is_tracked(self._task),
            is_sure=is_sure,
        )


def kept(backend: Any) -> AbstractContextManager[None]:
    """For a block in which this process has a claim: it says all the time that it lives."""
    return own_lease().kept(backend) if outbox.is_redis(backend) else nullcontext()


def _is_tracked(task: Any) -> bool:
    """Whether a task has stored that its body began, in the form that the store's scripts read."""
    request = task.request
    stores = task.track_started and not (request.is_eager or request.ignore_result or task.ignore_result)
    return bool(stores) and task.app.backend.serializer == JSON


def _before_ids(backend: Any) -> str:
    """What stands before a task's id in the key of its result; nothing where results have no such keys."""
    if not outbox.is_redis(backend):
        return ""
    probe = "id"
    return str(backend.get_key_for_task(probe).decode()).removesuffix(probe)
