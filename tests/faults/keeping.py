"""The processes of a world: a worker that is started again when its main process dies, and a client to ask."""

from __future__ import annotations

import itertools
import json
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from firexkit.broker_address import bare, password_in
from worker.rig import runs, session_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIREX: Final = str(Path(sys.executable).with_name("firex"))
LOOKS: Final = 0.1
"""Seconds between two looks whether the worker lives."""
PATIENCE: Final = 40.0
LOG_LINES: Final = 120
_MARKUP: Final = re.compile(r"<[^>]*>")


class KeptWorker:
    """`firex worker` under a keeper: a main process that dies is followed by another of the same name.

    Args:
        directory: for its files.
        address: the broker's, with its password.
        env: its variables.
        slots: tasks at a time.
        queue: what it works on; it has its name, too.
        is_kept: start it again when it dies.

    Attributes:
        deaths: main processes that died.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        env: Mapping[str, str],
        slots: int,
        *,
        queue: str = "celery",
        is_kept: bool = True,
    ) -> None:
        self._directory = directory
        self._password_file = directory / "password"
        self._command = [
            *(FIREX, "worker", "-t", "faults.flows", "--name", queue, "--concurrency", str(slots)),
            *("--queue", queue),
            *("--broker", bare(address), "--password-file", str(self._password_file)),
            *("--logs-dir", str(directory / "logs")),
        ]
        self._password_file.write_text(password_in(address))
        self._env = dict(env)
        self._output = directory / f"worker-output-{queue}"
        self._is_kept = is_kept
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: set[int] = set()
        self.deaths = 0

    def start(self) -> None:
        """Start it, and keep it from now on."""
        self._launch()
        self._keeper.start()

    def wait_until_ready(self) -> None:
        """Return when it takes tasks."""
        wait_until(
            lambda: b"\nready\n" in self._output.read_bytes() or self.deaths > 2, PATIENCE, what="the worker is ready"
        )
        assert self.deaths <= 2, f"the worker does not start:\n{self.log_tail()}"

    def _launch(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._directory,
                start_new_session=True,
            )
        self._sessions.add(self._process.pid)

    def _keep(self) -> None:
        while not self._over.wait(LOOKS):
            if self._process is not None and self._process.poll() is not None:
                self.deaths += 1
                if not self._is_kept:
                    return
                self._launch()

    @property
    def main(self) -> int | None:
        """The main process that was started last."""
        return self._process.pid if self._process is not None else None

    def pids(self) -> list[int]:
        """Its processes, those of main processes that died, too."""
        return sorted(process.pid for process in self._family())

    def _family(self) -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if session_of(one.pid) in self._sessions and runs(one)]

    def kill_main(self) -> None:
        """SIGKILL for the main process."""
        assert self._process is not None, "the worker was never started"
        self._process.kill()

    def kill_all_at_once(self) -> None:
        """SIGKILL for the main process and its pool: they are stopped first, so that none sees another die."""
        self.signal_all(signal.SIGSTOP)
        self.signal_all(signal.SIGKILL)

    def signal_all(self, number: signal.Signals) -> None:
        """A signal for the main process and its pool."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """End it for good; returns when all its processes are gone."""
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        while family := self._family():
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=5)
        if self._process is not None:
            self._process.wait()

    def log_tail(self) -> str:
        """The end of what it logged and printed."""
        logs = [*sorted(self._directory.glob("logs/*.html")), self._output]
        return "\n".join(f"-- {log.name}\n{_tail(log)}" for log in logs if log.exists())


class Clientele:
    """A client process, and what it was asked.

    Args:
        directory: for its files.
        address: the broker's.
        env: its variables.
    """

    def __init__(self, directory: Path, address: str, env: Mapping[str, str]) -> None:
        self._env = {**env, "FIREXKIT_FAULTS_BROKER": address}
        self._log = directory / "client-output"
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._asked = self._answered = 0
        self._ready = threading.Event()

    def start(self) -> None:
        """Start it; what it is asked before it is there waits."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "faults.client"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=self._directory,
                text=True,
            )
        threading.Thread(target=self._hear, name="answers", daemon=True).start()
        assert self._ready.wait(PATIENCE), f"the client does not start:\n{self.log_tail()}"

    def _hear(self) -> None:
        assert self._process is not None
        for line in self._process.stdout or ():
            answer = json.loads(line)
            if "number" in answer:
                self._answered += 1
                self._answers[answer["number"]].put({**answer, "at": time.monotonic()})
            self._ready.set()

    def ask(self, do: str, **given: Any) -> int:
        """Let it do something; the number of the answer."""
        assert self._process is not None, "the client was never started"
        assert self._process.stdin is not None
        number = next(self._numbers)
        self._answers[number] = queue.SimpleQueue()
        self._asked += 1
        self._process.stdin.write(json.dumps({"number": number, "do": do, **given}) + "\n")
        self._process.stdin.flush()
        return number

    def answer(self, number: int, deadline: float) -> dict[str, Any] | None:
        """What it answered, and when; None if nothing came until then, by the monotonic clock."""
        with suppress(queue.Empty):
            return self._answers[number].get(timeout=max(0.0, deadline - time.monotonic()))
        return None

    def value(self, number: int, patience: float = PATIENCE) -> Any:
        """The value that it answered; what else comes fails the test."""
        answer = self.answer(number, time.monotonic() + patience)
        assert answer is not None, f"no answer within {patience:g} s"
        assert "error" not in answer, answer["error"]
        return answer["value"]

    @property
    def is_idle(self) -> bool:
        """Whether it has answered all that it was asked."""
        return self._answered == self._asked

    def pids(self) -> list[int]:
        """Its process."""
        return [self._process.pid] if self._process is not None and self._process.poll() is None else []

    def kill(self) -> None:
        """End it at once."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError, ValueError):
                pipe.close()

    def log_tail(self) -> str:
        """The end of what it printed as errors."""
        return _tail(self._log)


def logs_of(directory: Path, task_ids: Iterable[str]) -> str:
    """The ends of some tasks' logs, wherever they are below a directory, without their markup."""
    paths = [path for task_id in task_ids for path in directory.rglob(f"*{task_id}*.html")]
    return "\n".join(f"-- {path.name}\n{_MARKUP.sub('', _tail(path))}" for path in paths)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
