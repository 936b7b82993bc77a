"""The supervisor: the one process of a run that owns its server and its workers, and lives as long as the run.

It is a fork of the process that conducts the run, with the tasks loaded, and its workers are forks of it in turn: they
start at once and share memory. Conductor and supervisor hold the two ends of a socket. What one says is a line on it;
the end of the stream is the other's death, whatever killed it.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from celery import signals

from firexkit.runtime.processes import (
    adopt_orphans,
    descendants,
    ended,
    forked,
    kill_all,
    make_scratch,
    reap,
    remove_scratch,
    those_left,
    told,
    wait_for_end,
)
from firexkit.runtime.server import Server, ServerError

logger: Final = logging.getLogger(__name__)

GRACE: Final = 4.0
"""Seconds that tasks get for their `finally` blocks when the conductor is gone before they end."""
HOOKS_PATIENCE: Final = 30.0
"""Seconds that what is connected to Celery's shutdown signals may take."""
SHUTDOWN_SIGNALS: Final[tuple[Any, ...]] = (
    signals.worker_shutting_down,
    signals.worker_shutdown,
    signals.worker_process_shutdown,
)
PATIENCE: Final = 2 * (GRACE + HOOKS_PATIENCE)
"""Seconds that the supervisor gets to end everything."""
OWN_END_PATIENCE: Final = 2.0
"""Seconds that processes get to notice that the supervisor is gone."""
RESTARTS: Final = 5
"""Deaths of a worker's main process that a run gets over, and of the recorder until it is left dead."""
RECORDER_PATIENCE: Final = 20.0
"""Seconds that the recorder has for what is left, and to copy the journal."""
LOG_LINES: Final = 20

# What the supervisor says: [one of these, details].
BROKER: Final = "broker"
READY: Final = "ready"
LOST: Final = "lost"
FATAL: Final = "fatal"
# What the conductor says.
END: Final = b"end\n"

Work = Callable[[str, bool, Callable[[], None]], int]
"""A worker's life: gets the broker's address, whether it follows one that died, and what to call when it is ready."""
Record = Callable[[str, socket.socket], int]
"""A recorder's life: gets the broker's address, and a socket whose other end is closed when it is time to end."""


class SupervisorGoneError(RuntimeError):
    """The run cannot go on: its server or its worker does not start, or the supervisor itself is gone."""


@dataclass(frozen=True)
class Household:
    """What a supervisor keeps alive.

    Attributes:
        work: what the worker does; None when the workers are the cluster's.
        record: what the recorder does; None when nothing is to be recorded.
        broker: the broker's address; None for a private server.
        title: how the processes are called in ``ps``.
        log: where the supervisor and the worker print.
        when_orphaned: called in the end if the conductor is gone.
    """

    work: Work | None
    record: Record | None
    broker: str | None
    title: str
    log: Path
    when_orphaned: Callable[[], None]


@dataclass
class _WorkerMain:
    pid: int
    link: socket.socket
    is_ready: bool = False


@dataclass
class _Recorder:
    pid: int
    link: socket.socket


class _EndOfRunError(Exception):
    """The conductor said so, or is gone."""


class Supervisor:
    """What the supervisor's process does.

    Args:
        household: what it keeps alive.
        conductor: the socket towards the conductor.
    """

    def __init__(self, household: Household, conductor: socket.socket) -> None:
        self._household = household
        self._conductor = conductor
        self._broker = household.broker
        self._server: Server | None = None
        self._main: _WorkerMain | None = None
        self._recorder: _Recorder | None = None
        self._deaths = self._recorder_deaths = 0
        self._orderly = self._orphaned = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Keep everything alive until the conductor says it is enough, or is gone."""
        os.setsid()
        adopt_orphans()
        logging.basicConfig(level=logging.INFO, format="[%(asctime)s %(levelname)s supervisor] %(message)s", force=True)
        try:
            with _told_of_children(self._selector):
                self._selector.register(self._conductor, selectors.EVENT_READ, self._hear_conductor)
                self._start()
                while True:
                    self._step()
        except _EndOfRunError:
            return 0
        except Exception as error:
            expected = isinstance(error, ServerError | SupervisorGoneError)
            logger.error("%s", error, exc_info=None if expected else error)
            self._tell(FATAL, str(error))
            return 1
        finally:
            self._end_everything()

    def _start(self) -> None:
        if self._broker is None:
            self._server = Server()
            self._server.start()
            self._broker = self._server.url
        self._tell(BROKER, self._broker)
        self._start_worker(again=False)
        self._start_recorder()

    def _step(self) -> None:
        for key, _ in self._selector.select():
            key.data()
        if self._server is not None and self._server.pid is None:
            self._server.start()
            self._tell(LOST, "the private Valkey ended; it was started again on its data")
        if self._main is not None and (code := ended(self._main.pid)) is not None:
            self._worker_died(self._main, code)
        if self._recorder is not None and (code := ended(self._recorder.pid)) is not None:
            self._recorder_died(self._recorder, code)
        reap(besides=self._own_children())

    def _own_children(self) -> set[int | None]:
        """Those whose ends somebody here waits for."""
        ours = [one.pid for one in (self._main, self._recorder) if one is not None]
        return {*(self._server.pids if self._server else ()), *ours}

    # ── the worker ────────────────────────────────────────────────────────────────────────

    def _start_worker(self, *, again: bool) -> None:
        work, broker = self._household.work, self._broker
        if work is None or broker is None:
            return
        ours, its = socket.socketpair()

        def live() -> int:
            ours.close()
            self._selector.close()
            self._conductor.close()
            os.setpgid(0, 0)
            threading.Thread(target=_end_with, args=(its,), daemon=True).start()
            return work(broker, again, lambda: its.sendall(b"r"))

        pid = forked(live, f"{self._household.title} worker")
        its.close()
        self._main = _WorkerMain(pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, self._hear_worker)
        logger.info("Worker %d started", pid)

    def _hear_worker(self) -> None:
        if self._main is None:
            return
        if not self._main.link.recv(1):
            self._selector.unregister(self._main.link)
            return
        self._main.is_ready = True
        self._tell(READY, str(self._main.pid))

    def _worker_died(self, main: _WorkerMain, code: int) -> None:
        self._forget_worker()
        what = f"the worker's main process {main.pid} {told(code)}"
        if not main.is_ready:
            raise SupervisorGoneError(f"{what} while starting; the end of {self._household.log}:\n{self._log_tail()}")
        self._deaths += 1
        if self._deaths > RESTARTS:
            raise SupervisorGoneError(f"{what}; that is once too often ({self._deaths} times)")
        logger.error("%s", what)
        self._tell(LOST, f"{what}; a new one was started, what it was running goes on")
        self._start_worker(again=True)

    def _forget_worker(self) -> None:
        main, self._main = self._main, None
        if main is not None:
            with _whatever_comes():
                self._selector.unregister(main.link)
            main.link.close()

    def _log_tail(self) -> str:
        return "\n".join(self._household.log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    # ── the recorder ──────────────────────────────────────────────────────────────────────

    def _start_recorder(self) -> None:
        record, broker = self._household.record, self._broker
        if record is None or broker is None:
            return
        ours, its = socket.socketpair()

        def live() -> int:
            ours.close()
            self._selector.close()
            self._conductor.close()
            if self._main is not None:
                self._main.link.close()
            return record(broker, its)

        self._recorder = _Recorder(forked(live, f"{self._household.title} recorder"), ours)
        its.close()

    def _recorder_died(self, recorder: _Recorder, code: int) -> None:
        self._recorder = None
        recorder.link.close()
        self._recorder_deaths += 1
        logger.error("the recorder %d %s", recorder.pid, told(code))
        if code < 0 and self._recorder_deaths <= RESTARTS:
            self._start_recorder()
        else:
            self._tell(LOST, f"the recorder {told(code)}; the run's journal is not whole (see {self._household.log})")

    def _end_recorder(self) -> None:
        """Let it record what is left, as long as the server is there."""
        while (recorder := self._recorder) is not None:
            recorder.link.close()
            code = wait_for_end(recorder.pid, RECORDER_PATIENCE)
            if code is None:
                self._recorder = None
                self._tell(
                    LOST, f"the journal was not whole after {RECORDER_PATIENCE:g} s; the run's directory has none"
                )
            elif code:
                self._recorder_died(recorder, code)
            else:
                self._recorder = None
        kill_all(descendants(besides=self._server.pids if self._server else ()))

    # ── the conductor ─────────────────────────────────────────────────────────────────────

    def _hear_conductor(self) -> None:
        self._orderly = self._conductor.recv(len(END)) == END
        self._orphaned = not self._orderly
        raise _EndOfRunError

    def _tell(self, kind: str, details: str) -> None:
        with _whatever_comes():  # a conductor that is gone is noticed by the end of its stream
            self._conductor.sendall(json.dumps([kind, details]).encode() + b"\n")

    def _end_everything(self) -> None:
        if self._main is not None:
            self._end_worker(self._main.pid)
        self._main = None
        kill_all(descendants(besides=self._own_children()))
        self._end_recorder()
        if self._server is not None:
            self._server.stop()
        if self._orphaned:
            remove_scratch()
            self._household.when_orphaned()

    def _end_worker(self, pid: int) -> None:
        if not self._orderly:
            os.kill(pid, signal.SIGQUIT)  # tasks still run, and have `finally` blocks
            wait_for_end(pid, GRACE)
        elif any(one.receivers for one in SHUTDOWN_SIGNALS):
            os.kill(pid, signal.SIGTERM)
            wait_for_end(pid, HOOKS_PATIENCE)
        # Else nothing runs any more and nobody wants to know, and Celery would take two seconds for its shutdown.


class Supervision:
    """The conductor's side of the supervisor."""

    def __init__(self, household: Household) -> None:
        self._link, its = socket.socketpair()
        make_scratch()

        def live() -> int:
            self._link.close()
            return Supervisor(household, its).run()

        self.pid: Final = forked(live, f"{household.title} supervisor", household.log)
        its.close()
        self._said = self._link.makefile("r", encoding="utf-8")

    def hear(self) -> tuple[str, str]:
        """What the supervisor says next; waits for it.

        Raises:
            SupervisorGoneError: it can't keep the run alive, or is gone.
        """
        line = self._said.readline()
        if not line:
            raise SupervisorGoneError("the run's supervisor is gone")
        kind, details = json.loads(line)
        if kind == FATAL:
            raise SupervisorGoneError(details)
        return kind, details

    def end(self) -> None:
        """Let it end everything that it keeps; returns when all is gone."""
        with _whatever_comes():
            self._link.sendall(END)
        self._wait()

    def kill(self) -> None:
        """End everything at once."""
        with _whatever_comes():
            os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def _wait(self) -> None:
        wait_for_end(self.pid, PATIENCE)
        # What it owned ends by itself when it was killed; what does not is ended.
        kill_all(those_left(descendants(), OWN_END_PATIENCE))


@contextmanager
def _told_of_children(selector: selectors.BaseSelector) -> Iterator[None]:
    """Wake the selector whenever a child ends."""
    awake, wake = socket.socketpair()
    for end in (awake, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(wake.fileno())
    selector.register(awake, selectors.EVENT_READ, lambda: awake.recv(4096))
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        awake.close()
        wake.close()


def _end_with(supervisor: socket.socket) -> None:
    """End this worker and its pool as soon as the supervisor is gone."""
    with _whatever_comes():
        supervisor.recv(1)
    os.killpg(0, signal.SIGKILL)


@contextmanager
def _whatever_comes() -> Iterator[None]:
    """For what may have gone already."""
    try:
        yield
    except (OSError, KeyError, ValueError):
        logger.debug("Already gone", exc_info=True)
