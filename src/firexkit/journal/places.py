"""Where the journal of a run is: on local disk while it is written, in the run's directory once it is whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "journal.sqlite"
"""Of the whole journal, in the run's directory."""
NOTE: Final = "journal-path"
"""In the run's internal directory: where its journal is while it is written."""
PRIVATE: Final = 0o700
PRIVATE_FILE: Final = 0o600


def live_path(run_id: str) -> Path:
    """Where the journal of a run that goes on is written: SQLite needs a disk of this machine.

    Args:
        run_id: the run's id.

    Raises:
        OSError: there is no room for it.
    """
    directory = Path(tempfile.gettempdir(), f"firex-journals-{os.getuid()}")
    live = directory / f"{run_id}.sqlite"
    while True:
        directory.mkdir(mode=PRIVATE, exist_ok=True)
        if directory.is_symlink() or directory.stat().st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to somebody else; set TMPDIR to another place")
        with suppress(FileNotFoundError):  # the last journal there was removed, and the directory with it
            lock_of(live).touch(PRIVATE_FILE)
            return live


def lock_of(journal: Path) -> Path:
    """The file beside a journal that its writer locks."""
    return journal.with_name(f"{journal.name}.lock")


def note_live(internal: Path, live: Path) -> None:
    """Write down in a run's internal directory where its journal is written."""
    part = internal / f".{NOTE}"
    part.write_text(f"{live}\n", encoding="utf-8")
    part.replace(internal / NOTE)


def forget_live(internal: Path) -> None:
    """The journal is whole now."""
    (internal / NOTE).unlink(missing_ok=True)


def journal_of(run: Path, internal: Path) -> Path | None:
    """The journal of a run: the whole one, else the one that is being written; None when there is none here.

    Args:
        run: the run's directory.
        internal: the internal directory in it.
    """
    if (whole := run / NAME).exists():
        return whole
    with suppress(OSError):
        live = Path((internal / NOTE).read_text(encoding="utf-8").strip())
        if live.is_file():
            return live
    return None


def remove_live(live: Path) -> None:
    """Remove a journal that was copied, with what SQLite and the recorder keep beside it."""
    for path in (live, *(live.with_name(f"{live.name}{suffix}") for suffix in ("-wal", "-shm")), lock_of(live)):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # others are written there
        live.parent.rmdir()
