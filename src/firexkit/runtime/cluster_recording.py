"""Record every run of a broker that others share: each gets a directory, as if it had been submitted here.

Runs that were submitted into the same directory of runs are there already, and left to their own recorders.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from firexkit import _wire
from firexkit.journal import places
from firexkit.journal.claim import Claim, Role
from firexkit.journal.counters import Counters
from firexkit.journal.recorder import GATHER, TROUBLE
from firexkit.journal.store import JournalError
from firexkit.runtime.directory import RunDirectory, RunDirectoryError, make_run_directory
from firexkit.runtime.record import read_record
from firexkit.runtime.recorded_run import HOLDER, RecordedRun
from firexkit.runtime.remembered import remembered
from firexkit.runtime.retention import Limits, remove, remove_rests, superfluous, weighed
from firexkit.runtime.runs import runs_in

logger: Final = logging.getLogger(__name__)

ASK_AGAIN: Final = 5.0
"""Seconds until a run that is recorded elsewhere is asked for again."""
OWN_FIRST: Final = 3.0
"""Seconds that a run's own recorder has to come: it needs what is taken off the stream here."""
EXPECTED: Final = 7 * 86400
"""Seconds for which runs keep their facts for a recorder that has ended."""
TRY_AGAIN: Final = 30.0
"""Seconds until a run that could not be recorded is tried again."""
LONGEST_NAME: Final = 200
_NAME: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@-]{{0,{LONGEST_NAME - 1}}}")
"""Ids of runs that can be names of directories; whoever sends tasks may choose the id of the first."""
LOOK_FOR_RUNS: Final = 1.0
PRUNE_EVERY: Final = 60.0


def _was_submitted(directory: RunDirectory) -> bool:
    """Whether `firex run` made a run's directory."""
    with suppress(OSError, ValueError):
        return bool(read_record(directory.record).submission_cmd)
    with suppress(OSError):
        return directory.alive.read_text(encoding="utf-8").strip() != HOLDER  # it begins
    return False


class ClusterRecorder:
    """Records every run of a broker.

    Args:
        client: a redis-py client that does not decode.
        runs: where each run gets a directory: on a disk of this machine.
        limits: which runs are kept.
        metrics: a file for counters, in the format that Prometheus reads; None for none.
    """

    def __init__(self, client: Any, runs: Path, limits: Limits, metrics: Path | None = None) -> None:
        self._client = client
        self._runs = runs
        self._limits = limits
        self._metrics = metrics
        self._open: dict[str, RecordedRun] = {}
        self._not_before: dict[str, float] = {}
        self._closed_at: dict[str, float] = {}
        self._refused: set[str] = set()
        self._counters = Counters()
        self._looked = self._pruned = float("-inf")

    def record(self, ends: Callable[[float], bool]) -> None:
        """Record until told to end.

        Args:
            ends: waits for so many seconds, and tells whether it is time to end.
        """
        pause, trouble = 0.0, ""
        while not ends(pause):
            try:
                self._step()
                pause, trouble = GATHER, ""
            except (RedisError, OSError, JournalError) as error:
                if trouble != str(error):
                    logger.error("Nothing is recorded now: %s", error)
                pause, trouble = TROUBLE, str(error)
        for run_id in list(self._open):
            self._close(run_id, is_over=False)

    def _step(self) -> None:
        now = time.monotonic()
        if now - self._looked > LOOK_FOR_RUNS:
            self._looked = now
            for run_id in self._with_news():
                self._begin(run_id, now)
        for run_id, run in list(self._open.items()):
            self._record(run_id, run, now)
        if now - self._pruned > PRUNE_EVERY:
            self._pruned = now
            self._client.set(_wire.RECORDS_ALL, 1, ex=EXPECTED)
            self._prune()

    def _record(self, run_id: str, run: RecordedRun, now: float) -> None:
        """Record what has come of one run; what stops that stops no other."""
        try:
            if run.step():
                self._count(run)
            elif run.is_over:
                self._close(run_id, is_over=True)
        except (JournalError, OSError) as error:
            logger.error("%s is not recorded now: %s", run_id, error)
            self._not_before[run_id] = now + TRY_AGAIN
            with suppress(JournalError, OSError, RedisError):
                self._close(run_id, is_over=False)
            self._closed_at.pop(run_id, None)

    def _with_news(self) -> Iterator[str]:
        for name, at in self._client.zrange(_wire.JOURNALS, 0, -1, withscores=True):
            run_id = name.decode(errors="replace")
            if run_id in self._open or at <= self._closed_at.get(run_id, 0.0):
                continue
            if _NAME.fullmatch(run_id):
                yield run_id
            elif run_id not in self._refused:
                self._refused.add(run_id)
                logger.warning("Not recorded, since no directory can be called so: %r", run_id[:LONGEST_NAME])

    def _begin(self, run_id: str, now: float) -> None:
        if now < self._not_before.setdefault(run_id, now + OWN_FIRST):
            return
        try:
            claim = Claim(self._client, run_id, self._runs.absolute() / run_id / places.NAME, Role.CLUSTER)
            directory = self._directory_of(run_id, claim)
            self._open[run_id] = RecordedRun(directory, self._client)
            self._not_before.pop(run_id, None)
            logger.info("Recording %s", run_id)
        except (JournalError, RunDirectoryError) as error:
            logger.debug("%s is not recorded here: %s", run_id, error)
            self._not_before[run_id] = now + ASK_AGAIN

    def _directory_of(self, run_id: str, claim: Claim) -> RunDirectory:
        directory = RunDirectory(self._runs.absolute() / run_id)
        if not directory.path.exists():
            return make_run_directory(self._runs, run_id)
        if _was_submitted(directory):
            claim.take_leave()  # for its own recorder, which leaves that to us
            claim.drop()
            raise RunDirectoryError(f"{directory.path} belongs to whoever submitted {run_id} there")
        return directory

    def _count(self, run: RecordedRun) -> None:
        if self._metrics is None:
            return
        for task in run.tree:
            self._counters.tell(task)
        part = self._metrics.with_name(f".{self._metrics.name}.part")
        part.write_text(self._counters.text(), encoding="utf-8")
        part.replace(self._metrics)

    def _close(self, run_id: str, *, is_over: bool) -> None:
        run = self._open.pop(run_id)
        self._closed_at[run_id] = time.time()
        self._counters.settle([task.id for task in run.tree])
        run.close(is_over=is_over)

    def _prune(self) -> None:
        if self._limits == Limits():
            return
        remove_rests(self._runs)
        known = [weighed(remembered(directory)) for directory in runs_in(self._runs)]
        for kept in superfluous(known, self._limits, time.time()):
            logger.info("Removing %s", kept.directory.run_id)
            remove(kept.directory)
