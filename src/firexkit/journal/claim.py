"""Who records a run: its own recorder, and one that records every run of the broker; one of each at a time.

What they have read is taken off the stream; as long as both are expected, by neither.
"""

from __future__ import annotations

import socket
import time
from enum import Enum
from pathlib import Path
from typing import Any, Final

from firexkit import _wire
from firexkit.journal import stream
from firexkit.journal.store import JournalError

_RENEWED_EVERY: Final = 10.0
"""Seconds."""
_LATE_FACTS: Final = 3600
"""Seconds after the end of recording for which what tasks still tell is kept."""


class Role(Enum):
    """Of a recorder; its value ends the key of its claim."""

    OWN = _wire.RECORDER_SUFFIX
    """Records the run that it came with."""
    CLUSTER = _wire.CLUSTER_RECORDER_SUFFIX
    """Records every run of a broker."""


_LASTS: Final = {Role.OWN: 900, Role.CLUSTER: 30}
"""Seconds after which the claim of a recorder that has died is over.

A run's own may have been cut off from the broker: what it has not read must not be taken off the stream meanwhile.
"""


class Claim:
    """The right to record a run. Whoever writes the same file on the same host has the same claim.

    Args:
        client: a redis-py client that does not decode.
        run_id: the run.
        live: the journal's file.
        role: the recorder's.

    Attributes:
        is_alone: whether no recorder of the other role needs what is in the stream, as of the last renewal.

    Raises:
        JournalError: another recorder has it.
        redis.exceptions.RedisError: the broker does not answer.
    """

    def __init__(self, client: Any, run_id: str, live: Path, role: Role) -> None:
        self.is_alone: bool = False
        self._client = client
        self._run_id = run_id
        self._lasts = _LASTS[role]
        key = stream.key_of(run_id)
        self._key = f"{key}{role.value}"
        self._other = _wire.RECORDS_ALL if role is Role.OWN else f"{key}{Role.OWN.value}"
        self._name = f"{socket.gethostname()}:{live}".encode()
        self._renewed = float("-inf")
        self.renew()

    def renew(self) -> None:
        """Keep it, if that is due.

        Raises:
            JournalError: another recorder has it.
            redis.exceptions.RedisError: the broker does not answer.
        """
        if (now := time.monotonic()) - self._renewed < _RENEWED_EVERY:
            return
        if not self._client.set(self._key, self._name, nx=True, ex=self._lasts):
            holder = self._client.get(self._key)
            if holder not in (None, self._name):
                raise JournalError(f"{self._run_id} is recorded by {holder.decode()} already; end that recorder first.")
            self._client.set(self._key, self._name, ex=self._lasts)
        self.is_alone = not self._client.exists(self._other)
        self._renewed = now

    def take_leave(self) -> None:
        """The run is over: leave a stream that expires soon, if nobody else needs it; something may still be told.

        Raises:
            redis.exceptions.RedisError: the broker does not answer.
        """
        if not self._client.exists(self._other):
            self._client.expire(stream.key_of(self._run_id), _LATE_FACTS)
            self._client.zrem(_wire.JOURNALS, self._run_id)

    def drop(self) -> None:
        """Let others record the run.

        Raises:
            redis.exceptions.RedisError: the broker does not answer; then it is over by itself soon.
        """
        if self._client.get(self._key) == self._name:
            self._client.delete(self._key)
