"""A worker whose logs are not in the run's directory brings them there, beside its work.

A thread of its main process looks at the files every second: nothing is asked of the tasks. When the worker sees the
run's directory, it writes into it; else it sends chunks through the broker. Only runs that want logs get any.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from firexkit._celery.outbox import is_redis
from firexkit._celery.patience import is_transient
from firexkit._celery.received import Received, heard
from firexkit.app import FireX
from firexkit.journal import logs
from firexkit.journal.logs import MOST_BYTES, MOST_OF_A_LOG, Chunk, Wanted
from firexkit.uid import is_run_id

logger: Final = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks."""
AT_ONCE: Final = 64
"""Entries that one look sends of one run at most: about 4 MB."""
MOST_WAITING: Final = 10_000
"""Logs of ended tasks that wait for room in the stream; of more, the oldest stay where they are."""
LAST_PATIENCE: Final = 5.0
"""Seconds that a worker that ends has for what is left."""


# ── one log ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Shipment:
    """How much of a log is on its way.

    Attributes:
        log: the file.
        read: bytes of it that were read or left out.
        sent: bytes that were sent, notes about what is left out among them.
        is_cut: whether such a note was sent.
        is_whole: whether all was sent, and the task has ended.
    """

    log: Path
    read: int = 0
    sent: int = 0
    is_cut: bool = False
    is_whole: bool = False


class Span(NamedTuple):
    """What to send next: a note, and a part of the file.

    Attributes:
        start: the part's first byte.
        end: the byte behind it.
        note: a line of our own.
    """

    start: int
    end: int
    note: bytes = b""


def spans(shipment: Shipment, size: int, *, is_over: bool) -> Iterator[Span]:
    """What is to be sent of a log: its beginning, and when it is over the end of one that was too long. Pure.

    Args:
        shipment: how far it is.
        size: bytes of the file.
        is_over: whether it grows no more.
    """
    limit = min(size, MOST_OF_A_LOG)
    for start in range(shipment.read, limit, MOST_BYTES):
        yield Span(start, min(start + MOST_BYTES, limit))
    if size <= MOST_OF_A_LOG:
        return
    if not shipment.is_cut:
        place = f"{socket.gethostname()}:{shipment.log}"
        told = f"\n[cut here: {MOST_OF_A_LOG:,} bytes of a log are sent at most; all of it is in {place}]\n"
        yield Span(limit, limit, told.encode())
    if is_over:
        yield Span(max(shipment.read, limit, size - MOST_BYTES), size, b"\n[the end of the log:]\n")


def read_on(shipment: Shipment, room: int, ended: float) -> tuple[list[Chunk], Shipment]:
    """The next chunks of a log, and how far it is then.

    Args:
        shipment: how far it is.
        room: bytes that may be sent now; the last chunk may exceed it.
        ended: Unix time at which its task had ended; 0 while it runs. The last chunk of all says so.
    """
    place = logs.place_of(str(shipment.log))
    chunks: list[Chunk] = []
    try:
        file = shipment.log.open("rb")
    except OSError:  # not begun, or removed
        return [], replace(shipment, is_whole=bool(ended))
    with file:
        size = os.fstat(file.fileno()).st_size
        for start, end, note in spans(shipment, size, is_over=bool(ended)):
            if room <= 0:
                return chunks, shipment
            file.seek(start)
            text = note + file.read(end - start)
            chunks.append(Chunk(place=place, at=shipment.sent, text=text))
            sent, is_cut = shipment.sent + len(text), shipment.is_cut or bool(note)
            shipment, room = replace(shipment, read=end, sent=sent, is_cut=is_cut), room - len(text)
    if ended:
        chunks.append(Chunk(place=place, at=shipment.sent, ended=ended))
    return chunks, replace(shipment, is_whole=bool(ended))


# ── all logs of a worker ──────────────────────────────────────────────────────────────────


@dataclass
class _Followed:
    """A task of the worker and its log."""

    received: Received
    shipment: Shipment
    ended: float = 0.0


class Shipping:
    """The logs of a worker's tasks, on their way to the runs that want them.

    Args:
        app: the worker's app, whose result backend is Redis.
    """

    def __init__(self, app: FireX) -> None:
        self._app = app
        self._followed: dict[str, _Followed] = {}
        self._changing = threading.Lock()
        self._complaint = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ship_on, name="firexkit-logs", daemon=True)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Look at the logs of all tasks that come during a block; none runs any more when it ends."""
        self._thread.start()
        try:
            with heard(self._follow):
                yield
        finally:
            self._is_over.set()
            self._thread.join()
            self._ship_rest()

    def _ship_rest(self) -> None:
        deadline = time.monotonic() + LAST_PATIENCE
        while self._followed and time.monotonic() < deadline:
            if not self._ship(all_over=True):
                return

    def _follow(self, received: Received) -> None:
        if received.log is None or not is_run_id(received.run_id):
            return
        with self._changing:
            known = self._followed.get(received.id)  # a retry goes on in the same file
            shipment = known.shipment if known else Shipment(Path(received.log))
            self._followed[received.id] = _Followed(received, replace(shipment, is_whole=False))

    def _ship_on(self) -> None:
        while not self._is_over.wait(EVERY):
            while self._followed and self._ship() and not self._is_over.is_set():
                pass

    def _ship(self, *, all_over: bool = False) -> bool:
        """Send what is there now; whether there is more than was sent."""
        by_run: dict[str, list[_Followed]] = defaultdict(list)
        for followed in self._followed.copy().values():
            if not followed.ended and (all_over or followed.received.is_over):
                followed.ended = time.time()
            by_run[followed.received.run_id].append(followed)
        with self._enduring():
            wanted = logs.wanted_by(self._app.backend.client, by_run)
            is_more = [self._ship_run(run_id, by_run[run_id], *asked) for run_id, asked in wanted.items()]
            self._forget(wanted)
            return any(is_more)
        return False

    @contextmanager
    def _enduring(self) -> Iterator[None]:
        """The worker works on, whatever becomes of its logs, and looks again."""
        try:
            yield
        except Exception as error:
            if str(error) != self._complaint:
                logger.log(logging.DEBUG if is_transient(error) else logging.ERROR, "Logs are not sent: %s", error)
            self._complaint = str(error)

    def _ship_run(self, run_id: str, tasks: Sequence[_Followed], wanted: Wanted, room: int) -> bool:
        with self._enduring():  # each for itself: a directory of one run may be full
            return self._shipped_run(run_id, tasks, wanted, room)
        return False

    def _shipped_run(self, run_id: str, tasks: Sequence[_Followed], wanted: Wanted, room: int) -> bool:
        is_seen = logs.is_seen(wanted)
        left = most = min(room, AT_ONCE) * MOST_BYTES
        chunks: list[Chunk] = []
        further: list[tuple[_Followed, Shipment]] = []
        for task in tasks:
            if is_seen and task.shipment.log.is_relative_to(wanted.directory):
                further.append((task, replace(task.shipment, is_whole=True)))
                continue
            if left <= 0:
                break
            more, shipment = read_on(task.shipment, left, task.ended)
            left -= sum(len(chunk.text) for chunk in more)
            chunks += more
            further.append((task, shipment))
        self._deliver(run_id, Path(wanted.directory) if is_seen else None, chunks)
        for task, shipment in further:
            task.shipment = shipment  # only now: what was not delivered is read again
        return left <= 0 < most

    def _deliver(self, run_id: str, directory: Path | None, chunks: list[Chunk]) -> None:
        if directory is not None:
            for chunk in chunks:
                logs.write(directory, chunk)
            chunks = [chunk for chunk in chunks if chunk.ended]  # whoever waits for the end is told
        if chunks:
            logs.send(self._app.backend.client, run_id, chunks)

    def _forget(self, wanted: Mapping[str, Any]) -> None:
        """Tasks whose logs are whole, or that have ended and nobody wants them."""
        for task_id, task in self._followed.copy().items():
            if task.shipment.is_whole or (task.ended and task.received.run_id not in wanted):
                self._drop(task_id, task)
        ended = [(task_id, task) for task_id, task in self._followed.copy().items() if task.ended]
        for task_id, task in ended[: max(0, len(ended) - MOST_WAITING)]:
            self._drop(task_id, task)

    def _drop(self, task_id: str, task: _Followed) -> None:
        with self._changing:
            if self._followed.get(task_id) is task:  # it may have come again meanwhile
                del self._followed[task_id]


@contextmanager
def shipped_logs(app: FireX) -> Iterator[None]:
    """Bring the logs of the worker that works in a block to the runs that want them."""
    if not is_redis(app.backend):
        yield
        return
    with Shipping(app).going_on():
        yield
