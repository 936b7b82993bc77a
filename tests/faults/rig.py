"""A world that is struck by faults: a server, a worker that is started again when it dies, and a client, all processes.

    with World(directory, mode="retry") as world:
        outcome = world.run("tree", arguments, returns="total", expected=1, strike=world.kill_main, after=0.7)

What is true is in the ledger (`ledger.py`), which the bodies write, and in what the server says that it has accepted
(`brokers.py`). A run at its limit is "hung", and its report has the stacks of every process (`stacks.py`).

To see a random run again, take the seed from its report (or its printed line):

    FIREXKIT_FAULTS_SEED=4711 FIREXKIT_FAULTS_RUNS=1 pytest -m faults tests/faults/test_random.py -s

The same seed is the same fault at the same moment after the root was sent; what the machine does meanwhile is its own.
A lost command is seen again by FIREXKIT_FAULTS_COMMANDS and its text. pytest keeps the directories of three sessions.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psutil

from faults import ledger, stacks
from faults.brokers import Accepted, SlowServer
from faults.flows import LEASE, MODE
from faults.keeping import Clientele, KeptWorker, logs_of
from firexkit import _wire
from firexkit.broker_address import password_in
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.proxy import Proxy

LIMIT: Final = 30.0
"""Seconds after which a run is hung."""
SETTLING: Final = 15.0
"""Seconds after the end of a run in which nothing of it may be left in the broker."""
AWAY: Final = 1.0
"""Seconds for which a broker is away or paused, unless a test says so."""
LEASE_TIME: Final = 3.0
SLOTS: Final = 6
"""Fewer than the leaves of a tree, so that it takes two seconds."""

Choose: TypeAlias = Callable[[list[ledger.Line]], ledger.Line]
"""Which of the bodies that run is struck."""

RIGHT, ERROR, WRONG, HUNG = "right", "error", "wrong", "hung"


def latest(victims: list[ledger.Line]) -> ledger.Line:
    """The body that began last."""
    return victims[-1]


def kill_child(directory: Path, choose: Choose, *, is_over: Callable[[], bool]) -> ledger.Line | None:
    """SIGKILL for a process that runs a task, as soon as there is one; None if all is over.

    Args:
        directory: where the ledger is.
        choose: one of several.
        is_over: whether none will come.
    """

    def victims() -> list[ledger.Line]:
        return [line for line in ledger.running(ledger.read(directory)) if psutil.pid_exists(line.pid)]

    with suppress(AssertionError):  # then the run is hung, which tells more
        wait_until(lambda: victims() or is_over(), LIMIT, every=0.01)
    if not (running := victims()):
        return None
    victim = choose(running)
    with suppress(ProcessLookupError):
        os.kill(victim.pid, signal.SIGKILL)
    return victim


def nothing() -> None:
    """What happens meanwhile, unless a test has something to do."""


@dataclass
class Outcome:
    """How one run ended.

    Attributes:
        kind: RIGHT, ERROR, WRONG or HUNG.
        value: what came.
        error: the error and its causes, with their classes.
        seconds: from sending to the answer.
        again: bodies that ran again after their result had been accepted.
        left: what is still in the broker or runs when it should be settled.
        report: for people, when it is not as it should be.
    """

    kind: str
    value: Any = None
    error: list[str] = field(default_factory=list)
    seconds: float = 0.0
    again: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    report: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether an error names a task, a worker and a cause."""
        text = "\n".join(self.error)
        names_worker = "@" in text or ("worker" in text and socket.gethostname() in text)
        return self.kind == ERROR and "faults.flows." in text and names_worker and len(self.error) > 1

    def broken(self, *, mode: str) -> str:
        """Which promises are not kept; empty when all are.

        Args:
            mode: "retry", in which one fault costs no more than time, or "fail", in which an error is an answer.
        """
        is_fine = self.kind == RIGHT or (mode == "fail" and self.is_clear)
        promises = [] if is_fine else [f"{self.kind} after {self.seconds:.1f} s: {self.error or self.value!r}"]
        return "; ".join([*promises, *self.again, *self.left])


class World:
    """A server, a worker kept alive, a client.

    Args:
        directory: for files; it must be there.
        mode: "retry" or "fail", what the app does with tasks that are lost.
        lease: seconds.
        slots: tasks at a time.
        env: more variables for the worker.
        proxy: makes what stands between everybody and the server, if anything.
    """

    def __init__(
        self,
        directory: Path,
        *,
        mode: str = "retry",
        lease: float = LEASE_TIME,
        slots: int = SLOTS,
        env: Mapping[str, str] | None = None,
        proxy: Callable[[SlowServer], Proxy] | None = None,
    ) -> None:
        self.directory = directory
        self.mode = mode
        self.server = SlowServer()
        self.proxy = proxy(self.server) if proxy else None
        address = self.proxy.url if self.proxy else self.server.url
        common = _environment(directory, mode, lease)
        self._address, self._common = address, common
        self.doomed: KeptWorker | None = None
        self.accepted = Accepted(self.server.socket, password_in(self.server.url))
        self.worker = KeptWorker(directory, address, {**common, **(env or {})}, slots)
        self.client = Clientele(directory, address, common)

    # ── its life ──────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> World:
        try:
            self.server.start()
            self.accepted.start()
            if self.proxy:
                self.proxy.role_of = self._role_of
                self.proxy.start()
            self.worker.start()
            self.client.start()
            self.worker.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything at once."""
        self.accepted.stop()
        self.client.kill()
        self.worker.kill()
        if self.doomed:
            self.doomed.kill()
        if self.proxy:
            self.proxy.stop()
        self.resume()
        self.server.stop()

    def _role_of(self, pid: int) -> str:
        """Who a process is, for the proxy."""
        if pid in self.client.pids():
            return "client"
        return "main" if pid == self.worker.main else "pool"

    def start_doomed(self, queue: str, slots: int) -> KeptWorker:
        """One more worker, for a queue of its own; nobody starts it again."""
        self.doomed = KeptWorker(self.directory, self._address, self._common, slots, queue=queue, is_kept=False)
        self.doomed.start()
        self.doomed.wait_until_ready()
        return self.doomed

    # ── a run ─────────────────────────────────────────────────────────────────────────────

    def run(
        self,
        task: str,
        arguments: dict[str, Any],
        *,
        returns: str,
        expected: Any,
        strike: Callable[[], object] | None = None,
        after: float = 0.0,
        limit: float = LIMIT,
    ) -> Outcome:
        """Send a task, strike, and tell how it ended.

        Args:
            task: its name in `flows.py`.
            arguments: for it.
            returns: the name of the value that is asked for.
            expected: that value, or a function that tells whether a value is right.
            strike: the fault.
            after: seconds after sending.
            limit: seconds after which the run is hung.
        """
        begun = time.monotonic()
        number = self.client.ask("run", task=task, arguments=arguments, returns=returns)
        if strike is not None:
            time.sleep(max(0.0, begun + after - time.monotonic()))  # the moment is what the seed has chosen
            strike()
        outcome = self.outcome(number, expected, begun, limit)
        outcome.left = self.settled() if outcome.kind != HUNG else []
        outcome.again = ledger.again(self._lines_of(arguments["key"]), self.accepted.successes)
        return self.reported(outcome)

    def outcome(self, number: int, expected: Any, begun: float, limit: float = LIMIT) -> Outcome:
        """How what the client was asked ended."""
        answer = self.client.answer(number, begun + limit)
        if answer is None:
            return Outcome(HUNG, seconds=time.monotonic() - begun)
        seconds = answer["at"] - begun
        if "error" in answer:
            return Outcome(ERROR, error=answer["error"], seconds=seconds)
        value = answer["value"]
        is_right = expected(value) if callable(expected) else value == expected
        return Outcome(RIGHT if is_right else WRONG, value, seconds=seconds)

    def reported(self, outcome: Outcome) -> Outcome:
        """The same, with a report where a promise is broken."""
        if outcome.broken(mode=self.mode):
            outcome.report = self.report(with_stacks=outcome.kind == HUNG)
        return outcome

    def ledger(self) -> list[ledger.Line]:
        """What the bodies said."""
        return ledger.read(self.directory)

    def _lines_of(self, key: str) -> list[ledger.Line]:
        """What the bodies of one flow said."""
        return [line for line in self.ledger() if line.key == key or line.key.startswith(f"{key}.")]

    def starts(self) -> Counter[str]:
        """How often each body has started."""
        return Counter(line.key for line in self.ledger() if line.what == ledger.START)

    def settled(self, patience: float = SETTLING) -> list[str]:
        """What is left in the broker, or runs, after some time: nothing when all is well."""
        with suppress(AssertionError):
            wait_until(lambda: not self._left(), patience, every=0.2)
        return self._left()

    def _left(self) -> list[str]:
        with self.server.client() as client:
            fetched = [f"unacknowledged: {_task_of(raw)}" for raw in client.hvals("unacked")]
            queued = [f"in the queue: {_task_of(raw)}" for raw in client.lrange("celery", 0, -1)]
            kept = [
                f"has no expiry: {key.decode()}"
                for key in client.scan_iter()
                if client.ttl(key) == -1 and not _is_owned(key)
            ]
        bodies = [f"runs: {line}" for line in ledger.running(self.ledger()) if psutil.pid_exists(line.pid)]
        return [*fetched, *queued, *kept, *bodies]

    # ── faults ────────────────────────────────────────────────────────────────────────────

    def kill_child(self, choose: Choose = latest) -> ledger.Line | None:
        """SIGKILL for a process of the pool that runs a task, as soon as there is one; None if all is over."""
        return kill_child(self.directory, choose, is_over=lambda: self.client.is_idle)

    def kill_main(self) -> None:
        """SIGKILL for the worker's main process alone."""
        self.worker.kill_main()

    def kill_worker(self) -> None:
        """SIGKILL for the main process and its pool together."""
        self.worker.kill_all_at_once()

    def kill_broker(self, away: float = AWAY, *, meanwhile: Callable[[], object] = nothing) -> None:
        """SIGKILL for the server; it is started again on its data after a while."""
        self.server.kill()
        meanwhile()
        time.sleep(away)  # the length of the outage is the fault
        self.server.start()

    def pause_broker(self, away: float = AWAY, *, meanwhile: Callable[[], object] = nothing) -> None:
        """SIGSTOP for the server, and SIGCONT after a while."""
        pid = self.server.pid
        assert pid is not None, "the server does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            meanwhile()
            time.sleep(away)  # as above
        finally:
            self.resume()

    def load_broker(self, seconds: float = AWAY, *, meanwhile: Callable[[], object] = nothing) -> None:
        """SIGKILL for the server; it is started at once, and loads its data for a while."""
        self.server.fill_for(seconds)
        self.server.kill()
        meanwhile()
        self.server.start()

    def resume(self) -> None:
        """SIGCONT for the server, if it runs."""
        if (pid := self.server.pid) is not None:
            os.kill(pid, signal.SIGCONT)

    # ── for people ────────────────────────────────────────────────────────────────────────

    def report(self, *, with_stacks: bool) -> str:
        """All that is known of the world now."""
        parts = {
            "ledger": "\n".join(map(str, self.ledger())),
            "latest commands": self.accepted.commands(),  # before we send more
            "broker": self._records(),
            "worker's log": self.worker.log_tail(),
            "client's log": self.client.log_tail(),
            "logs of failed tasks": logs_of(self.directory, ledger.failed(self.ledger())),
        }
        if with_stacks:
            parts["stacks"] = stacks.ask(self.directory, [*self.client.pids(), *self.worker.pids()])
        return "\n".join(f"════ {title}\n{text}" for title, text in parts.items())

    def _records(self) -> str:
        try:
            with self.server.client() as client:
                client.connection_pool.connection_kwargs["socket_timeout"] = 5
                return "\n".join(_told(client, key) for key in sorted(client.keys("*")))
        except Exception as error:
            return f"can't be read: {error!r}"


def python_path(*first: Path) -> str:
    """What Python needs to find the kit and the rig, and before them what a test puts there."""
    tests = Path(__file__).parents[1]
    return os.pathsep.join(map(str, [*first, tests.parent / "src", tests]))


def _is_owned(key: bytes) -> bool:
    """Whether a key belongs to the broker, its workers, or all tasks together: of revoked ones the members expire."""
    names = (_wire.EPOCH, _wire.QUEUES, _wire.REVOKED, "_kombu.")
    return key.decode().startswith(names)


def _environment(directory: Path, mode: str, lease: float) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FIREX_", "CELERY_"))}
    return {
        **kept,
        "PYTHONPATH": python_path(),
        "PYTHONUNBUFFERED": "1",
        "FIREX_HOME": str(directory),
        ledger.DIRECTORY: str(directory),
        MODE: mode,
        LEASE: str(lease),
    }


def _told(client: Any, key: bytes) -> str:
    readers = {
        b"hash": client.hgetall,
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    kind = client.type(key)
    value = readers[kind](key) if kind in readers else kind
    return f"{key.decode(errors='replace')} (ttl {client.ttl(key)}): {str(value)[:600]}"


def _task_of(raw: bytes) -> str:
    """The id and the name in a message, as far as they can be seen without taking it apart."""
    text = raw.decode(errors="replace").replace("\\", "")
    found = [text.partition(f'"{name}": "')[2].partition('"')[0] for name in ("id", "task")]
    return " ".join(found)
