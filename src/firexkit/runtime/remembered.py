"""What is remembered of a run: its record, how it stands, and its journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from firexkit.journal.places import journal_of
from firexkit.journal.store import Journal, JournalError
from firexkit.runtime.alive import is_alive
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.record import RunRecord, read_record

RUNNING: Final = "RUNNING"
LOST: Final = "LOST"
"""A run whose processes were killed before they could say anything."""
UNREADABLE: Final = "UNREADABLE"
FAILED: Final = frozenset({"SOME_FAILED", LOST, UNREADABLE})


@dataclass(frozen=True)
class Remembered:
    """A run.

    Attributes:
        directory: where it is kept.
        record: what ``run.json`` says; None when that can't be read.
        alive: whether it goes on.
        trouble: why the record can't be read.
    """

    directory: RunDirectory
    record: RunRecord | None
    alive: bool
    trouble: str = ""

    @property
    def state(self) -> str:
        """RUNNING, SUCCESS, SOME_FAILED, REVOKED, LOST or UNREADABLE."""
        if self.record is None:
            return UNREADABLE
        return self.record.state if self.record.completed or self.alive else LOST

    @property
    def started_at(self) -> float | None:
        """Unix time at which it was submitted."""
        return self.record.submit_proc_start_timestamp if self.record is not None else None

    @property
    def ended_at(self) -> float | None:
        """Unix time of its end; None while it goes on, and when nobody could note it."""
        return self.record.completed_timestamp if self.record is not None else None

    def took(self, now: float) -> float | None:
        """Seconds from its beginning to its end, or until now; None when nobody knows.

        Args:
            now: Unix time.
        """
        end = self.ended_at or (now if self.alive else None)
        return end - self.started_at if end is not None and self.started_at is not None else None


def remembered(directory: RunDirectory) -> Remembered:
    """What is remembered of the run in a directory."""
    # In this order: a run that ends meanwhile has a record that says so.
    alive = is_alive(directory)
    try:
        record = read_record(directory.record)
    except (OSError, ValueError) as error:
        return Remembered(directory, None, alive, f"{directory.record} can't be read: {error}")
    return Remembered(directory, record, alive)


def opened_journal(directory: RunDirectory) -> Journal | None:
    """The journal of a run, to be read; None when it has none.

    Raises:
        JournalError: it is none, or was written by a newer release.
    """
    path = journal_of(directory.path, directory.internal)
    if path is None:
        return None
    try:
        return Journal(path)
    except JournalError:
        # When a run ends, its journal is moved into its directory: perhaps just now.
        moved = journal_of(directory.path, directory.internal)
        if moved is None or moved == path:
            raise
    return Journal(moved)
