"""Where the log of a task of a run is, here or on another machine."""

from __future__ import annotations

import socket
from pathlib import Path

from firexkit.journal.tree import Task
from firexkit.runtime.directory import RunDirectory


def log_of(directory: RunDirectory, task: Task) -> Path | None:
    """The log page of a task that can be read here; None when there is none.

    Args:
        directory: the run's.
        task: the task.
    """
    told = _told(task)
    if told is not None and told.exists():
        return told
    pages = directory.worker_logs.glob("*/*.html")
    return next((page for page in pages if page.stem.endswith(f"_{task.id}")), None)


def run_logs(directory: RunDirectory) -> list[Path]:
    """The log pages of the workers of a run; where those work for others, too, the pages of its tasks."""
    pages = directory.worker_logs
    return sorted(pages.glob("*.html")) or sorted(pages.glob("*/*.html"))


def log_place(directory: RunDirectory, task: Task) -> str:
    """Where people find the log of a task: a path, with its host when that is another; empty when it has none."""
    here = log_of(directory, task)
    if here is not None:
        return str(here)
    told = _told(task)
    if told is None:
        return ""
    host = _worker(task).partition("@")[2]
    return f"{host}:{told}" if host and host != socket.gethostname() else f"{told} (it is gone)"


def _told(task: Task) -> Path | None:
    logs = [body.began.log for body in task.bodies if body.began is not None and body.began.log]
    return Path(logs[-1]) if logs else None


def _worker(task: Task) -> str:
    return task.began.worker if task.began is not None else ""
