"""A run for programs: one JSON object a line, as things happen. ``docs/howto/watching.md`` documents the fields."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Any, Final

from firexkit._serialization import convert_to_serializable
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.outcome import Outcome
from firexkit.runtime.progress import TaskSeen
from firexkit.runtime.record import finite

RUN_BEGINS: Final = "run-begins"
TASK_CHANGED: Final = "task-changed"
NOTICE: Final = "notice"
RUN_ENDS: Final = "run-ends"


class JsonLines:
    """A line for each change; whatever else is printed goes where errors go.

    Args:
        run_id: the run's id.
        chain: short names of the run's tasks, in their order.
    """

    def __init__(self, run_id: str, chain: Sequence[str]) -> None:
        self._run_id = run_id
        self._chain = chain
        self._output = sys.stdout

    def begins(self, directory: RunDirectory) -> None:
        """Tell what begins, and where its logs are."""
        self._tell(RUN_BEGINS, logs=str(directory.path), chain=[*self._chain])

    def task_changed(self, task: TaskSeen, depth: int) -> None:
        """Tell all that is known of the task."""
        self._tell(TASK_CHANGED, **facts_of(task, depth))

    def notice(self, text: str) -> None:
        """Tell it."""
        self._tell(NOTICE, text=text)

    def ends(self) -> None:
        """Nothing yet: how it ended is not known here."""

    def ended(self, outcome: Outcome) -> None:
        """Tell how the run ended."""
        self._tell(RUN_ENDS, **facts_of_end(outcome))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which what others print goes where errors go, so that each line of the output is ours."""
        with redirect_stdout(sys.stderr):
            yield

    def _tell(self, event: str, **facts: Any) -> None:
        if self._output is not None:
            said = {"event": event, "at": time.time(), "run": self._run_id, **facts}
            # In ASCII, so that it is the same whatever the output is encoded in.
            text = json.dumps(finite(convert_to_serializable(said)), allow_nan=False)
            self._output.write(f"{text}\n")
            self._output.flush()


def facts_of(task: TaskSeen, depth: int) -> dict[str, Any]:
    """What is told of a task.

    Args:
        task: the task.
        depth: how many ancestors it has.
    """
    return {
        "task": task.uuid,
        "name": task.name,
        "state": task.state,
        "parent": task.parent,
        "depth": depth,
        "chain_depth": task.chain_depth,
        "started": task.started,
        "ended": task.ended,
        "worker": task.worker or None,
        "log": task.log,
        "from_plugin": task.from_plugin,
        "retries": task.retries,
        "planned_children": task.planned,
        "error": task.exception or None,
        "cause": task.cause,
    }


def facts_of_end(outcome: Outcome) -> dict[str, Any]:
    """What is told of a run's end."""
    failures = [asdict(one) for one in outcome.failures]
    return {
        "returncode": outcome.returncode,
        "results": outcome.results,
        "failures": [{"task": one.pop("uuid"), **one} for one in failures],
        "not_run": [*outcome.not_run],
        "stopped": outcome.revocation.reason if outcome.revocation else None,
        "stopped_by": outcome.revocation.revoking_user if outcome.revocation else None,
        "trouble": outcome.trouble or None,
    }
