"""Whether the broker still has what it had when this process first asked it: a task that it lost never ends.

A broker without its data answers as if nothing had ever been sent, so a key tells: it has the same value as long as the
data are there. Each process remembers the first value that it saw, for good. With another value, or none, a loss has
happened at some time; then whatever has left no trace since is lost, and what has was sent later, or still runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, Final

from firexkit._celery.outbox import is_redis
from firexkit._celery.patience import is_transient
from firexkit._celery.states import is_remembered
from firexkit._records.epoch import known_among, read_epoch, settle_epoch
from firexkit.result.errors import BrokerDataLostError
from firexkit.result.lookups import id_of
from firexkit.result.tree import leaves_of, parents_of, tasks_of

logger: Final = logging.getLogger(__name__)

_FIRST: Final = 1.0
"""Seconds that a wait may take before anybody looks."""
_PAUSE: Final = 2.0
"""Seconds between two looks."""

_first_seen: Final[dict[str, bytes]] = {}
"""By the backend's address."""


def note_epoch(backend: Any) -> None:
    """Let this process know what the broker has now: what is lost from now on is noticed. Costs nothing the next time.

    Args:
        backend: a result backend; nothing happens unless it is on Redis and answers.
    """
    if not is_redis(backend) or backend.url in _first_seen:
        return
    try:
        epoch = settle_epoch(backend)
    except Exception as error:
        if not is_transient(error):
            raise
        logger.debug("Nobody tells what the broker has: %s", error)
        return
    _first_seen.setdefault(backend.url, epoch)


def check_data(backend: Any, results: Sequence[Any] = ()) -> None:
    """Raise if the broker has lost its data, and with them what is waited for. One command as long as it has not.

    A broker that does not answer has lost nothing.

    Args:
        backend: a result backend; nothing happens unless it is on Redis.
        results: what is waited for and has not ended; without any, every loss is told.

    Raises:
        BrokerDataLostError: it has; the text names the tasks.
    """
    if not is_redis(backend):
        return
    if backend.url not in _first_seen:
        note_epoch(backend)
        return
    try:
        if read_epoch(backend) == _first_seen[backend.url]:
            return
        task_ids = [id_of(task) for result in results for task in tasks_of(result)]
        lost = lost_among(results, known_among(backend, task_ids))
    except Exception as error:
        if not is_transient(error):
            raise
        logger.debug("Nobody tells whether the broker has its data: %s", error)
        return
    if lost or not results:
        raise BrokerDataLostError({id_of(result): str(getattr(result, "firexkit_name", "")) for result in lost})


def lost_among(results: Iterable[Any], known: set[str]) -> list[Any]:
    """Those of some results of which nothing is left after a loss: no member of the chain has a trace.

    Args:
        results: what is waited for.
        known: ids of the tasks that have one.
    """
    return [
        result for result in results if not any(_is_there(member, known) for member in (result, *parents_of(result)))
    ]


def _is_there(member: Any, known: set[str]) -> bool:
    # That a member has ended, as far as this process remembers, says nothing about those after it.
    open_ids = [id_of(leaf) for leaf in leaves_of(member) if not is_remembered(leaf)]
    return bool(open_ids) and known.issuperset(open_ids)


class DataChecks:
    """Looks at the broker's data for one wait: after a second, then every other second.

    Attributes:
        due: when to look next.
    """

    def __init__(self) -> None:
        self.due: float = monotonic() + _FIRST

    def look(self, results: Iterable[Any]) -> None:
        """If it is time, look whether the broker has lost what is waited for.

        Args:
            results: what is waited for and has not ended.

        Raises:
            BrokerDataLostError: it has.
        """
        if monotonic() < self.due:
            return
        self.due = monotonic() + _PAUSE
        by_backend: dict[Any, list[Any]] = {}
        for result in results:
            if (backend := getattr(result, "backend", None)) is not None:
                by_backend.setdefault(backend, []).append(result)
        for backend, awaited in by_backend.items():
            check_data(backend, awaited)
