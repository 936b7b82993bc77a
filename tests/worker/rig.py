"""What tests with a real worker need: an app on the private Valkey, a worker process, patience with an end."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
from celery import Celery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TESTS = Path(__file__).parents[1]
BROKER = "FIREXKIT_TEST_BROKER"
BACKEND = "FIREXKIT_TEST_BACKEND"
WORKERS_KEPT = 3
"""Shared workers that stay alive at the same time: a machine of two cores has no room for one of each app."""
LOG_TAIL = 60
KEYS_OF_WORKERS = (b"_kombu.", b"unacked", b"FIREXKIT_LEASE:", b"FIREXKIT_PATROL", b"FIREXKIT_EPOCH")
"""Keys that living workers need, by what they begin with."""


def keys_of_tasks(client: Any) -> set[str]:
    """All keys but those of the workers themselves."""
    return {key.decode() for key in client.keys("*") if not key.startswith(KEYS_OF_WORKERS)}


T = TypeVar("T")
_numbers = itertools.count(1)


def make_app(name: str, **options: Any) -> Celery:
    """A Celery app on the test's Valkey with a queue of its own, so that no other module's worker takes its tasks.

    Call it with `__name__` in `tests/worker/apps/<name>.py`; options are those of `celery.Celery`.
    """
    app = Celery(name, broker=os.environ[BROKER], backend=os.environ[BACKEND], set_as_current=False, **options)
    app.conf.task_default_queue = name
    return app


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, *, what: str = "", every: float = 0.05) -> T:
    """What the predicate returns as soon as that is true; fails after `timeout` seconds and tells `what` was missed."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or repr(predicate)} (last answer: {value!r})")
        time.sleep(every)
    return value


class Worker:
    """One `celery worker` process and its pool, logging to a file.

    Attributes:
        name: The node name, as `app.control` takes it in `destination`.
        app: The app of the module, imported into the test's process.
        log: The log file.
    """

    def __init__(
        self,
        app_module: str,
        directory: Path,
        *,
        pool: str = "prefork",
        concurrency: int = 8,
        mingle: bool = False,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        app: Celery | None = None,
    ) -> None:
        self.app_module = app_module
        self.app = app or importlib.import_module(app_module).app
        number = next(_numbers)
        self.name = f"w{number}.{os.getpid()}@localhost"
        self.log = directory / f"worker-{number}.log"
        self._command = [
            *(sys.executable, "-m", "celery", "-A", app_module, "worker"),
            *("--pool", pool, "--concurrency", str(concurrency), "--hostname", self.name, "--loglevel", "INFO"),
            *(() if mingle else ("--without-mingle",)),  # it waits a second for neighbours at each start
            *options,
        ]
        self._env = {
            **os.environ,
            "PYTHONPATH": f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}",
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._family: set[psutil.Process] = set()
        self._told_from = 0

    def start(self, patience: float = 30.0) -> Worker:
        """Start it and wait until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self.log.parent,
                start_new_session=True,
            )
        start = self.log.stat().st_size
        wait_until(lambda: not self.alive or self.says(" ready.", start), patience, what=f"{self.name} ready")
        assert self.alive, f"the worker ended while starting:\n{self.log_tail()}"
        return self

    @property
    def pid(self) -> int:
        """The main process."""
        assert self._process is not None, "the worker was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the main process ended, or None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def children(self) -> list[int]:
        """The processes of the pool, oldest first; empty for a threads pool."""
        return sorted(child.pid for child in self._descendants(recursive=False))

    def says(self, text: str, start: int = 0) -> bool:
        """Whether the log has the text, beginning at byte `start`."""
        with self.log.open("rb") as log:
            log.seek(start)
            return text.encode() in log.read()

    def log_tail(self, lines: int = LOG_TAIL) -> str:
        """The end of what it logged since `mark_log`."""
        if not self.log.exists():
            return "(no log)"
        told = self.log.read_bytes()[self._told_from :].decode(errors="replace")
        return "\n".join(told.splitlines()[-lines:])

    def mark_log(self) -> None:
        """What comes from now on belongs to another test."""
        self._told_from = self.log.stat().st_size if self.log.exists() else 0

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to finish what runs and leave; after `patience` seconds it is killed."""
        if not self.alive:
            return self.kill()
        self._family |= self._descendants()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        return self.kill()

    def kill(self) -> None:
        """SIGKILL for the main process, its pool and whatever the tasks started; returns when all are gone."""
        self._family |= self._descendants()
        if self.alive:
            self._process.kill()
            self._process.wait()
        self._family |= self._session()
        for process in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not any(map(runs, self._family)), what=f"end of all processes of {self.name}")
        self._family.clear()

    def kill_main(self) -> None:
        """SIGKILL for the main process alone, as a crash of it; `kill` or the end of the test takes the rest."""
        self._family |= self._descendants()
        self._process.kill()
        self._process.wait()

    def _descendants(self, *, recursive: bool = True) -> set[psutil.Process]:
        try:
            return set(psutil.Process(self.pid).children(recursive=recursive))
        except psutil.NoSuchProcess:
            return set()

    def _session(self) -> set[psutil.Process]:
        """Processes that outlived their parent: they still have the session that was made for the worker."""
        return {process for process in psutil.process_iter() if session_of(process.pid) == self.pid}


def session_of(pid: int) -> int | None:
    """The session of a process, or None if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def runs(process: psutil.Process) -> bool:
    """Whether it is there and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class SharedWorkers:
    """Workers that many tests use: one for each app module, the few latest stay alive."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._workers: OrderedDict[str, tuple[dict[str, Any], Worker]] = OrderedDict()

    def get(self, app_module: str, **options: Any) -> Worker:
        """The module's worker; started, or replaced if it is dead or another kind is wanted.

        Two workers of one module would take each other's tasks, so asking for another pool ends the first.
        """
        known, worker = self._workers.pop(app_module, ({}, None))
        if worker is None or known != options or not worker.alive:
            if worker is not None:
                worker.kill()
            worker = Worker(app_module, self._directory, **options).start()
        self._workers[app_module] = (options, worker)
        while len(self._workers) > WORKERS_KEPT:
            self._workers.popitem(last=False)[1][1].kill()
        return worker

    def close(self) -> None:
        """End them all."""
        for _, worker in self._workers.values():
            worker.kill()
        self._workers.clear()
