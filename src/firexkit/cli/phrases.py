"""How people say it: durations, times, counts, where a value came from. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from firexkit.journal.model import OriginKind
from firexkit.journal.origins import Source
from firexkit.journal.tree import State

_ERROR: Final = re.compile(r"""^([\w.]+)\((?:-?\d+, )?(['"])(.*?)(?<!\\)\2[,)].*""")
RUN_STYLES: Final = {"SUCCESS": "green", "RUNNING": "cyan", "REVOKED": "yellow"}
"""Of the states of runs; all others are red."""
MARKS: Final[Mapping[State, tuple[str, str]]] = {
    State.QUEUED: ("○", "dim"),
    State.RUNNING: ("▶", "cyan"),
    State.WAITING: ("▷", "dim"),
    State.SUCCEEDED: ("✔", "green"),
    State.FAILED: ("✘", "red"),
    State.REVOKED: ("■", "yellow"),
}
"""What stands for a state on a screen, and its colour."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", re.IGNORECASE)
_SHORT_ID: Final = 8


def short(name: str) -> str:
    """What follows the last dot of a task's name; of a chain's, of its first."""
    # That of `firexkit.task` would bring Celery with it, and these commands are quick without.
    return name.partition("|")[0].rpartition(".")[2]


def plain_error(text: str) -> str:
    """An error as Python represents it, by its class and its first text; other texts as they are."""
    return _ERROR.sub(r"\1: \3", text)


def short_id(task_id: str) -> str:
    """The beginning of a task's id, enough to choose it by; the first task's is its run's, and stays whole."""
    return task_id if task_id.startswith("FireX-") else task_id[:_SHORT_ID]


def elapsed(seconds: float) -> str:
    """A duration: ``0.42 s``, ``42 s``, ``1:15``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(at: float | None) -> str:
    """A time of this place, to the second."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}" if at is not None else "?"


def size_of(number: float) -> str:
    """Bytes: ``7.3 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} bytes" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def bytes_in(text: str) -> int:
    """The bytes that a text like ``10G`` means.

    Raises:
        ValueError: it means none.
    """
    if (match := _SIZE.fullmatch(text.strip())) is None:
        raise ValueError(f"{text!r} is no size; write it like 500M or 10G")
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " "))


def since(text: str, now: datetime) -> float:
    """The Unix time that a text means: ``2h``, ``3d``, ``yesterday``, ``2026-05-01``, ``"2026-05-01 14:00"``.

    Args:
        text: what somebody wrote.
        now: the time here.

    Raises:
        ValueError: it means none.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        return (today - timedelta(days=text == "yesterday")).timestamp()
    if (match := _AGO.fullmatch(text.strip().removesuffix(" ago"))) is not None:
        return now.timestamp() - float(match[1]) * _UNITS[match[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no time; write it like 2h, 3d, yesterday, 2026-05-01 or '2026-05-01 14:00'"
        raise ValueError(message) from error


def counted(states: Iterable[State]) -> str:
    """How many are how: ``38 succeeded, 2 failed``."""
    numbers = Counter(states)
    return ", ".join(f"{numbers[state]:,} {state}" for state in _BY_INTEREST if numbers[state])


_BY_INTEREST: Final = (
    State.SUCCEEDED,
    State.FAILED,
    State.REVOKED,
    State.RUNNING,
    State.WAITING,
    State.QUEUED,
)


def origin(source: Source | None, name: str) -> str:
    """Where an argument came from.

    Args:
        source: what is known; None for nothing.
        name: the argument.
    """
    if source is None:
        return ""
    giver = short(source.task_name) or short_id(source.task)
    there = f" as {source.name}" if source.name not in ("", name) else ""
    with_giver, without = _PHRASES[source.kind]
    phrase = with_giver if giver else without
    return phrase.format(giver=giver, there=there, name=source.name, converter=source.converter or "?")


_PHRASES: Final[Mapping[OriginKind, tuple[str, str]]] = {
    OriginKind.RUN: ("given to the run", "given to the run"),
    OriginKind.CALL: ("given by {giver}", "given in the call"),
    OriginKind.INJECTED: ("injected by {giver}", "injected before the chain"),
    OriginKind.RESULT: ("from {giver} (returned{there})", "from before in the chain"),
    OriginKind.PARENT: ("from the bag of parent {giver}", "from the bag of its parent"),
    OriginKind.DEFAULT: ("default", "default"),
    OriginKind.REFERENCE: ("@{name}", "@{name}"),
    OriginKind.CONVERTER: ("converter {converter}", "converter {converter}"),
    OriginKind.CACHE: ("from the cache: result of {giver}", "from the cache"),
}
"""With the task that gave it, and without."""
