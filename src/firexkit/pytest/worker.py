"""The worker of one run: a fork of the test's process, with all that is defined and patched there."""

from __future__ import annotations

import faulthandler
import gc
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import psutil

from firexkit._celery.apart import disconnect_in_fork, other_apps
from firexkit._celery.loading import follow
from firexkit.pytest.outcome import WorkerEndedError
from firexkit.runtime.directory import RunDirectory, write_private
from firexkit.runtime.processes import adopt_orphans, ended, forked, kill_all, make_scratch, told, wait_for_end
from firexkit.runtime.worker import MAIN_WORKER, WorkerSettings, full_name, serve, worker_log_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firexkit._celery.types import Celery
    from firexkit.app import FireX

START_PATIENCE: Final = 30.0
"""Seconds that a worker may take until it takes tasks."""
GRACE: Final = 4.0
"""Seconds that tasks which still run get for their `finally` blocks."""
STACK_PATIENCE: Final = 1.0
"""Seconds that a process may take to write its stack."""
STACK_SIGNAL: Final = signal.SIGUSR2


class RunWorker:
    """A worker that is there for one run.

    Args:
        app: its tasks are defined.
        directory: the run's.
        queues: what it consumes; tasks that its tasks send go to the first.
        concurrency: tasks at a time.
    """

    def __init__(self, app: Celery, directory: RunDirectory, queues: Sequence[str], concurrency: int) -> None:
        self.name: Final = full_name(MAIN_WORKER)
        self.log: Final = worker_log_in(directory.worker_logs, self.name)
        self._printed = directory.internal / "worker.txt"
        self._stacks = directory.internal / "stacks.txt"
        self._scratch = directory.internal
        self._app = app
        self._settings = WorkerSettings(
            log=self.log, name=self.name, queues=tuple(queues), concurrency=concurrency, directory=directory
        )
        self._link, self._its = socket.socketpair()
        self._code: int | None = None
        write_private(self._stacks, b"")
        self.pid: Final = self._fork()

    def _fork(self) -> int:
        with warnings.catch_warnings():
            # Python 3.12 and later warn of threads, which pytest-xdist and clients of the server have.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = forked(self._live, "firex test worker", self._printed)
        self._its.close()
        return pid

    # ── in the test's process ─────────────────────────────────────────────────────────────

    def wait_until_ready(self) -> None:
        """Return once it takes tasks.

        Raises:
            WorkerEndedError: it ended before, or takes too long; tells what it printed.
        """
        readable, _, _ = select.select([self._link], [], [], START_PATIENCE)
        if readable and self._link.recv(1):
            return
        if readable:
            wait_for_end(self.pid, GRACE)
        self.check()
        raise WorkerEndedError(f"the worker was not ready within {START_PATIENCE:g} s; it printed\n{self.printed()}")

    def check(self) -> None:
        """Say so if it has ended.

        Raises:
            WorkerEndedError: it has.
        """
        if self._code is None and (code := ended(self.pid)) is not None:
            self._code = code
        if self._code is not None:
            raise WorkerEndedError(f"the worker's main process {told(self._code)}; it printed\n{self.printed()}")

    def printed(self) -> str:
        """What its processes printed."""
        return self._printed.read_text(encoding="utf-8", errors="replace") if self._printed.exists() else ""

    def stacks(self) -> list[str]:
        """What `faulthandler` tells of each process of the pool."""
        return [stack for process in self._below() if (stack := self._stack_of(process.pid))]

    def _stack_of(self, pid: int) -> str:
        start = self._stacks.stat().st_size
        with suppress(ProcessLookupError):
            os.kill(pid, STACK_SIGNAL)
        size, deadline = start, time.monotonic() + STACK_PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.01)
            before, size = size, self._stacks.stat().st_size
            if start < size == before:
                break
        with self._stacks.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def end(self, *, tasks_run: bool) -> None:
        """End it and all that its tasks started.

        Args:
            tasks_run: whether tasks may still run, which get some seconds for their `finally` blocks.
        """
        if tasks_run and self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGQUIT)
            wait_for_end(self.pid, GRACE)
        left = self._below()
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(self.pid, signal.SIGKILL)
        if self._code is None:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        _end_all(left)
        self._link.close()

    def _below(self) -> list[psutil.Process]:
        """Its pool and all that tasks started; a pool outlives its main process, and has its session."""
        if self._code is None:
            return _descendants(self.pid)
        pool = [process.pid for process in psutil.process_iter() if _session_of(process.pid) == self.pid]
        return [process for pid in pool for process in (psutil.Process(pid), *_descendants(pid))]

    # ── in its own process ────────────────────────────────────────────────────────────────

    def _live(self) -> int:
        os.setsid()
        adopt_orphans()
        self._link.close()
        _forget_pytest()
        threading.Thread(target=_end_with, args=(self._its,), daemon=True).start()
        _make_scratch_in(self._scratch)
        stacks = self._stacks.open("ab")
        faulthandler.register(STACK_SIGNAL, file=stacks, all_threads=True, chain=False)
        gc.freeze()  # what the test's process has is not copied when garbage is collected
        app = self._app
        disconnect_in_fork(app)
        for other in other_apps(app):
            follow(other, app)
        app.set_default()
        app.set_current()
        # Of a plain Celery app, a worker needs no more than it needs of ours.
        return serve(cast("FireX", app), self._settings, self._tell_ready)

    def _tell_ready(self) -> None:
        self._its.sendall(b"r")


def _forget_pytest() -> None:
    """Print where a worker prints, and warn as a worker does: neither is captured by pytest, nor an error."""
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115 - as long as the process lives
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115 - as long as the process lives
    warnings.simplefilter("default")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # of a time limit on the test


def _end_all(processes: Sequence[psutil.Process]) -> None:
    """Kill processes that are not our children; one that its new parent has still to let go of is ended, too."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + GRACE
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.002)


def _descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def _session_of(pid: int) -> int | None:
    with suppress(OSError):
        return os.getsid(pid)
    return None


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _make_scratch_in(directory: Path) -> None:
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    make_scratch()
    tempfile.tempdir = before


def _end_with(test: socket.socket) -> None:
    """End this worker and all below it as soon as the test's process is gone."""
    with suppress(OSError):
        test.recv(1)
    kill_all(_descendants(os.getpid()))
    os.killpg(0, signal.SIGKILL)
