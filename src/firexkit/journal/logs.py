"""Logs on their way into a run's directory, in chunks through the broker, from tasks that ran where it is not seen.

A chunk says at which byte of its file it stands. Nothing that a file has is written again, so a chunk may come twice;
where chunks are missing, the page says so, and what follows stands at its place.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from time import monotonic
from typing import Annotated, Any, Final

import msgspec

from firexkit import _wire
from firexkit._file_names import is_plain_name
from firexkit.journal.model import Lost
from firexkit.journal.tree import Task

MOST_BYTES: Final = 64 * 1024
"""Of one chunk, and of the chunks of one entry together."""
MOST_OF_A_LOG: Final = 16 * 1024 * 1024
"""Bytes of one task's log that are sent."""
MOST_ENTRIES: Final = 512
"""Entries that wait in the stream of one run; about 32 MB."""
_PORTION: Final = 32
"""Entries that are read at a time."""
_KEPT: Final = 24 * 3600
"""Seconds for which chunks wait."""
_WANTED: Final = 30 * 24 * 3600
"""Seconds after which nobody wants a run's logs any more, whatever became of the run."""
_LOOK_AGAIN: Final = 0.5
"""Seconds that a read waits at most: less than any time limit of a connection."""
_TOKEN: Final = ".seen-by"
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class Chunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a task's log.

    Attributes:
        place: the file, as :func:`place_of` names it.
        at: the byte at which it begins.
        text: what stands there.
        ended: Unix time by the worker's clock at which the task had ended, with nothing to follow; 0 if more may come.
    """

    place: str
    at: Annotated[int, msgspec.Meta(ge=0, le=2 * MOST_OF_A_LOG)] = 0
    text: bytes = b""
    ended: float = 0.0


class Wanted(msgspec.Struct, frozen=True):
    """Where the logs of a run are to be.

    Attributes:
        directory: the directory, on the machine of who wants them.
        token: what a file in it holds.
    """

    directory: str
    token: str


_chunks: Final = msgspec.msgpack.Decoder(list[Chunk])
_encoder: Final = msgspec.msgpack.Encoder()
_wanted: Final = msgspec.json.Decoder(Wanted)


def place_of(log: str) -> str:
    """The place of a log beside those of other workers: the directory of its worker's tasks, and the file."""
    return "/".join(PurePath(log).parts[-2:])


def local_log(logs: Path, log: str) -> Path:
    """Where a task's log is in the run's directory, wherever it was written.

    Args:
        logs: the directory of the run's logs.
        log: the path that the task's worker told.

    Raises:
        ValueError: what was told is no such path.
    """
    return Path(log) if Path(log).is_relative_to(logs) else logs.joinpath(*_checked(place_of(log)))


def _checked(place: str) -> tuple[str, str]:
    worker, slash, name = place.partition("/")
    if not slash or not is_plain_name(worker) or not is_plain_name(name):
        raise ValueError(f"{place!r} is no place of a task's log: a directory and a file, in plain letters")
    return worker, name


# ── who wants them ────────────────────────────────────────────────────────────────────────


def key_of(run_id: str) -> str:
    """The stream of a run's logs."""
    return f"{_wire.LOGS}{run_id}"


def _wanted_key(run_id: str) -> str:
    return f"{_wire.LOGS_WANTED}{run_id}"


def want(client: Any, run_id: str, logs: Path) -> None:
    """Ask all workers of a broker for the logs of a run's tasks; before these are sent.

    Args:
        client: a redis-py client.
        run_id: the run.
        logs: the directory of its logs; a file is left there by which workers find out whether they see it.

    Raises:
        OSError: the directory can't be written.
    """
    token = secrets.token_hex(16)
    with os.fdopen(os.open(logs / _TOKEN, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE), "w") as file:
        file.write(token)
    client.set(_wanted_key(run_id), msgspec.json.encode(Wanted(str(logs), token)), ex=_WANTED)


def want_no_more(client: Any, run_id: str, logs: Path) -> None:
    """Take that back, and leave nothing on the broker."""
    (logs / _TOKEN).unlink(missing_ok=True)
    client.delete(_wanted_key(run_id), key_of(run_id))


def wanted_by(client: Any, run_ids: Collection[str]) -> dict[str, tuple[Wanted, int]]:
    """Which of some runs want logs, and how many more entries their streams take."""
    with client.pipeline(transaction=False) as pipe:
        for run_id in run_ids:
            pipe.get(_wanted_key(run_id)).xlen(key_of(run_id))
        answers = pipe.execute()
    found = zip(run_ids, answers[::2], answers[1::2], strict=True)
    return {run_id: (_wanted.decode(raw), MOST_ENTRIES // 2 - waiting) for run_id, raw, waiting in found if raw}


def is_seen(wanted: Wanted) -> bool:
    """Whether this process sees the very directory: another machine may have one of the same path."""
    with suppress(OSError):
        return Path(wanted.directory, _TOKEN).read_text() == wanted.token
    return False


# ── sending ───────────────────────────────────────────────────────────────────────────────


def entries_of(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """Chunks as entries of the stream, small ones together."""
    together: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if together and size + len(chunk.text) > MOST_BYTES:
            yield _encoder.encode(together)
            together, size = [], 0
        together.append(chunk)
        size += len(chunk.text)
    if together:
        yield _encoder.encode(together)


def send(client: Any, run_id: str, chunks: Iterable[Chunk]) -> None:
    """Let chunks of logs wait for whoever keeps the run's directory."""
    key = key_of(run_id)
    with client.pipeline(transaction=False) as pipe:
        for entry in entries_of(chunks):
            pipe.xadd(key, {_wire.FIELD_CHUNKS: entry}, maxlen=MOST_ENTRIES, approximate=False)
        pipe.expire(key, _KEPT)
        pipe.execute()


# ── receiving ─────────────────────────────────────────────────────────────────────────────


def write(logs: Path, chunk: Chunk) -> None:
    """Write what a chunk has of its file and the file has not.

    Args:
        logs: the directory of the run's logs.
        chunk: the chunk.

    Raises:
        ValueError: its place is none.
        OSError: it can't be written.
    """
    worker, name = _checked(chunk.place)
    with suppress(FileExistsError):
        (logs / worker).mkdir(mode=_PRIVATE_DIRECTORY)
    directory = os.open(logs / worker, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(name, flags, _PRIVATE_FILE, dir_fd=directory)
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "ab") as file:
        file.write(what_is_new(chunk, os.fstat(descriptor).st_size))


def what_is_new(chunk: Chunk, size: int) -> bytes:
    """What to append to a file of that size, so that it has the chunk at its place. Pure."""
    if chunk.at > size and chunk.text:
        return _gap(chunk.at - size) + chunk.text
    return chunk.text[max(0, size - chunk.at) :]


def _gap(size: int) -> bytes:
    """So many bytes, of which people see what they stand for."""
    told = f"\n[here {size:,} bytes of the log were lost on their way]\n".encode()
    opening, closing = b"<!--", b"-->\n"
    room = size - len(told) - len(opening) - len(closing)
    return b" " * size if room < 0 else told + opening + b" " * room + closing


class Receiver:
    """Whoever keeps the directory of a run, and takes in the logs that come for it.

    Args:
        client: a redis-py client that does not decode.
        run_id: the run.
        logs: the directory of its logs.
        position: where an earlier receiver was; a new one may begin at the beginning as well.

    Attributes:
        position: the entry that was read last.
        ended: of each log that is whole, the time of its task's end by the worker's clock; by place.
        problems: what could not be written, as sentences.
    """

    def __init__(self, client: Any, run_id: str, logs: Path, position: str = "0") -> None:
        self.position: str = position
        self.ended: dict[str, float] = {}
        self.problems: dict[str, None] = {}
        self._client = client
        self._key = key_of(run_id)
        self._logs = logs

    def receive(self, patience: float = 0.0) -> str:
        """Write all that has come by now into the directory, and take it off the broker; the new position.

        Args:
            patience: seconds to wait for something if there is nothing.

        Raises:
            redis.exceptions.RedisError: the broker can't be asked.
        """
        wait = int(min(patience, _LOOK_AGAIN) * 1000) or None
        while entries := self._read(wait):
            for _, fields in entries:
                self._take(fields.get(_wire.FIELD_CHUNKS.encode(), b""))
            self._client.xdel(self._key, *(entry for entry, _ in entries))
            self.position = entries[-1][0].decode()
            wait = None
        return self.position

    def receive_rest(self, awaited: Mapping[str, float], patience: float) -> list[str]:
        """Receive until some logs are whole.

        Args:
            awaited: for each place, when its task ended by its worker's clock (:func:`awaited_of`).
            patience: seconds to wait for them.

        Returns:
            The places of those that are not.
        """
        deadline = monotonic() + patience
        while left := [place for place, ended in awaited.items() if self.ended.get(place, -1.0) < ended]:
            if (time_left := deadline - monotonic()) <= 0:
                return left
            self.receive(time_left)
        return []

    def _read(self, wait: int | None) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        answers = self._client.xread({self._key: self.position}, count=_PORTION, block=wait) or []
        pairs = answers.items() if isinstance(answers, Mapping) else answers
        return [entry for _, entries in pairs for entry in entries]

    def _take(self, raw: bytes) -> None:
        try:
            chunks = _chunks.decode(raw)
        except msgspec.MsgspecError as error:
            self.problems[f"Part of a log can't be read: {error}"] = None
            return
        for chunk in chunks:
            try:
                write(self._logs, chunk)
            except (OSError, ValueError) as error:
                self.problems[f"Part of a log can't be written: {error}"] = None
            if chunk.ended:
                self.ended[chunk.place] = chunk.ended


def awaited_of(tasks: Iterable[Task], logs: Path) -> dict[str, float]:
    """The logs that are to come of tasks that have ended: when, by place.

    Args:
        tasks: the run's.
        logs: the directory of the run's logs; what its worker wrote there itself is not to come.
    """
    found: dict[str, float] = {}
    for task in tasks:
        for body in task.bodies:
            log = body.began.log if body.began is not None else ""
            is_told = body.ended_at is not None and not isinstance(body.end, Lost)
            if log and is_told and not Path(log).is_relative_to(logs):
                found[place_of(log)] = max(body.ended_at or 0.0, found.get(place_of(log), 0.0))
    return found
