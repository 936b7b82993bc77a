"""A process that holds tasks says again and again that it lives; one that has said nothing for a while has lost them.

Each process has one lease: a key in the result backend that expires unless it is renewed. A worker's main process keeps
its lease as long as it lives, a process of a pool while a body runs in it: that may outlive its main process. What a
task's holders wrote down is the names of their leases, so a task is lost when none of these is there any more.

Keys expire by the server's clock, pauses between renewals are measured by a clock that nobody sets.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from firexkit import _wire
from firexkit._celery.dispatch import Command
from firexkit._celery.patience import is_transient

logger: Final = logging.getLogger(__name__)

LEASE_TIME: Final = 5.0
"""Seconds that a lease lasts, unless the app says otherwise."""
SHORTEST: Final = 1.0
_RENEWALS: Final = 3
"""Renewals in the time of a lease: two may fail."""


def lease_time(conf: Any) -> float:
    """Seconds that a lease of an app's processes lasts.

    Args:
        conf: the app's configuration.

    Raises:
        ValueError: the setting is no number of seconds from 1 up.
    """
    seconds = conf.get(_wire.LEASE_SETTING, LEASE_TIME)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not SHORTEST <= seconds < float("inf"):
        raise ValueError(f"{_wire.LEASE_SETTING} is {seconds!r}; give a number of seconds from {SHORTEST:g} up")
    return float(seconds)


class Lease:
    """What one process says of itself.

    Attributes:
        name: its key.
        task_ids: tasks whose bodies run in this process.
        looks: called whenever it looks whether it is time to renew.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self.name: str = f"{_wire.LEASE}{socket.gethostname()}/{self._process}/{uuid.uuid4().hex}"
        self.task_ids: set[str] = set()
        self.looks: list[Callable[[], None]] = []
        self._doubted: set[str] = set()
        self._renewed = -float("inf")
        self._seconds: float | None = None
        self._holding = 0
        self._counting = threading.Lock()
        self._never = threading.Event()
        self._renewer: threading.Thread | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process made it: a process that forked has its own."""
        return self._process == os.getpid()

    def due(self, conf: Any) -> list[Command]:
        """The command that renews it, if it is time; whoever has sent it calls :meth:`renewed` with the time before."""
        seconds = self._time(conf)
        return [self._renewal(seconds)] if monotonic() - self._renewed > seconds / _RENEWALS else []

    def renewed(self, at: float) -> None:
        """A renewal that was sent at that time has arrived."""
        if self._is_late(at):
            self._doubted |= self.task_ids  # it may have been over; that it lasts again does not undo what followed
        self._renewed = max(self._renewed, at)

    def is_sure_of(self, task_id: str, conf: Any) -> bool:
        """Whether nobody can have taken a body for lost that runs in this process."""
        self._time(conf)
        return not self._is_late(monotonic()) and task_id not in self._doubted

    def _is_late(self, at: float) -> bool:
        return at - self._renewed >= (self._seconds or LEASE_TIME) * (1 - 1 / _RENEWALS)

    def drop(self, task_id: str) -> None:
        """A body has ended."""
        self.let_go()
        self.task_ids.discard(task_id)
        self._doubted.discard(task_id)

    def _time(self, conf: Any) -> float:
        # A setting is looked up in many places, and this is asked at each step of a task.
        if self._seconds is None:
            self._seconds = lease_time(conf)
        return self._seconds

    @contextmanager
    def kept(self, backend: Any) -> Iterator[None]:
        """Renew it in a thread as long as the block lasts; blocks may overlap.

        Args:
            backend: a result backend on Redis.
        """
        self.keep(backend)
        try:
            yield
        finally:
            self.let_go()

    def keep(self, backend: Any) -> None:
        """Renew it in a thread from now on, until :meth:`let_go` was called as often as this."""
        with self._counting:
            self._holding += 1
            if self._renewer is None:
                self._renewer = threading.Thread(
                    target=self._renew, args=(backend,), name="firexkit-lease", daemon=True
                )
                self._renewer.start()

    def let_go(self) -> None:
        """Undo one :meth:`keep`. The key lasts until it expires, so a process may hold something again at once."""
        with self._counting:
            self._holding -= 1

    def _renew(self, backend: Any) -> None:
        """Look from time to time, so that a body need not wake anybody when it begins."""
        pause = lease_time(backend.app.conf) / _RENEWALS / 2
        while True:
            if self._holding and (renewal := self.due(backend.app.conf)):
                at = monotonic()
                try:
                    backend.client.execute_command(*renewal[0])
                    self.renewed(at)
                except Exception as error:
                    # Whatever it is (a server that is out of memory, say): who stops renewing is taken for dead.
                    logger.log(logging.DEBUG if is_transient(error) else logging.ERROR, "Not renewed: %s", error)
            for look in self.looks:
                look()
            self._never.wait(pause)

    def _renewal(self, seconds: float) -> Command:
        return ("SET", self.name, "1", "PX", int(seconds * 1000))


def process_of(lease: str) -> tuple[str, int]:
    """The host and the process id in a lease's name; of what is none, no host."""
    host, _, rest = lease.removeprefix(_wire.LEASE).partition("/")
    pid = rest.partition("/")[0]
    return (host, int(pid)) if lease.startswith(_wire.LEASE) and pid.isdigit() else ("", 0)


_lease: Lease | None = None
_main: Lease | None = None


def own_lease() -> Lease:
    """The lease of this process."""
    global _lease  # noqa: PLW0603 - one for each process
    if _lease is None or not _lease.is_ours:
        _lease = Lease()
    return _lease


def main_lease() -> Lease:
    """The lease of this worker's main process; of this process itself where there is no other."""
    return _main or own_lease()


def worker_lease() -> Lease | None:
    """The lease of this worker's main process; None where it keeps none."""
    return _main


def become_main() -> None:
    """Let this process be a worker's main process, which holds what it fetches and vouches for those that it forks."""
    global _main  # noqa: PLW0603 - one for each process
    _main = own_lease()


def live(backend: Any) -> None:
    """Keep this process's lease from now on, as long as it lives.

    Args:
        backend: a result backend on Redis.

    Raises:
        redis.exceptions.ConnectionError: the server can't be reached.
    """
    lease, at = own_lease(), monotonic()
    for renewal in lease.due(backend.app.conf):
        backend.client.execute_command(*renewal)
        lease.renewed(at)
    lease.keep(backend)
