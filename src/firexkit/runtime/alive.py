"""Whether a run goes on: a lock on one of its files, which the system takes away from whoever dies."""

from __future__ import annotations

import fcntl
import os
import socket

from firexkit.runtime.directory import PRIVATE_FILE, RunDirectory


def hold(directory: RunDirectory) -> int:
    """Mark the run as alive for as long as the returned descriptor is open, here or in a fork."""
    descriptor = os.open(directory.alive, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
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


def holder_of(directory: RunDirectory) -> tuple[int, str] | None:
    """The process that conducts the run, and its host; None when the run is over."""
    if not is_alive(directory):
        return None
    pid, _, host = directory.alive.read_text(encoding="utf-8").strip().partition(" ")
    return (int(pid), host) if pid.isdigit() else None
