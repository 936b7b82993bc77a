"""A worker's main process: a Celery worker with the kit's defaults, whose logs are the run's pages."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from celery import signals
from celery.apps.worker import Worker
from celery.exceptions import SecurityWarning
from celery.platforms import EX_FAILURE

from firexkit._celery import prompt_signals
from firexkit._file_names import safe_name
from firexkit.app import FireX
from firexkit.journal import writer
from firexkit.runtime import broker, recording
from firexkit.runtime.alive import is_alive, wait_until_over
from firexkit.runtime.directory import PRIVATE_DIRECTORY, RunDirectory
from firexkit.runtime.pages import begin_worker_log, write_pages
from firexkit.runtime.processes import descendants, kill_all

FEWEST_SLOTS: Final = 8
"""Tasks mostly wait for the commands they run, so a few more slots than cores are needed even on a small machine."""
MAIN_WORKER: Final = "mc"
DEFAULT_QUEUE: Final = "celery"
OWN_END_PATIENCE: Final = 5.0
"""Seconds that a worker has to end by itself after its run."""
INTERRUPTED: Final = 128 + signal.SIGINT


def default_concurrency() -> int:
    """How many tasks a worker runs at a time unless told."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: a container may have fewer than the machine
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(FEWEST_SLOTS, 2 * cores)


def full_name(name: str) -> str:
    """A worker's name with its host, as Celery and the log files have it."""
    return name if "@" in name else f"{name}@{socket.gethostname()}"


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told.

    Attributes:
        log: its log file; tasks log in a directory beside it.
        name: the full name, ``mc@host``.
        queues: what it consumes; tasks that its tasks send go to the first.
        concurrency: tasks at a time.
        soft_time_limit: seconds after which a task gets SoftTimeLimitExceeded; None for no limit.
        loglevel: of its log and its tasks' logs.
        directory: the run it works for, when it works for one.
    """

    log: Path
    name: str
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    concurrency: int = FEWEST_SLOTS
    soft_time_limit: float | None = None
    loglevel: str = "INFO"
    directory: RunDirectory | None = None


def serve(app: FireX, settings: WorkerSettings, when_ready: Callable[[], None]) -> int:
    """Work until told to end; the exit code.

    Args:
        app: its tasks are loaded.
        settings: what kind of worker to be.
        when_ready: called once it takes tasks.
    """
    settings.log.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    begin_worker_log(settings.log, settings.name, settings.directory)
    _configure(app, settings)
    for loggers_set_up in (signals.after_setup_logger, signals.after_setup_task_logger):
        loggers_set_up.connect(write_pages, weak=False)
    prompt_signals.install()
    if recording.is_wanted(app):
        writer.install()
    signals.worker_ready.connect(lambda **_: when_ready(), weak=False)
    ended_by: list[str] = []
    signals.worker_shutting_down.connect(lambda sig, **_: ended_by.append(sig), weak=False)
    # Celery shows the command line in the process title, whatever is in it and whoever reads it.
    sys.argv = ["firex", settings.name]
    # Messages are JSON from a broker that knows its users: root is no more dangerous here than in a shell.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # What tasks are given and what they return belongs into their logs; that much of DEBUG is always wanted.
    logging.getLogger("firexkit.task").setLevel(logging.DEBUG)
    worker = app.Worker(
        hostname=settings.name,
        concurrency=settings.concurrency,
        loglevel=settings.loglevel,
        logfile=str(settings.log),
        queues=list(settings.queues),
        soft_time_limit=settings.soft_time_limit,
        task_events=True,
        without_mingle=True,  # looking for neighbours takes a second
        without_gossip=True,
        quiet=True,
    )
    if settings.directory:
        _end_with_the_run(worker, settings.directory)
    try:
        worker.start()
    except _RunIsOverError:
        return int(EX_FAILURE)
    return INTERRUPTED if "SIGINT" in ended_by else int(worker.exitcode or 0)


class _RunIsOverError(Exception):
    """The run's broker is gone for good."""


def _end_with_the_run(worker: Worker, directory: RunDirectory) -> None:
    """Let nothing keep the worker when the run is over: its tasks, and Celery itself, would wait for the broker."""
    stop = worker.stop

    def stop_at_once(in_sighandler: bool = False, exitcode: int | None = None) -> None:
        if exitcode == EX_FAILURE and not is_alive(directory):
            kill_all(descendants())
            raise _RunIsOverError
        stop(in_sighandler, exitcode)

    worker.stop = stop_at_once


def leave_after_run(app: FireX, directory: RunDirectory, leave: Callable[[], None]) -> None:
    """Watch, in a thread, for a run whose broker goes with it: Celery may look for that broker for ever.

    Args:
        app: the worker's app.
        directory: the run's.
        leave: ends this process; called after the pool was ended.
    """

    def watch() -> None:
        wait_until_over(directory)
        time.sleep(OWN_END_PATIENCE)  # the worker may end by itself meanwhile, and this thread with it
        try:
            broker.check(app)
        except broker.BrokerError:
            kill_all(descendants())
            leave()

    threading.Thread(target=watch, name="firexkit-end-of-run", daemon=True).start()


def _configure(app: FireX, settings: WorkerSettings) -> None:
    app.conf.task_default_queue = settings.queues[0]
    directory = settings.directory
    if directory is not None:
        app.conf.update(
            uid=directory.run_id,
            logs_dir=str(directory.path),
            resources_dir=str(directory.resources),
            link_for_logo=str(directory.path),
        )


def worker_log_in(directory: Path, name: str) -> Path:
    """Where a worker of that full name logs."""
    return directory / f"{safe_name(name)}.html"
