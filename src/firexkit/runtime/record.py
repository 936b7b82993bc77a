"""``run.json``: what a run was asked for, and what came of it. Written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from firexkit._serialization import convert_to_serializable


@dataclass(frozen=True)
class Revocation:
    """Who ended a run early, and why."""

    reason: str
    revoking_user: str
    revoke_start_time: float
    task_id: str | None = None
    revoke_completed_timestamp: float | None = None
    root_revoked: bool = True


@dataclass(frozen=True)
class RunRecord:
    """The fields of ``run.json``; the names are those that the reference application's users read.

    Attributes:
        firex_id: the run's id.
        logs_path: the run's directory.
        chain: short names of the tasks that were asked for.
        inputs: the arguments, as far as JSON can tell them.
        submission_host: the machine it was submitted on.
        submission_dir: the directory it was submitted in.
        submission_cmd: the command line.
        viewers: addresses of pages that show the run, by name.
        submit_proc_start_timestamp: Unix time, in seconds, at which the submitting process began.
        completed: whether the run has ended.
        completed_timestamp: Unix time of the end.
        results: ``chain_results`` (values by name) and ``unsuccessful_services`` (``failed``, ``not_run``).
        revoked: whether somebody ended it early.
        revoked_details: who did, and why.
        returncode: the exit code of ``firex run``; None until the end.
    """

    firex_id: str
    logs_path: str
    chain: list[str]
    inputs: dict[str, Any]
    submission_host: str
    submission_dir: str
    submission_cmd: list[str]
    submit_proc_start_timestamp: float
    viewers: dict[str, str] = field(default_factory=dict)
    completed: bool = False
    completed_timestamp: float | None = None
    results: dict[str, Any] | None = None
    revoked: bool = False
    revoked_details: Revocation | None = None
    returncode: int | None = None

    @property
    def state(self) -> str:
        """RUNNING, SUCCESS, SOME_FAILED or REVOKED, as readers of the file derive it."""
        if not self.completed:
            return "RUNNING"
        if self.revoked:
            return "REVOKED"
        return "SOME_FAILED" if self.returncode else "SUCCESS"


def write_record(path: Path, record: RunRecord) -> None:
    """Put a record in place of the one before; a reader sees the old one or the new one, never half of one."""
    content = {**asdict(record), **record.viewers, "viewers": record.viewers}
    text = json.dumps(finite(convert_to_serializable(content)), indent=2, ensure_ascii=False, allow_nan=False)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)
        Path(fresh).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(fresh).unlink()
        raise


def finite(value: Any) -> Any:
    """A value without NaN and infinities, which JSON does not have: they become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {finite(key) if isinstance(key, float) else key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list) else value


def read_record(path: Path) -> RunRecord:
    """The record in a file.

    Raises:
        ValueError: the file holds no record.
        OSError: the file can't be read.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {one.name for one in fields(RunRecord)}
    try:
        known = {name: value for name, value in content.items() if name in names}
        details = known.pop("revoked_details", None)
        return RunRecord(**known, revoked_details=Revocation(**details) if details else None)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no record of a run: {error}") from error
