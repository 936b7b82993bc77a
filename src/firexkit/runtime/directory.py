"""The directory of one run: what is where in it, and how it is made. Only its user can enter it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firexkit import _wire
from firexkit._file_names import safe_name
from firexkit.resources import INSTALL_RESOURCES
from firexkit.uid import INTERNAL_DIRECTORY

LATEST: Final = "latest"
PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600
RESOURCES: Final = ("firex.css", "firex_logo.png")


class RunDirectoryError(OSError):
    """A run directory can't be made or found; the text says which, why, and what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class RunDirectory:
    """Where one run keeps what people and later commands read.

    Attributes:
        path: the directory; its name is the run's id.
    """

    path: Path

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def record(self) -> Path:
        """``run.json``: what was asked for and what came of it."""
        return self.path / "run.json"

    @property
    def internal(self) -> Path:
        """What only the run itself and its developers read."""
        return self.path / INTERNAL_DIRECTORY

    @property
    def worker_logs(self) -> Path:
        """The worker's logs, and a directory of its tasks' logs beside each."""
        return self.path / "microservice_logs"

    @property
    def resources(self) -> Path:
        """The stylesheet and the logo of the log pages."""
        return self.internal / "resources"

    @property
    def submission_log(self) -> Path:
        """What the submitting process logs."""
        return self.internal / "submission.txt"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor and the processes below it print."""
        return self.internal / "supervisor.txt"

    @property
    def broker_url(self) -> Path:
        """The broker's address, without the password, while the run lives; other workers join by it."""
        return self.internal / "broker-url"

    @property
    def broker_password(self) -> Path:
        """The broker's password, while the run lives."""
        return self.internal / "broker-password"

    @property
    def stop_request(self) -> Path:
        """Who asked the run to stop, and why."""
        return self.internal / "stop-request.json"

    @property
    def alive(self) -> Path:
        """Locked as long as the run's own processes live; holds the id of the process to signal."""
        return self.internal / "alive"

    def worker_log(self, worker: str) -> Path:
        """The log of a worker by its full name, ``mc@host``."""
        return self.worker_logs / f"{worker}.html"


def make_run_directory(runs: Path, run_id: str) -> RunDirectory:
    """Make the directory of a new run; nobody else has it.

    Args:
        runs: the directory of all runs; made when it is missing.
        run_id: the run's id, which becomes the directory's name.

    Raises:
        RunDirectoryError: it exists, may not be written, or there is no room.
    """
    directory = RunDirectory(runs.absolute() / run_id)
    try:
        directory.path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        directory.path.mkdir(mode=PRIVATE_DIRECTORY)
    except FileExistsError as error:
        raise RunDirectoryError(f"{error.filename} exists already; choose another --runs-dir") from error
    except OSError as error:
        raise RunDirectoryError(_cannot_make(directory.path, error)) from error
    try:
        _furnish(directory)
    except OSError as error:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise RunDirectoryError(_cannot_make(directory.path, error)) from error
    return directory


def _cannot_make(path: Path, error: OSError) -> str:
    advice = f"choose another place with --runs-dir or {_wire.HOME_VARIABLE}"
    return f"cannot make the run directory {path}: {error.strerror}; {advice}"


def _furnish(directory: RunDirectory) -> None:
    for inner in (directory.internal, directory.worker_logs, directory.resources):
        inner.mkdir(mode=PRIVATE_DIRECTORY)
    for name in RESOURCES:
        write_private(directory.resources / name, (INSTALL_RESOURCES / name).read_bytes())


def write_private(path: Path, content: bytes) -> None:
    """Make a new file that only its user can read.

    Raises:
        FileExistsError: there is one of that name already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def note_logs_elsewhere(directory: RunDirectory, worker: str, log: str | None) -> None:
    """Name the host and the directory of a worker's logs in the run's, when they are not in the run's itself.

    Args:
        directory: the run's.
        worker: the worker's full name.
        log: the log file of one of its tasks, on its machine.
    """
    if not log or not worker or Path(log).is_relative_to(directory.path):
        return
    note = directory.worker_logs / f"{safe_name(worker)}.txt"
    with suppress(FileExistsError):
        write_private(note, f"{worker.partition('@')[2]}:{Path(log).parent}\n".encode())


def link_latest(directory: RunDirectory) -> None:
    """Let ``latest`` beside the run directories lead to this one, where that can be done.

    A real file of that name is left alone, and so is another user's link in a directory that users share.
    """
    link = directory.path.parent / LATEST
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(f".{LATEST}-{directory.run_id}")
    try:
        fresh.symlink_to(directory.path.name)
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)
