"""The recorder of a run: reads its stream, and keeps what it reads in the run's journal.

It may start late, die and start again: the journal knows how far it has come, and takes nothing twice.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import nh3
from redis.exceptions import RedisError

from firexkit.journal import places, stream
from firexkit.journal.claim import Claim, Role
from firexkit.journal.model import AnyFact, Shown, Unknown, decoded, encoded
from firexkit.journal.store import Journal, JournalError

logger: Final = logging.getLogger(__name__)

MOST_AT_A_TIME: Final = 500
"""Entries of the stream; fewer where they are large."""
LARGE: Final = 4 * 1024 * 1024
"""Bytes of a portion after which the next one is smaller."""
GATHER: Final = 0.2
"""Seconds between two portions: each is one transaction, and wakes the disk."""
PATIENCE_MS: Final = 200
"""Milliseconds to wait for an entry before it is asked whether it is time to end."""
_SHOWN: Final = b"shown"
"""In every fact that has HTML."""
TROUBLE: Final = 1.0
"""Seconds until the next try when nothing can be recorded."""


class Recorder:
    """Records one run.

    Args:
        run_id: the run.
        client: a redis-py client that does not decode.
        live: where the journal is written; see `places`.
        role: whether it came with the run.
        hear: gets the facts that were recorded, portion by portion; some of them twice after a restart.

    Raises:
        JournalError: the file can't be written, or somebody else records the run.
        redis.exceptions.RedisError: the broker does not answer.
    """

    def __init__(
        self,
        run_id: str,
        client: Any,
        live: Path,
        role: Role = Role.OWN,
        hear: Callable[[Iterable[AnyFact | Unknown]], None] | None = None,
    ) -> None:
        self._run_id = run_id
        self._client = client
        self._hear = hear
        self._claim = Claim(client, run_id, live, role)
        self._journal = Journal(live, writes=True)
        self._last = stream.entry_of(self._journal.position)
        self._most = MOST_AT_A_TIME // 25
        self._is_behind = False
        self._trouble = ""

    def record(self, ends: Callable[[float], bool]) -> None:
        """Record until told to end, and then what is left.

        Args:
            ends: waits for so many seconds, and tells whether it is time to end.

        Raises:
            JournalError: what is left can't be recorded.
        """
        pause = GATHER
        while not ends(pause):
            pause = TROUBLE if not self._goes_on(PATIENCE_MS) else 0 if self._is_behind else GATHER
        while self._goes_on(None) and self._is_behind:
            pass
        if self._trouble:
            raise JournalError(f"The end of the run is not in its journal. {self._trouble}")

    def _goes_on(self, patience_ms: int | None) -> bool:
        """Record what there is; whether that can be done now. What can't be recorded stays in the stream."""
        try:
            self.step(patience_ms)
        except (JournalError, RedisError, OSError) as error:
            if self._trouble != (trouble := str(error)):
                logger.error("Nothing is recorded now: %s", trouble)
            self._trouble = trouble
            return False
        if self._trouble:
            logger.info("Recording goes on")
        self._trouble = ""
        return True

    def step(self, patience_ms: int | None) -> int:
        """Record what the stream has now; how many facts that were.

        Args:
            patience_ms: milliseconds to wait for an entry; None not to wait.

        Raises:
            JournalError: it can't be written; what was read is read again.
            redis.exceptions.RedisError: the broker does not answer, or refuses.
        """
        self._claim.renew()
        read = stream.read(self._client, self._run_id, self._last, most=self._most, patience_ms=patience_ms)
        self._is_behind = len(read.facts) >= self._most
        if read.last == self._last:
            return 0
        size = sum(len(content) for _, content in (*read.facts, *read.values))
        self._most = max(1, self._most * LARGE // size) if size > LARGE else min(MOST_AT_A_TIME, 2 * self._most)
        facts = [*map(_cleaned, read.facts)]
        self._journal.append(facts, read.values)
        if self._hear is not None:
            self._hear(_decoded(raw for _, raw in facts))
        self._last = read.last
        if self._claim.is_alone:
            self._client.xtrim(stream.key_of(self._run_id), minid=_after(read.last))
        return len(read.facts)

    def facts(self) -> Iterator[AnyFact | Unknown]:
        """All that was recorded until now."""
        return (fact for _, fact in self._journal.facts())

    def close(self, directory: Path | None, *, is_over: bool = True) -> None:
        """Make the journal whole; nothing more is recorded.

        Args:
            directory: the run's, which gets the journal; None to leave it where it is.
            is_over: whether the run is, else its stream stays for the next recorder.

        Raises:
            OSError: it can't be copied; it stays where it is.
        """
        live = self._journal.path
        self._journal.seal()
        self._journal.close()
        with suppress(RedisError, OSError):  # a private server may be gone
            if is_over:
                self._claim.take_leave()
            self._claim.drop()
        if directory is None:
            return
        if not directory.is_dir():  # somebody has removed the run meanwhile
            places.remove_live(live)
            return
        part = directory / f".{places.NAME}"
        try:
            shutil.copyfile(live, part)
            part.chmod(0o600)
            part.replace(directory / places.NAME)
        except OSError:
            part.unlink(missing_ok=True)  # what is to come needs the room
            raise
        places.remove_live(live)


def _after(entry: str) -> str:
    """The least id of a later entry."""
    at, _, number = entry.partition("-")
    return f"{at}-{int(number) + 1}"


def _decoded(facts: Iterable[bytes]) -> Iterator[AnyFact | Unknown]:
    for raw in facts:
        with suppress(ValueError):  # whoever reads the journal is told
            yield decoded(raw)


def _cleaned(recorded: tuple[str, bytes]) -> tuple[str, bytes]:
    """A fact whose HTML can do no harm to who looks at it."""
    place, raw = recorded
    if _SHOWN not in raw:
        return recorded
    try:
        fact = decoded(raw)
    except ValueError:
        return recorded
    if not isinstance(fact, Shown):
        return recorded
    return place, encoded(msgspec.structs.replace(fact, html=nh3.clean(fact.html)))
