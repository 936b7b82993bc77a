"""The directory of one run: what is where in it, and how it is made. Only its user can enter it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from firexkit import _wire
from firexkit.resources import INSTALL_RESOURCES
from firexkit.task.logfile import safe_name
from firexkit.uid import INTERNAL_DIRECTORY, is_run_id

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


def default_runs_directory() -> Path:
    """Where runs are kept: ``runs`` in ``FIREX_HOME``, else in the user's state directory."""
    home = os.environ.get(_wire.HOME_VARIABLE)
    return (Path(home).expanduser() if home else platformdirs.user_state_path("firex")) / "runs"


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
    """Let ``latest`` beside the run directories lead to this one; a real file of that name is left alone."""
    link = directory.path.parent / LATEST
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(f".{LATEST}-{directory.run_id}")
    fresh.symlink_to(directory.path.name)
    fresh.replace(link)


def hold(directory: RunDirectory) -> int:
    """Mark the run as alive for as long as the returned descriptor is open, here or in a fork."""
    descriptor = os.open(directory.alive, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def is_alive(directory: RunDirectory) -> bool:
    """Whether a process of the run still holds it."""
    try:
        with directory.alive.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def wait_until_over(directory: RunDirectory) -> None:
    """Return when no process of the run holds it any more."""
    if directory.alive.exists():
        with directory.alive.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)


def holder_of(directory: RunDirectory) -> int | None:
    """The id of the process that conducts the run; None when it is over."""
    if not is_alive(directory):
        return None
    text = directory.alive.read_text(encoding="ascii").strip()
    return int(text) if text.isdigit() else None


def runs_in(runs: Path) -> Iterator[RunDirectory]:
    """The runs kept in a directory, the latest first."""
    if runs.is_dir():
        found = (path for path in runs.iterdir() if is_run_id(path.name) and not path.is_symlink())
        yield from map(RunDirectory, sorted(found, key=_submitted, reverse=True))


def _submitted(path: Path) -> tuple[str, float]:
    return path.name.rsplit("-", 3)[1] + path.name.rsplit("-", 3)[2], path.stat().st_mtime


def find_run(runs: Path, name: str) -> RunDirectory:
    """The run that somebody means.

    Args:
        runs: the directory of all runs.
        name: a run's id or its beginning, ``latest``, or a path of a run directory.

    Raises:
        RunDirectoryError: there is no such run, or more than one.
    """
    path = Path(name)
    if path.name != name and (path / "run.json").exists():
        return RunDirectory(path.resolve())
    if name == LATEST and (runs / LATEST).exists():
        return RunDirectory((runs / LATEST).resolve())
    known = list(runs_in(runs))
    exact = [run for run in known if run.run_id == name]
    found = exact or [run for run in known if name and run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {run.run_id}" for run in found)
        raise RunDirectoryError(f"{len(found)} runs begin with {name}; write more of it:{listed}")
    raise RunDirectoryError(f"no run {name!r} in {runs}; `firex ps --all` lists those there are")
