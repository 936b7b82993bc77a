"""What observers are told of a command, and what the log says of it."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import current_task

from firexkit import _wire
from firexkit.process.masking import Mask
from firexkit.process.output import OutputFile, Printed
from firexkit.process.running import Ending
from firexkit.task import FireXTask

logger: logging.Logger = logging.getLogger("firexkit.process")


class Story:
    """What is told of one command. Outside a task that runs in a worker, only the log hears it.

    Args:
        line: the command as it may be shown.
        directory: where it runs.
        mask: hides secrets in what else is told.
    """

    def __init__(self, line: str, directory: Path, mask: Mask) -> None:
        self.id: str = uuid4().hex
        self._task: Any = current_task if isinstance(current_task, FireXTask) else None
        self._line = line
        self._directory = mask(str(directory))
        self._mask = mask
        self._began = time.time()

    @property
    def file_beside_log(self) -> Path | None:
        """A name for the file of the command's output beside the log of its task; None if the task has no log."""
        log = self._task.task_logfile if self._task is not None else None
        return Path(log).with_name(f"{Path(log).stem}_{self.id}.txt") if log and Path(log).parent.is_dir() else None

    def begin(self, file: OutputFile) -> None:
        """The command runs."""
        self._began, path = time.time(), self._mask(str(file.path))
        logger.info("command: %s (in %s, its output in %s)", self._line, self._directory, path)
        self._tell(
            {
                _wire.COMMAND_LINE: self._line,
                _wire.COMMAND_DIRECTORY: self._directory,
                _wire.COMMAND_OUTPUT_FILE: path,
                _wire.COMMAND_HOST: socket.gethostname(),
                _wire.COMMAND_REMOTE_HOST: None,
                _wire.COMMAND_START: self._began,
            }
        )

    def end(self, ending: Ending, code: int, printed: Printed) -> None:
        """The command, and all that it started, runs no more."""
        ended = time.time()
        logger.info("command ended after %.1f s, %s: %s", ended - self._began, told(ending, code), self._line)
        self._tell({_wire.COMMAND_END: ended, _wire.COMMAND_RESULT: result_fields(ending, code, printed)})

    def _tell(self, fields: dict[str, Any]) -> None:
        if self._task is not None:
            self._task.send_firex_event_raw({_wire.EXTERNAL_COMMANDS: {self.id: fields}})


def told(ending: Ending, code: int) -> str:
    """How it ended, in words."""
    words = {Ending.TIMEOUT: "out of time", Ending.INACTIVE: "silent for too long", Ending.CUT_SHORT: "cut short"}
    return words.get(ending, f"exit code {code}" if code >= 0 else f"signal {-code}")


def result_fields(ending: Ending, code: int, printed: Printed) -> dict[str, Any]:
    """What observers are told of the end."""
    output, errors = printed.output.shown, printed.errors.shown if printed.errors else None
    return {
        _wire.COMMAND_COMPLETED: ending is Ending.BY_ITSELF,
        _wire.COMMAND_TIMEOUT: ending is Ending.TIMEOUT,
        _wire.COMMAND_INACTIVE: ending is Ending.INACTIVE,
        _wire.COMMAND_RETURNCODE: code,
        _wire.COMMAND_OUTPUT: output.text,
        _wire.COMMAND_OUTPUT_TRUNCATED: output.is_truncated,
        _wire.COMMAND_STDERR: errors.text if errors else None,
        _wire.COMMAND_STDERR_TRUNCATED: errors.is_truncated if errors else False,
    }
