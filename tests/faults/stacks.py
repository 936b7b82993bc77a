"""Stacks of living processes: each that imports this module writes those of its threads to a file when it is asked.

The signal is SIGUSR2: SIGUSR1 is what Celery's pool sends for a soft time limit.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

_file: Any = None
_ADDRESS: Final = re.compile(r" 0x[0-9a-f]+")


def offer(directory: Path) -> None:
    """Write stacks into this directory when asked, in this process and in those that it forks."""

    def register() -> None:
        global _file  # noqa: PLW0603 - faulthandler writes to a file that must stay open
        _file = _path(directory, os.getpid()).open("w")
        faulthandler.register(signal.SIGUSR2, file=_file, all_threads=True)

    register()
    os.register_at_fork(after_in_child=register)


def ask(directory: Path, pids: Iterable[int], patience: float = 3.0) -> str:
    """The stacks of processes that offer them, as a text, equal ones once; of others only that they do not."""
    told: dict[str, list[str]] = {}
    for pid in pids:
        told.setdefault(_stacks_of(_path(directory, pid), pid, patience), []).append(f"{pid} {_command_line(pid)}")
    return "\n".join(f"── {', '.join(processes)}\n{text}" for text, processes in told.items())


def _stacks_of(path: Path, pid: int, patience: float) -> str:
    if not path.exists():
        return "(offers no stacks)"
    before = path.stat().st_size
    try:
        os.kill(pid, signal.SIGUSR2)
        wait_until(lambda: path.stat().st_size > before, patience)
    except ProcessLookupError:
        return "(gone)"
    except AssertionError:
        return "(does not answer)"
    return _ADDRESS.sub("", path.read_text()[before:])


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _path(directory: Path, pid: int) -> Path:
    return directory / f"stacks-{pid}"
