"""The server that is struck, and what it has accepted as it tells itself."""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from firexkit.runtime.server import Server

_ACCEPTED: Final = re.compile(
    rb'^\+(\d+\.\d+) \[[^\]]*\] "(?:SETEX|SET)" "celery-task-meta-([^"]+)" .*?"\{\\"status\\": \\"SUCCESS\\"', re.DOTALL
)
_OURS: Final = re.compile(rb'"HVALS" "unacked"|"LRANGE" "celery"|FIREXKIT_FAULTS')
"""What the rig itself asks again and again."""
_PAUSE: Final = 0.005
"""Seconds between two tries to reach a server that is away."""
_KEPT: Final = 400
_DELAY: Final = 30
"""Microseconds that the server waits after each command that it loads; it answers LOADING after each thousand."""
_LOADS_ONE_IN: Final = 120e-6
"""Seconds that this really takes."""
_EXPIRY: Final = 3600
_LONGEST: Final = 200
"""Bytes of a command that are kept for whoever looks for a fault."""


class SlowServer(Server):
    """A server that can take its time to load its data when it is started again."""

    _loads_slowly = False

    def fill_for(self, seconds: float) -> None:
        """Put so much into the append-only file that its next start loads for about so many seconds."""
        self._loads_slowly = True
        with self.client() as client, client.pipeline(transaction=False) as pipe:
            for _ in range(int(seconds / _LOADS_ONE_IN)):
                pipe.set("FIREXKIT_FAULTS_FILLING", "x", ex=_EXPIRY)
            pipe.execute()

    def _write_configuration(self) -> Path:
        path = super()._write_configuration()
        if self._loads_slowly:
            with path.open("a") as file:
                file.write(f"key-load-delay {_DELAY}\n")
        return path


class Accepted:
    """When a server accepted the SUCCESS of each task, and the latest commands: what its MONITOR tells.

    It follows the server over its deaths. What a server does in the moment between its start and our arrival is not
    seen, so a body that ran again may go unnoticed; one that did not is never blamed.

    Args:
        socket: where the server listens.
        password: its password.
    """

    def __init__(self, socket: Path, password: str) -> None:
        self._socket = socket
        self._password = password
        self.successes: dict[str, float] = {}
        self.latest: deque[bytes] = deque(maxlen=_KEPT)
        self._over = threading.Event()
        self._follows = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="monitor", daemon=True)

    def start(self) -> Accepted:
        """Listen from now on."""
        self._thread.start()
        assert self._follows.wait(10), "the server does not let us listen"
        return self

    def stop(self) -> None:
        """Listen no more; the server is gone already, or goes now."""
        self._over.set()

    def commands(self) -> str:
        """The latest commands, for people."""
        return "\n".join(line.decode(errors="replace") for line in self.latest)

    def _follow(self) -> None:
        while not self._over.is_set():
            with suppress(OSError):
                self._listen()
            self._over.wait(_PAUSE)

    def _listen(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(f"AUTH {self._password}\r\nMONITOR\r\n".encode())
            with connection.makefile("rb") as lines:
                for line in lines:
                    if line.startswith(b"-LOADING"):
                        return
                    self._hear(line)

    def _hear(self, line: bytes) -> None:
        self._follows.set()
        if not _OURS.search(line):
            self.latest.append(line.rstrip()[:_LONGEST])
        if found := _ACCEPTED.match(line):
            self.successes.setdefault(found[2].decode(), float(found[1]))
