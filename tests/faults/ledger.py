"""The truth about bodies: each writes a line when it starts and one when it ends, whatever the broker knows of it."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIRECTORY: Final = "FIREXKIT_FAULTS_DIRECTORY"
START, END, FAILED = "start", "end", "failed"


@dataclass(frozen=True)
class Line:
    """What a body says of itself.

    Attributes:
        at: Unix time of the machine, whatever clock the process believes in.
        what: START, END or FAILED.
        key: the place in the flow; the same in each attempt.
        task: the task's id.
        pid: the process that runs it.
        attempt: the number of the body, 0 where the kit does not tell.
        value: what it returns, or the error it fails with.
    """

    at: float
    what: str
    key: str
    task: str
    pid: int
    attempt: int = 0
    value: Any = None


def directory() -> Path:
    """Where the world of this process keeps its files."""
    return Path(os.environ[DIRECTORY])


def note(task: Any, what: str, key: str, value: Any = None) -> None:
    """Add a line: one write, so that lines of several processes do not mix."""
    request = task.request
    line = {
        "at": time.clock_gettime(time.CLOCK_REALTIME),
        "what": what,
        "key": key,
        "task": request.id,
        "pid": os.getpid(),
        "attempt": getattr(request, "firexkit_attempt", 0),
        "value": value,
    }
    descriptor = os.open(directory() / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)


@contextmanager
def body(task: Any, key: str) -> Iterator[dict[str, Any]]:
    """Note the start and the end of a body; what the block puts under "value" is noted with its end."""
    told: dict[str, Any] = {}
    note(task, START, key)
    try:
        yield told
    except BaseException as error:
        note(task, FAILED, key, repr(error))
        raise
    note(task, END, key, told.get("value"))


def read(path: Path) -> list[Line]:
    """All lines so far."""
    file = path / "ledger"
    return [Line(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def running(lines: list[Line]) -> list[Line]:
    """The starts of bodies that have not ended, whether their process lives or not."""
    open_: dict[tuple[str, int], Line] = {}
    for line in lines:
        if line.what == START:
            open_[line.key, line.pid] = line
        else:
            open_.pop((line.key, line.pid), None)
    return list(open_.values())


def failed(lines: list[Line]) -> list[str]:
    """The ids of tasks with a body that failed."""
    return list(dict.fromkeys(line.task for line in lines if line.what == FAILED))


def again(lines: list[Line], accepted: Mapping[str, float]) -> list[str]:
    """Starts of bodies whose result the broker had accepted before, as sentences.

    Args:
        lines: the ledger.
        accepted: when the broker accepted a task's SUCCESS, by the task's id.
    """
    first: dict[str, float] = {}
    for line in lines:
        if line.task in accepted:
            first[line.key] = min(first.get(line.key, accepted[line.task]), accepted[line.task])
    return [
        f"{line.key} started {line.at - first[line.key]:.3f} s after its result was accepted ({line})"
        for line in lines
        if line.what == START and line.key in first and line.at > first[line.key]
    ]
