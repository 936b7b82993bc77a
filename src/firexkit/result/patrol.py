"""What a worker's main process does for tasks that nobody waits for: it looks for those that are lost."""

from __future__ import annotations

import logging
import random
import threading
from typing import Any, Final

from firexkit._celery.leases import lease_time, own_lease
from firexkit._celery.patience import is_transient
from firexkit._records import holding_of
from firexkit.result.lost import Vigil, mend

logger: logging.Logger = logging.getLogger(__name__)

_MANY: Final = 1 << 16


def start(app: Any) -> None:
    """Look from now on, in a thread, as long as this process lives. One of all workers' main processes does so.

    Args:
        app: its broker and its result backend are one Redis server.
    """
    threading.Thread(target=_look, args=(app,), name="firexkit-patrol", daemon=True).start()


def _look(app: Any) -> None:
    # A backend of its own: that of an app is one for each thread.
    holding, lease = holding_of(app.backend), lease_time(app.conf)
    if holding is None:
        return
    vigil, strays, never = Vigil(holding, lease), Vigil(holding, lease, is_thorough=True), threading.Event()
    while not never.wait(vigil.pause if vigil.missed or strays.missed else lease):
        try:
            if holding.claim_patrol(own_lease().name, 2 * lease):
                _mend_lost(app, vigil, strays)
        except Exception as error:
            if not is_transient(error):
                logger.exception("Nobody looks for lost tasks for a moment")


def _mend_lost(app: Any, vigil: Vigil, strays: Vigil) -> None:
    # A queue that is never empty hides a message that left it and reached nobody; so some are looked for themselves.
    suspects, queued = vigil.holding.suspects(random.randrange(_MANY))
    for task_id, loss in (vigil.lost(suspects) | strays.lost([*{*strays.missed, *queued}])).items():
        mend(app, vigil.holding, task_id, loss)
