"""Questions about processes, for tests of commands."""

import os
from pathlib import Path

import psutil


def lives(pid: int) -> bool:
    """Whether the process has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_in(directory: Path) -> list[psutil.Process]:
    """The other processes whose working directory is there."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [process for process in others if _is_in(directory, process)]


def _is_in(directory: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(directory)
    except psutil.Error:
        return False
