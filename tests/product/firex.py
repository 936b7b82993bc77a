"""The command `firex` as a user has it: a process, a home of its own, and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIREX = str(Path(sys.executable).with_name("firex"))
PATIENCE = 60.0


class Home:
    """A directory for runs, and the processes that work in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "tmp").mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FIREX_", "CELERY_"))}
        # Servers make their directories in TMPDIR, so what they leave behind is seen.
        self.env = {**kept, "FIREX_HOME": str(path), "TMPDIR": str(path / "tmp"), "COLUMNS": "100"}

    def firex(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, in the home."""
        started = self.start(*words, env=env)
        output, errors = started.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(words, started.returncode, output, errors)

    def start(self, *words: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start the command."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [FIREX, *words], cwd=self.path, env={**self.env, **(env or {})}, text=True, **{**pipes, **options}
        )

    @property
    def latest(self) -> Path:
        """The directory of the run that began last."""
        return (self.path / "runs" / "latest").resolve()

    def record(self) -> dict[str, Any]:
        """`run.json` of the run that began last."""
        return json.loads((self.latest / "run.json").read_text())

    def processes(self, named: str = "") -> list[psutil.Process]:
        """Living processes of this home, of those whose command line holds a text."""
        return [
            process for process in psutil.process_iter() if named in _command_line(process) and self._is_ours(process)
        ]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            is_dead = process.status() == psutil.STATUS_ZOMBIE
            return not is_dead and Path(process.cwd()).is_relative_to(self.path)
        return False

    def leftovers(self) -> list[str]:
        """Processes, sockets and directories of servers that are still there."""
        files = [str(path) for path in (self.path / "tmp").iterdir()]
        return [f"{process.pid} {_command_line(process)}" for process in self.processes()] + files


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def eventually(holds: Callable[[], Any], patience: float = PATIENCE, what: str = "") -> Any:
    """What a function returns as soon as that is true."""
    deadline = time.monotonic() + patience
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what} (last: {value!r})"
        time.sleep(0.05)
    return value


def kill_worker(main: psutil.Process) -> None:
    """Kill a worker's main process and all of its pool, so that none can note the end of another."""
    main.suspend()
    for process in [*main.children(), main]:
        process.kill()
