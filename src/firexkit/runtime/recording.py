"""The recorder of a run's own: a process of its supervisor, which keeps the run's journal."""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from firexkit import _wire
from firexkit.app import FireX
from firexkit.journal import places
from firexkit.journal.recorder import TROUBLE, Recorder
from firexkit.journal.store import JournalError
from firexkit.runtime import broker
from firexkit.runtime.directory import RunDirectory

logger: Final = logging.getLogger(__name__)

NICENESS: Final = 10
"""Recording can wait; tasks should not."""


def is_wanted(app: FireX) -> bool:
    """Whether an app's runs are recorded: unless it says that they are not."""
    return bool(app.conf.get(_wire.JOURNAL_SETTING, True))


@dataclass(frozen=True)
class Recording:
    """What records a run.

    Attributes:
        app: the run's app.
        directory: the run's directory, which gets the journal in the end.
    """

    app: FireX
    directory: RunDirectory

    def work(self, address: str, link: socket.socket) -> int:
        """Record the run, in a process of its own; the exit code.

        Args:
            address: the broker's.
            link: its other end is closed when it is time to end.
        """
        os.nice(NICENESS)
        broker.use(self.app, address)
        run = self.directory

        def ends(seconds: float) -> bool:
            return bool(select.select([link], [], [], seconds)[0])

        try:
            live = places.live_path(run.run_id)
            places.note_live(run.internal, live)
            recorder = self._recorder(live, ends)
            if recorder is not None:
                recorder.record(ends)
                recorder.close(run.path)
                places.forget_live(run.internal)
        except (JournalError, OSError) as error:
            logger.error("The run is not recorded any more: %s", error)
            return 1
        return 0

    def _recorder(self, live: Path, ends: Callable[[float], bool]) -> Recorder | None:
        """The recorder, as soon as the broker answers; None if it never does."""
        told = False
        while True:
            try:
                return Recorder(self.directory.run_id, self.app.backend.client, live)
            except RedisError as error:
                if not told:
                    logger.warning("Nothing is recorded yet, the broker does not answer: %s", error)
                told = True
            if ends(TROUBLE):
                return None
