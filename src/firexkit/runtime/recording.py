"""The recorder of a run's own: a process of its supervisor, which keeps the run's journal."""

from __future__ import annotations

import logging
import os
import select
import socket
from dataclasses import dataclass
from typing import Final

from firexkit import _wire
from firexkit.app import FireX
from firexkit.journal import places
from firexkit.journal.recorder import Recorder
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
        try:
            live = places.live_path(run.run_id)
            recorder = Recorder(run.run_id, self.app.backend.client, live)
            places.note_live(run.internal, live)
        except (JournalError, OSError) as error:
            logger.error("The run is not recorded: %s", error)
            return 1
        recorder.record(lambda seconds: bool(select.select([link], [], [], seconds)[0]))
        try:
            recorder.close(run.path)
            places.forget_live(run.internal)
        except (JournalError, OSError) as error:
            logger.error("The journal stays at %s: %s", live, error)
            return 1
        return 0
