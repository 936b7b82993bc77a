"""Whether the tasks that a wait is for are held by anybody: looked at every other second."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from firexkit._celery.leases import lease_time
from firexkit._celery.patience import is_transient
from firexkit._celery.states import is_remembered
from firexkit._records import Loss, holding_of
from firexkit.result.data_loss import check_data, lost_among
from firexkit.result.lookups import id_of
from firexkit.result.lost import Vigil, give_up_forgotten, mend
from firexkit.result.tree import tasks_of

logger: logging.Logger = logging.getLogger(__name__)

_FIRST: Final = 1.0
"""Seconds that a wait may take before anybody looks."""


class Holders:
    """The holders of all tasks that one wait is for.

    Attributes:
        due: when to look next.
    """

    def __init__(self) -> None:
        self._vigils: dict[Any, Vigil | None] = {}
        self.due: float = monotonic() + _FIRST

    def look(self, results: Iterable[Any]) -> None:
        """If it is time, look for tasks that nobody holds, and mend what was lost: each will end after all.

        Raises:
            BrokerDataLostError: the broker has lost its data, and some of these with them.
        """
        if monotonic() < self.due:
            return
        results = [*results]
        for app, task_ids in _unfinished(results).items():
            try:
                self._look_at(app, task_ids, [result for result in results if getattr(result, "app", None) is app])
            except Exception as error:
                if not is_transient(error):
                    raise
                logger.debug("Nobody can tell who holds the tasks that are waited for: %s", error)
        pauses = [vigil.pause for vigil in self._vigils.values() if vigil is not None]
        self.due = monotonic() + min(pauses, default=float("inf"))

    def _look_at(self, app: Any, task_ids: list[str], results: list[Any]) -> None:
        vigil = self._vigil_for(app)
        if vigil is None:
            return
        lost = vigil.lost(task_ids)
        forgotten = {task_id for task_id, loss in lost.items() if loss is Loss.FORGOTTEN}
        for task_id in lost.keys() - forgotten:
            mend(app, vigil.holding, task_id, lost[task_id])
        if forgotten:
            # What this process has sent had left a trace.
            sent = [result for result in results if getattr(result, "firexkit_name", "")]
            _give_up(app, lost_among(sent, {*task_ids} - forgotten))

    def _vigil_for(self, app: Any) -> Vigil | None:
        if app not in self._vigils:
            holding = holding_of(app.backend)
            self._vigils[app] = None if holding is None else Vigil(holding, lease_time(app.conf))
        return self._vigils[app]


def _give_up(app: Any, results: list[Any]) -> None:
    if results:
        check_data(app.backend, results)
    for result in results:
        give_up_forgotten(app, id_of(result), result.firexkit_name)


def _unfinished(results: Iterable[Any]) -> dict[Any, list[str]]:
    """The ids of all members of chains that are not known to have ended, by app."""
    found: dict[Any, dict[str, None]] = {}
    for result in results:
        app = getattr(result, "app", None)
        for task in tasks_of(result) if app is not None else ():
            if not is_remembered(task):
                found.setdefault(app, {})[id_of(task)] = None
    return {app: list(ids) for app, ids in found.items()}
