"""The stream of a run: where facts wait on the broker for whoever records them.

An entry carries several facts, ``0``, ``1`` and so on, and whole values by ``v:`` and their digests.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from firexkit import _wire
from firexkit._celery.dispatch import Command, Dispensable

_VALUE: Final = "v:"
MOST_ENTRIES: Final = 100_000
"""Entries that a stream without a recorder keeps, about."""
LONGEST_KEPT: Final = 30 * 86400
"""Seconds for which runs are found by those who record all, if their streams are kept as long."""


class Portion(NamedTuple):
    """What was read of a stream at once.

    Attributes:
        facts: facts as they were written, each with its place in the stream.
        values: whole values with their digests.
        last: the last entry; where to read on.
    """

    facts: list[tuple[str, bytes]]
    values: list[tuple[str, bytes]]
    last: str


def key_of(run_id: str) -> str:
    """The stream of a run."""
    return f"{_wire.JOURNAL}{run_id}"


def addition(run_id: str, facts: Iterable[bytes], values: Mapping[str, bytes]) -> Command:
    """The command that adds an entry.

    Args:
        run_id: the run.
        facts: facts as `model` encodes them.
        values: whole values by their digests.
    """
    fields: list[Any] = []
    for number, fact in enumerate(facts):
        fields += (number, fact)
    for digest, value in values.items():
        fields += (f"{_VALUE}{digest}", value)
    return Dispensable(("XADD", key_of(run_id), "MAXLEN", "~", MOST_ENTRIES, "*", *fields))


def keeping(run_id: str, seconds: int) -> Iterator[Command]:
    """The commands that say that a stream has news, and how long it is kept without any.

    Args:
        run_id: the run.
        seconds: how long.
    """
    for command in (
        ("EXPIRE", key_of(run_id), seconds),
        ("ZADD", _wire.JOURNALS, time.time(), run_id),
        ("ZREMRANGEBYSCORE", _wire.JOURNALS, 0, time.time() - LONGEST_KEPT),
        ("EXPIRE", _wire.JOURNALS, LONGEST_KEPT),
    ):
        yield Dispensable(command)


def portion(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]], after: str) -> Portion:
    """What entries of a stream hold, as a client of redis-py gives them.

    Args:
        entries: ids and fields.
        after: the entry before them.
    """
    read = Portion([], [], after)
    for entry, fields in entries:
        read = Portion(read.facts, read.values, entry.decode())
        for raw_name, content in fields.items():
            name = raw_name.decode(errors="replace")
            if name.startswith(_VALUE):
                read.values.append((name.removeprefix(_VALUE), content))
            else:
                read.facts.append((f"{read.last}/{name}", content))
    return read


def entry_of(place: str) -> str:
    """The entry in which a fact came; the beginning of the stream for no place."""
    return place.partition("/")[0] or "0"


def read(client: Any, run_id: str, after: str, *, most: int, patience_ms: int | None = None) -> Portion:
    """Read on in the stream of a run.

    Args:
        client: a redis-py client that does not decode.
        run_id: the run.
        after: the entry that was read last, or ``0``.
        most: entries to read at a time.
        patience_ms: milliseconds to wait for one; None not to wait.

    Raises:
        redis.exceptions.ConnectionError: the server can't be reached.
    """
    answers = client.xread({key_of(run_id): after}, count=most, block=patience_ms) or []
    return portion((entry for _, entries in _streams(answers) for entry in entries), after)


def _streams(answers: Any) -> Iterator[tuple[Any, Any]]:
    yield from answers.items() if isinstance(answers, Mapping) else answers
