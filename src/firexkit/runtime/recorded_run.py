"""One run that is recorded for whoever manages its broker: a directory with a journal, and a record made from it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from firexkit.journal import places
from firexkit.journal.claim import Role
from firexkit.journal.model import AnyFact, Shown, Unknown
from firexkit.journal.recorder import Recorder
from firexkit.journal.retelling import without_values
from firexkit.journal.tree import State, Tree
from firexkit.runtime.directory import PRIVATE_FILE, RunDirectory, RunDirectoryError
from firexkit.runtime.record import RunRecord, write_record
from firexkit.task.names import short

IDLE: Final = 60.0
"""Seconds without news after which a run's journal is made whole, if the run's tasks have ended; else after a day."""
ABANDONED: Final = 24 * 3600.0
HOLDER: Final = "recorder"
"""Stands where a run's own processes write theirs."""


class RecordedRun:
    """One run that is being recorded.

    Args:
        directory: where it is kept.
        client: a redis-py client that does not decode.
    """

    def __init__(self, directory: RunDirectory, client: Any) -> None:
        self._directory = directory
        self._tree = Tree()
        self._news = time.monotonic()
        self._held = _held(directory)
        journal = directory.path / places.NAME
        try:
            self._recorder = Recorder(directory.run_id, client, journal, Role.CLUSTER, self._tree_hears)
        except BaseException:
            os.close(self._held)
            raise
        self._tree_hears(self._recorder.facts())

    def _tree_hears(self, facts: Iterable[AnyFact | Unknown]) -> None:
        for fact in facts:
            if not isinstance(fact, (Unknown, Shown)):
                self._tree.add(without_values(fact))

    @property
    def tree(self) -> Tree:
        """The run, as far as it is known."""
        return self._tree

    def step(self) -> bool:
        """Record what has come; whether there was anything.

        Raises:
            JournalError: it can't be written.
            redis.exceptions.RedisError: the broker does not answer.
        """
        if not self._recorder.step(None):
            return False
        self._news = time.monotonic()
        write_record(self._directory.record, self._record())
        return True

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected."""
        has_ended = all(task.has_ended for task in self._tree)
        return time.monotonic() - self._news > (IDLE if has_ended else ABANDONED)

    def close(self, *, is_over: bool) -> None:
        """Make the journal whole.

        Args:
            is_over: whether the run is, else it may be recorded on later.
        """
        try:
            self._recorder.close(None, is_over=is_over)
            places.lock_of(self._directory.path / places.NAME).unlink(missing_ok=True)
            write_record(self._directory.record, self._record())
        finally:
            os.close(self._held)

    def _record(self) -> RunRecord:
        """What ``run.json`` says: here, of the first chain."""
        roots = self._tree.roots
        begun = min((fact.at for task in roots for fact in task.facts), default=time.time())
        record = RunRecord(
            firex_id=self._directory.run_id,
            logs_path=str(self._directory.path),
            chain=[short(task.name) for task in roots if task.name],
            inputs={},
            submission_host="",
            submission_dir="",
            submission_cmd=[],
            submit_proc_start_timestamp=begun,
        )
        if not all(task.has_ended for task in self._tree):
            return record
        states = {task.state for task in roots}
        ended = max((task.ended_at or begun for task in self._tree), default=begun)
        failed = int(states != {State.SUCCEEDED})
        return replace(
            record,
            completed=True,
            completed_timestamp=ended,
            revoked=State.REVOKED in states,
            returncode=failed,
        )


def _held(directory: RunDirectory) -> int:
    """Mark the run as going on, without a process that could be told to stop it.

    Raises:
        RunDirectoryError: somebody else has marked it so.
    """
    descriptor = os.open(directory.alive, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise RunDirectoryError(f"{directory.path} belongs to a run that goes on") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{HOLDER}\n".encode(), 0)
    return descriptor
