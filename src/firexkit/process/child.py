"""A command's own process: started, and waited for, by a thread of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

    Attributes:
        end_is_told: readable, at its end, once the process has ended.

    Args:
        launch: how to start it.
        watcher: told as soon as it runs.
    """

    def __init__(self, launch: Launch, watcher: Watcher) -> None:
        self._launch = launch
        self._watcher = watcher
        self._started: Future[subprocess.Popen[bytes]] = Future()
        self.end_is_told: socket.socket
        self.end_is_told, self._tells_end = socket.socketpair()
        self._thread = threading.Thread(target=self._live, name="firexkit-command", daemon=True)

    def start(self) -> None:
        """Begin to start it."""
        self._thread.start()

    def process(self) -> subprocess.Popen[bytes]:
        """The process, as soon as it runs.

        Raises:
            OSError: it cannot be started.
        """
        return self._started.result()

    def known(self) -> subprocess.Popen[bytes] | None:
        """The process if it was started; if not, it never will be."""
        if self._started.cancel() or self._started.exception() is not None:
            return None
        return self._started.result()

    def reap(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of the process, which has ended; minus the signal's number if one ended it."""
        self._thread.join(LONGEST_DEATH)
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
            if not self._started.set_running_or_notify_cancel():
                return
            try:
                process = self._launch.start()
                self._watcher.watch(process.pid)
            except Exception as error:  # raised again by whoever asks for the process
                self._started.set_exception(error)
                return
            self._started.set_result(process)
            _wait_for_end_of(process)


def _wait_for_end_of(process: subprocess.Popen[bytes]) -> None:
    # Signals are for threads that can answer them; the process was started before, and does not inherit this.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:  # on macOS from Python 3.13 on only
        process.wait()
