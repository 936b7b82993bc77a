"""The recorder of a run's own: a process of its supervisor, which keeps the run's journal."""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from firexkit import _wire
from firexkit.app import FireX
from firexkit.journal import places
from firexkit.journal.logs import Receiver, want, want_no_more
from firexkit.journal.model import AnyFact, Unknown
from firexkit.journal.recorder import TROUBLE, Recorder
from firexkit.journal.retelling import Retelling
from firexkit.journal.store import JournalError
from firexkit.journal.tracing import TracingError, spans_for
from firexkit.runtime import broker
from firexkit.runtime.directory import RunDirectory

logger: Final = logging.getLogger(__name__)

NICENESS: Final = 10
"""Recording can wait; tasks should not."""
LOGS_PATIENCE: Final = 3.0
"""Seconds for which logs of tasks that ran elsewhere are waited for in the end."""

Hear = Callable[[Iterable[AnyFact | Unknown]], None]


def is_wanted(app: FireX) -> bool:
    """Whether an app's runs are recorded: unless it says that they are not."""
    return bool(app.conf.get(_wire.JOURNAL_SETTING, True))


def want_logs(app: FireX, run: RunDirectory) -> str:
    """Ask workers on other machines for the logs of a run's tasks; what speaks against that.

    Args:
        app: the run's app.
        run: the run's directory.
    """
    try:
        want(app.backend.client, run.run_id, run.worker_logs)
    except OSError as error:
        return f"logs of tasks that run on other machines stay there: {error}"
    return ""


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
        beside = _Beside(run, self.app.backend.client)

        def ends(seconds: float) -> bool:
            beside.step()
            return bool(select.select([link], [], [], seconds)[0])

        try:
            live = places.live_path(run.run_id)
            places.note_live(run.internal, live)
            recorder = self._recorder(live, beside.hear, ends)
            if recorder is None:
                places.remove_live(live)
            else:
                beside.hear(recorder.facts())  # what one before has recorded
                try:
                    recorder.record(ends)
                finally:
                    beside.end(recorder.facts())
                    recorder.close(run.path)
                places.forget_live(run.internal)
        except (JournalError, OSError) as error:
            logger.error("The run is not recorded any more: %s", error)
            return 1
        return 0

    def _recorder(self, live: Path, hear: Hear, ends: Callable[[float], bool]) -> Recorder | None:
        """The recorder, as soon as the broker answers; None if it never does."""
        told = False
        while True:
            try:
                return Recorder(self.directory.run_id, self.app.backend.client, live, hear=hear)
            except RedisError as error:
                if not told:
                    logger.warning("Nothing is recorded yet, the broker does not answer: %s", error)
                told = True
            if ends(TROUBLE):
                return None


class _Beside:
    """What else comes from tasks: the logs of those that ran elsewhere; and spans, where somebody wants them.

    Args:
        run: the run's directory.
        client: a redis-py client that does not decode.
    """

    def __init__(self, run: RunDirectory, client: Any) -> None:
        self._run = run
        self._client = client
        self._receiver = Receiver(client, run.run_id, run.worker_logs)
        self._spans = _spans_for(run.run_id)

    def hear(self, facts: Iterable[AnyFact | Unknown]) -> None:
        """Send the spans of tasks that have ended."""
        if self._spans is not None:
            self._spans.tell(facts)

    def step(self) -> None:
        """Write what has come of logs."""
        with suppress(RedisError):  # the recorder says that the broker is away
            self._receiver.receive()

    def end(self, facts: Iterable[AnyFact | Unknown]) -> None:
        """Wait a while for the logs of tasks that have ended, and send the last spans.

        Args:
            facts: all of the run's.
        """
        logs, told = self._run.worker_logs, Retelling()
        told.tell(facts)
        try:
            missing = self._receiver.receive_rest(told.awaited_logs(logs), LOGS_PATIENCE)
            want_no_more(self._client, self._run.run_id, logs)
        except (RedisError, OSError) as error:
            missing = []
            logger.warning("Logs of tasks that ran elsewhere may be missing: %s", error)
        for problem in [*self._receiver.problems, *(f"Not all has come of the log {place}" for place in missing)]:
            logger.warning("%s", problem)
        if self._spans is not None:
            self._spans.close()


def _spans_for(run_id: str) -> Retelling | None:
    try:
        spans = spans_for(run_id)
        return Retelling(spans) if spans is not None else None
    except TracingError as error:
        logger.error("No spans are sent: %s", error)
        return None
