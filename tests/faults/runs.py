"""A run as users start it: `firex run`, whose own supervisor starts its server and its worker again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from faults import ledger, stacks
from faults.brokers import Accepted
from faults.flows import LEASE, MODE
from faults.keeping import logs_of
from faults.rig import (
    AWAY,
    ERROR,
    HUNG,
    LEASE_TIME,
    LIMIT,
    RIGHT,
    SLOTS,
    WRONG,
    Choose,
    Outcome,
    kill_child,
    latest,
    python_path,
)
from product.firex import Home
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PASSWORD = re.compile(r"^requirepass (\w+)$", re.MULTILINE)
_PATIENCE = 15.0


class CommandRun:
    """`firex run` in a home of its own. Its faults are those of `World`; the supervisor decides how long they last.

    Args:
        directory: of the home; it is made.
        mode: "retry" or "fail".
    """

    def __init__(self, directory: Path, *, mode: str) -> None:
        self._mode = mode
        self._home = Home(directory)
        self._home.env.update(
            {"PYTHONPATH": python_path(), ledger.DIRECTORY: str(directory), MODE: mode, LEASE: str(LEASE_TIME)}
        )
        self._process: subprocess.Popen[str] | None = None
        self._accepted: Accepted | None = None

    def __enter__(self) -> CommandRun:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._accepted is not None:
            self._accepted.stop()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        for process in self._home.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def run(
        self,
        task: str,
        arguments: dict[str, Any],
        *,
        returns: str,
        expected: Any,
        strike: Callable[[], object],
        after: float,
    ) -> Outcome:
        """Run a task, strike so many seconds after its body began, and tell how it ended."""
        (self._home.path / "args.json").write_text(json.dumps(arguments))
        words = ("run", task, "-t", "faults.flows", "--args", "args.json", "--concurrency", str(SLOTS))
        self._process = self._home.start(*words)
        wait_until(lambda: ledger.read(self._home.path) or self._is_over(), LIMIT, what="the root begins")
        begun = time.monotonic()
        self._listen()
        time.sleep(max(0.0, begun + after - time.monotonic()))  # the moment is what the seed has chosen
        if not self._is_over():
            strike()
        outcome = self._ended(begun, returns, expected)
        outcome.left = self._left()
        outcome.again = ledger.again(ledger.read(self._home.path), self._accepted.successes if self._accepted else {})
        return outcome

    def _listen(self) -> None:
        for path in (self._home.path / "tmp").glob("firex-*/conf"):
            password = _PASSWORD.search(path.read_text())
            assert password, f"no password in {path}"
            self._accepted = Accepted(path.parent / "s", password[1]).start()

    def _is_over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _ended(self, begun: float, returns: str, expected: Any) -> Outcome:
        assert self._process is not None
        try:
            output, errors = self._process.communicate(timeout=max(0.0, begun + LIMIT - time.monotonic()))
        except subprocess.TimeoutExpired:
            return Outcome(HUNG, seconds=time.monotonic() - begun, report=self._report())
        seconds = time.monotonic() - begun
        if self._process.returncode:
            said = [*errors.splitlines(), *output.splitlines()]
            return Outcome(ERROR, error=said, seconds=seconds, report=self._report())
        value = self._home.record()["results"]["chain_results"].get(returns)
        if value == expected:
            return Outcome(RIGHT, value, seconds=seconds)
        return Outcome(WRONG, value, seconds=seconds, report=self._report())

    def _left(self) -> list[str]:
        if not self._is_over():
            return []
        with suppress(AssertionError):
            wait_until(lambda: not self._home.leftovers(), _PATIENCE, every=0.2)
        return [f"left: {what}" for what in self._home.leftovers()]

    def _report(self) -> str:
        lines = ledger.read(self._home.path)
        logs = [*self._home.latest.glob("firex_internal/supervisor.txt"), *self._home.latest.glob("**/mc@*.html")]
        told = "\n".join(f"-- {log.name}\n{log.read_text(errors='replace')[-10_000:]}" for log in logs)
        parts = {
            "ledger": "\n".join(map(str, lines)),
            "latest commands": self._accepted.commands() if self._accepted else "",
            "logs": told,
            "logs of failed tasks": logs_of(self._home.latest, ledger.failed(lines)),
            "stacks": stacks.ask(self._home.path, [process.pid for process in self._home.processes()]),
        }
        return "\n".join(f"════ {title}\n{text}" for title, text in parts.items())

    # ── faults ────────────────────────────────────────────────────────────────────────────

    def kill_child(self, choose: Choose = latest) -> ledger.Line | None:
        """SIGKILL for a process of the pool that runs a task."""
        return kill_child(self._home.path, choose, is_over=self._is_over)

    def kill_main(self) -> None:
        """SIGKILL for the worker's main process alone."""
        self._signal(":MainProcess]", signal.SIGKILL)

    def kill_worker(self) -> None:
        """SIGKILL for the main process and its pool together: stopped first, so that none sees another die."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            self._signal(":MainProcess]", number)
            self._signal("ForkPoolWorker", number)

    def kill_broker(self) -> None:
        """SIGKILL for the server; the supervisor starts it again at once."""
        self._signal("valkey-server", signal.SIGKILL)

    def pause_broker(self) -> None:
        """SIGSTOP for the server, and SIGCONT after a while."""
        self._signal("valkey-server", signal.SIGSTOP)
        time.sleep(AWAY)  # the length of the pause is the fault
        self._signal("valkey-server", signal.SIGCONT)

    def _signal(self, named: str, number: signal.Signals) -> None:
        for process in self._home.processes(named):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
