"""Who records a run: one recorder at a time, since what one has read is taken off the stream."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, Final

from firexkit import _wire
from firexkit.journal import stream
from firexkit.journal.store import JournalError

_LASTS: Final = 30
"""Seconds after which the claim of a recorder that has died is over."""


class Claim:
    """The right to record a run. Whoever writes the same file on the same host has the same claim.

    Args:
        client: a redis-py client that does not decode.
        run_id: the run.
        live: the journal's file.

    Raises:
        JournalError: another recorder has it.
        redis.exceptions.RedisError: the broker does not answer.
    """

    def __init__(self, client: Any, run_id: str, live: Path) -> None:
        self._client = client
        self._run_id = run_id
        self._key = f"{stream.key_of(run_id)}{_wire.RECORDER_SUFFIX}"
        self._name = f"{socket.gethostname()}:{live}".encode()
        self._renewed = float("-inf")
        self.renew()

    def renew(self) -> None:
        """Keep it, if that is due.

        Raises:
            JournalError: another recorder has it.
            redis.exceptions.RedisError: the broker does not answer.
        """
        if (now := time.monotonic()) - self._renewed < _LASTS / 3:
            return
        if not self._client.set(self._key, self._name, nx=True, ex=_LASTS):
            holder = self._client.get(self._key)
            if holder not in (None, self._name):
                raise JournalError(f"{self._run_id} is recorded by {holder.decode()} already; end that recorder first.")
            self._client.set(self._key, self._name, ex=_LASTS)
        self._renewed = now

    def drop(self) -> None:
        """Let others record the run.

        Raises:
            redis.exceptions.RedisError: the broker does not answer; then it is over by itself soon.
        """
        if self._client.get(self._key) == self._name:
            self._client.delete(self._key)
