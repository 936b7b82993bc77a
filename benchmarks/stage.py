"""What a run needs, started and ended: the private Valkey, a worker and a client for each side."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import psutil

import firexkit
from benchmarks.settings import BROKER_VARIABLE, EVENTS_VARIABLE, worker_command
from firexkit.runtime.server import Server

Side = Literal["raw", "plain", "firex"]
SIDES: Final[tuple[Side, ...]] = ("raw", "plain", "firex")
ROOT: Final = Path(__file__).resolve().parent.parent
MEASURED: Final = Path(firexkit.__file__).parent.parent
"""The source tree that is measured; PYTHONPATH decides."""
VERB_PATIENCE: Final = 300
END_PATIENCE: Final = 5
LOG_TAIL: Final = 40
COMPLAINTS: Final = re.compile(r"ERROR|CRITICAL|Traceback|Error\b")


class SideError(RuntimeError):
    """A side could not do what it was told."""


class Process:
    """One process that the stage started, with all that it starts.

    Attributes:
        name: for people.
        log: where it writes what nobody asked for.
    """

    def __init__(self, name: str, command: list[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._family: list[psutil.Process] = []
        self.log = directory / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log if name.endswith("worker") else subprocess.PIPE,
                stderr=log,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,  # Ctrl-C is for the stage, which ends the others
                text=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """It and its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self._process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def pool(self) -> list[psutil.Process]:
        """The processes it started itself."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children()
        return []

    def cpu_seconds(self) -> float:
        """What it, its descendants and those that have ended have used."""
        total = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def complaints(self) -> str:
        """The end of its log if there is an error in it."""
        text = self.log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-LOG_TAIL:]) if COMPLAINTS.search(text) else ""

    def log_tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:])

    def say(self, line: str) -> None:
        """Write a line to its standard input; if it has died, the next that is heard tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def heard(self, patience: float) -> str | None:
        """A line of its standard output, or None if there is none yet."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], patience)
        return self._process.stdout.readline() if readable else None

    def ask_to_end(self) -> None:
        """Let it finish; `end` waits for that."""
        self._family = self.family()
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.terminate()

    def end(self) -> None:
        """Wait for its end some seconds, then kill it and its descendants."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_PATIENCE)
        for process in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Stage:
    """The private Valkey with a worker and a client for each side; a context that leaves nothing behind.

    Args:
        sides: which sides.
        events: whether workers announce what they do.
        slots: how many tasks a worker runs at a time.
    """

    def __init__(self, sides: Iterable[Side], *, events: bool, slots: int) -> None:
        self.server = Server()
        self.workers: dict[Side, Process] = {}
        self.clients: dict[Side, Process] = {}
        self._sides = tuple(sides)
        self._events = events
        self.slots = slots
        self._directory = tempfile.TemporaryDirectory(prefix="benchmarks-")

    def __enter__(self) -> Stage:
        try:
            self.server.start()
            for side in self._sides:
                self._start(side)
            for side in self._sides:
                self.ask(side, "ready", processes=self.slots)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self.workers.values():
            if complaints := worker.complaints():
                print(f"--- errors in the log of {worker.name}:\n{complaints}", file=sys.stderr)
        self.close()

    def close(self) -> None:
        """End every process that was started, by its id."""
        processes = (*self.clients.values(), *self.workers.values())
        for process in processes:
            process.ask_to_end()
        for process in processes:
            process.end()
        self.server.stop()
        self._directory.cleanup()

    def environment(self) -> dict[str, str]:
        """What every process of the stage is told: where the broker is, and the source tree that is measured."""
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            # Imports are timed as they are from the second time on, without a trace in the tree that is measured.
            "PYTHONPYCACHEPREFIX": str(Path(self._directory.name) / "pycache"),
            BROKER_VARIABLE: self.server.url,
            EVENTS_VARIABLE: "yes" if self._events else "",
            "PYTHONPATH": os.pathsep.join((str(MEASURED), str(ROOT))),
        }

    def _start(self, side: Side) -> None:
        raw = [sys.executable, "-m", "benchmarks.sides.raw"]
        worker = raw if side == "raw" else worker_command(side, slots=self.slots, events=self._events)
        client = [sys.executable, "-m", f"benchmarks.sides.{side}_client"]
        directory = Path(self._directory.name)
        self.workers[side] = Process(f"{side}-worker", worker, directory, self.environment())
        self.clients[side] = Process(f"{side}-client", client, directory, self.environment())

    def ask(self, side: Side, verb: str, **arguments: Any) -> dict[str, Any]:
        """Let a side's client do something, and return its answer.

        Raises:
            SideError: it failed, died, or did not answer in time; tells the end of the logs.
        """
        client = self.clients[side]
        client.say(json.dumps({"verb": verb, "arguments": arguments}))
        deadline = time.monotonic() + VERB_PATIENCE
        while (line := client.heard(1)) is None:
            if not self.workers[side].alive or time.monotonic() > deadline:
                raise self._error(side, f"{verb}: the worker died or did not answer within {VERB_PATIENCE} s")
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the client died"}
        if "error" in answer:
            raise self._error(side, f"{verb}: {answer['error']}")
        value: dict[str, Any] = answer["value"]
        return value

    def _error(self, side: Side, what: str) -> SideError:
        logs = (self.clients[side], self.workers[side])
        return SideError("\n".join([f"{side}: {what}", *(f"--- {log.name}\n{log.log_tail()}" for log in logs)]))
