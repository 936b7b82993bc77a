"""Points at which a test lets a process die; nothing happens there unless the environment says so.

``FIREXKIT_CRASH_POINT="end: before the state@2"`` and ``FIREXKIT_CRASH_TOKEN=<file>`` let the process that comes to
that point as the second one kill itself. Hits are counted in the file, over all processes that share it, so one dies
and no more; it also tells afterwards whether the point was reached at all. The variables are read when this module is
imported: a process that forked obeys those of the one it was forked from.

The name of a point is a literal, written once: "who or what: where". A test finds all of them in the sources.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

from firexkit._wire import CRASH_POINT_VARIABLE, CRASH_TOKEN_VARIABLE


@dataclass(frozen=True)
class _Armed:
    """The point at which a process dies.

    Attributes:
        name: the point's.
        hit: which hit is deadly, from 1.
        token: the file with one byte for each hit.
    """

    name: str
    hit: int
    token: str

    def meet(self, name: str) -> None:
        """A process has come to a point."""
        if name == self.name and self._count() == self.hit:
            os.kill(os.getpid(), signal.SIGKILL)

    def _count(self) -> int:
        """Which hit this is: where a write that appends has ended is known to whoever wrote."""
        descriptor = os.open(self.token, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b".")
            return os.lseek(descriptor, 0, os.SEEK_CUR)
        finally:
            os.close(descriptor)


def _armed_by(point: str | None, token: str | None) -> _Armed | None:
    """What two variables ask for; None when one of them is missing."""
    if not point or not token:
        return None
    name, _, hit = point.partition("@")
    return _Armed(name, int(hit or 1), token)


_armed: Final = _armed_by(os.environ.get(CRASH_POINT_VARIABLE), os.environ.get(CRASH_TOKEN_VARIABLE))


def crash_point(name: str) -> None:
    """Die here if a test asked for that.

    Args:
        name: the point's name, a literal that stands nowhere else.
    """
    if _armed is not None:
        _armed.meet(name)
