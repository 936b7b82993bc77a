"""Which run this is: the id of a run, and the argument ``uid`` that tasks get."""

from __future__ import annotations

import getpass
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from firexkit._serialization import allow

__all__ = ["Uid", "find_run_ids", "is_run_id", "new_run_id"]

RUN_ID: Final = re.compile(r"FireX-(?P<user>[A-Za-z0-9_.]{1,32})-(?P<time>\d{6}-\d{6})-(?P<random>[0-9a-f]{32})")
TIME: Final = "%y%m%d-%H%M%S"
RANDOM_BYTES: Final = 16
INTERNAL_DIRECTORY: Final = "firex_internal"


def new_run_id(user: str | None = None) -> str:
    """An id that nobody else has: the user, the time (UTC), and 128 random bits.

    Args:
        user: who runs it; None for whoever this process belongs to. Letters outside the alphabet become ``_``.
    """
    name = re.sub(r"[^A-Za-z0-9_.]", "_", user or current_user())[:32]
    return f"FireX-{name}-{datetime.now(UTC).strftime(TIME)}-{secrets.token_hex(RANDOM_BYTES)}"


def current_user() -> str:
    """Who this process belongs to; ``unknown`` for a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def is_run_id(text: str) -> bool:
    """Whether a text is the id of a run."""
    return RUN_ID.fullmatch(text) is not None


def find_run_ids(text: str) -> list[str]:
    """The ids of runs that a text mentions."""
    return [match.group() for match in RUN_ID.finditer(text)]


@allow
@dataclass(frozen=True, eq=False, repr=False)
class Uid:
    """A run as its tasks see it: the argument ``uid``. As text it is the run's id, and it equals that text.

    Attributes:
        identifier: the run's id.
        logs_dir: the run's directory, on the machine that submitted it.
        viewers: addresses of pages that show the run, by name.
        logs_url: where people read the logs; the directory when no page shows them.
    """

    identifier: str
    logs_dir: str
    viewers: Mapping[str, str] = field(default_factory=dict)
    logs_url: str = ""

    def __post_init__(self) -> None:
        if not self.logs_url:
            object.__setattr__(self, "logs_url", self.logs_dir)

    @property
    def user(self) -> str:
        """Who runs it."""
        return _part(self.identifier, "user")

    @property
    def timestamp(self) -> datetime:
        """When it was submitted."""
        return datetime.strptime(_part(self.identifier, "time"), TIME).replace(tzinfo=UTC)

    @property
    def debug_dir(self) -> str:
        """Where the run keeps what only its developers read."""
        return str(Path(self.logs_dir, INTERNAL_DIRECTORY))

    @property
    def resources_dir(self) -> str:
        """Where the stylesheet and the logo of the run's pages are."""
        return str(Path(self.debug_dir, "resources"))

    def __str__(self) -> str:
        return self.identifier

    def __repr__(self) -> str:
        return f"Uid({self.identifier!r})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Uid | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identifier)


def _part(identifier: str, name: str) -> str:
    match = RUN_ID.fullmatch(identifier)
    if match is None:
        raise ValueError(f"{identifier!r} is not the id of a run")
    return match.group(name)
