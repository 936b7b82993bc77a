"""What goes wrong when a value cannot become a message, or a message cannot become a value."""

from __future__ import annotations

from typing import TypeAlias

from firexkit import _wire
from firexkit._serialization.text import shortened

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_PATH_LIMIT = 200


class WireError(TypeError):
    """A value cannot travel to another process, or what arrived is no value of ours.

    It is a TypeError because that is what ``json.dumps`` and plain Celery raise for the commonest case.
    The text names the place, the path inside the value, the type, and what to do about it.
    """


class Refused(Exception):
    """One part of a value cannot travel; the way to it is collected while the walk unwinds.

    Args:
        reason: what the part is and what to do, as the end of a sentence that starts with its path.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []

    def sentence(self, where: str) -> str:
        """The whole message for a value that stands at ``where``."""
        path = shortened("".join(reversed(self.path)), _PATH_LIMIT)
        return f"{where} cannot be sent: {path or 'it'} {self.reason}"


class LostValueError(LookupError):
    """A large value is needed, and it is not stored any more.

    Args:
        message: which value, and what may have happened.
    """

    @classmethod
    def of(cls, name: object, *, size: int, owner: str) -> LostValueError:
        """The error for a value.

        Args:
            name: what it was called where it was wanted.
            size: what it took, in bytes.
            owner: the id of the task that it came with.
        """
        which = "A large value" if name is None else f"The value of {name!r}"
        return cls(
            f"{which} ({size} bytes, came with task {owner}) is not in the backend any more: it expired, the task was "
            f"forgotten, or this process has another backend. Raise result_expires above the length of a run, or set "
            f"{_wire.LARGE_VALUES_SETTING} to None to send all values inside messages"
        )
