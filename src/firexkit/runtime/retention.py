"""Which runs are kept, and which are removed. The decision is pure; what it needs to know is gathered first."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firexkit.journal import places
from firexkit.runtime.directory import LATEST, RunDirectory
from firexkit.runtime.remembered import Remembered

DAY: Final = 24 * 3600
DOOMED: Final = ".removed-"
"""Begins the name of a directory that is being removed."""
STARTS_WITHIN: Final = 600.0
"""Seconds in which a new run says that it is alive: until then, it is not taken for one that was killed."""


@dataclass(frozen=True)
class Kept:
    """A run, as far as its removal depends on it.

    Attributes:
        directory: where it is.
        at: Unix time of its end, else of its beginning.
        size: bytes of all that it keeps.
        is_safe: whether it may be removed: it is over, and known to be.
    """

    directory: RunDirectory
    at: float
    size: int
    is_safe: bool


@dataclass(frozen=True)
class Limits:
    """What is kept; None where nothing is said.

    Attributes:
        days: runs that ended not longer ago.
        runs: so many, the latest.
        size: bytes in all, of the latest.
    """

    days: float | None = None
    runs: int | None = None
    size: int | None = None


def superfluous(known: Iterable[Kept], limits: Limits, now: float) -> list[Kept]:
    """The runs that a limit does not let stay. Pure.

    Args:
        known: all runs, the latest first. One that may not be removed counts, and stays.
        limits: what is kept.
        now: Unix time.
    """
    removed, count, size = [], 0, 0
    for run in known:
        is_old = limits.days is not None and now - run.at > limits.days * DAY
        is_too_many = limits.runs is not None and count >= limits.runs
        size += run.size
        is_too_large = limits.size is not None and size > limits.size
        if run.is_safe and (is_old or is_too_many or is_too_large):
            removed.append(run)
            continue
        count += 1
    return removed


def weighed(run: Remembered) -> Kept:
    """What the removal of a run depends on."""
    path = run.directory.path
    touched = path.stat().st_mtime
    at = run.ended_at or run.started_at or touched
    return Kept(run.directory, at, _size(path), _is_safe(run, touched))


def _is_safe(run: Remembered, touched: float) -> bool:
    if run.alive:
        return False
    if run.record is not None and run.record.completed:
        return True
    with suppress(OSError):
        # Locks of another machine's processes are not always seen here.
        host = run.directory.alive.read_text(encoding="utf-8").strip().partition(" ")[2]
        if host not in ("", socket.gethostname()):
            return False
    return time.time() - touched > STARTS_WITHIN


def _size(path: Path) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += Path(directory, name).lstat().st_size
    return total


def remove_rests(runs: Path) -> None:
    """Remove what is left of runs whose removal was cut off, in a directory of runs."""
    for doomed in runs.glob(f"{DOOMED}*"):
        shutil.rmtree(doomed, ignore_errors=True)


def remove(directory: RunDirectory) -> None:
    """Remove a run with all that it keeps.

    Raises:
        OSError: something of it can't be removed.
    """
    journal = places.journal_of(directory.path, directory.internal)
    if journal is not None and not journal.is_relative_to(directory.path):
        places.remove_live(journal)
    # Under a name that no run has, so that nobody finds half a run.
    doomed = directory.path.rename(directory.path.with_name(f"{DOOMED}{directory.run_id}"))
    shutil.rmtree(doomed)
    latest = directory.path.parent / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink(missing_ok=True)
