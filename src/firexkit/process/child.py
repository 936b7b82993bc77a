"""A command's own process: started, and waited for, by a thread of its own."""

from __future__ import annotations

import _thread
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from firexkit.process.tree import Watcher

LONGEST_DEATH: Final = 5.0
"""Seconds that a killed process may take to go; only the system itself can hold one longer."""


@dataclass(frozen=True)
class Launch:
    """How a command is started.

    Attributes:
        words: the program and its arguments.
        directory: where it runs.
        environment: its variables.
        has_input: whether it gets something to read; else it finds nothing there.
        separate_stderr: whether the two streams it prints on are kept apart.
        title: the command, and where it runs, as errors may tell it.
    """

    words: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    has_input: bool
    separate_stderr: bool
    title: str

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, so that what it starts can be found again.

        Raises:
            OSError: it cannot be started.
        """
        try:
            return subprocess.Popen(
                self.words,
                bufsize=0,
                stdin=subprocess.PIPE if self.has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if self.separate_stderr else subprocess.STDOUT,
                cwd=self.directory,
                env=self.environment,
                start_new_session=True,
            )
        except OSError as error:
            # Its own text, and the error itself as a cause, would show what the title hides.
            raise OSError(error.errno, f"cannot start {self.title}: {self._reason(error)}") from None

    def _reason(self, error: OSError) -> str:
        if not self.directory.is_dir():
            return "there is no such directory"
        if not isinstance(error, FileNotFoundError):
            return str(error.strerror)
        return f"there is no such program; it was looked for in {self.environment.get('PATH', os.defpath)}"


class Child:
    """A process whose end can be waited for together with other things.

    What revokes a task raises in the main thread, at any point; so another thread starts the process, and none can be
    running that nobody knows of. It stays a zombie until :meth:`reap`, so that its id means no other process.

    ``threading`` is not used: a ``Condition``, and with it ``Thread.start`` and ``Future``, answers such an exception
    by another one, "release unlocked lock". A bare lock can be waited for.

    Attributes:
        end_is_told: readable, at its end, once the process has ended.

    Args:
        launch: how to start it.
        watcher: told as soon as it runs.
    """

    def __init__(self, launch: Launch, watcher: Watcher) -> None:
        self._launch = launch
        self._watcher = watcher
        # Who comes first decides; `setdefault` is one step, and may be repeated after an exception cut it off.
        self._first: dict[Literal["asked"], Literal["to start", "to end"]] = {}
        self._outcome: subprocess.Popen[bytes] | Exception | None = None
        self._is_starting = _held_lock()
        self._is_followed = _held_lock()
        self.end_is_told: socket.socket
        self.end_is_told, self._tells_end = socket.socketpair()

    def start(self) -> None:
        """Begin to start it."""
        _thread.start_new_thread(self._live, ())

    def process(self) -> subprocess.Popen[bytes]:
        """The process, as soon as it runs.

        Raises:
            OSError: it cannot be started.
        """
        while self._outcome is None:
            self._is_starting.acquire()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def known(self) -> subprocess.Popen[bytes] | None:
        """The process if it was started; if not, it never will be."""
        if self._first.setdefault("asked", "to end") == "to end":
            return None
        try:
            return self.process()
        except Exception:  # told to whoever asked for the process
            return None

    def reap(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of the process, which has ended; minus the signal's number if one ended it."""
        self._is_followed.acquire(timeout=LONGEST_DEATH)
        try:
            return process.wait(LONGEST_DEATH)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL

    def close(self) -> None:
        """Stop listening for its end."""
        self.end_is_told.close()
        self._tells_end.close()  # if no thread came to do it

    def _live(self) -> None:
        with self._tells_end:
            if self._first.setdefault("asked", "to start") == "to start":
                process = self._start()
                self._is_starting.release()
                if process is not None:
                    _wait_for_end_of(process)
        self._is_followed.release()

    def _start(self) -> subprocess.Popen[bytes] | None:
        try:
            process = self._launch.start()
            self._watcher.watch(process.pid)
        except Exception as error:  # raised again by whoever asks for the process
            self._outcome = error
            return None
        self._outcome = process
        return process


def _held_lock() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def _wait_for_end_of(process: subprocess.Popen[bytes]) -> None:
    # Signals are for threads that can answer them; the process was started before, and does not inherit this.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:  # on macOS from Python 3.13 on only
        process.wait()
