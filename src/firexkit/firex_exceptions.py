"""Failures that tell more than a text: what a command printed, which exit code the run shall have."""

import shlex
import signal
from collections.abc import Sequence
from os import PathLike
from subprocess import CalledProcessError, TimeoutExpired
from typing import Final

__all__ = [
    "FireXCalledProcessError",
    "FireXInactivityTimeoutExpired",
    "FireXReturnCodeException",
    "exit_code_of",
    "shorten_long_output",
]

Command = str | bytes | PathLike[str] | PathLike[bytes] | Sequence[str | bytes | PathLike[str] | PathLike[bytes]]
Output = str | bytes | None

_CODES: Final = range(1, 256)


def shorten_long_output(output: Output, max_output_str_len: int = 8000) -> str:
    """A block of text with a command's output, or with its end if it is long.

    Args:
        output: what the command printed; None and nothing are the same.
        max_output_str_len: number of characters to keep.

    Returns:
        A title line, which tells the limit if it was reached, and the output.
    """
    text = _text(output)
    if not text:
        return "Output: none"
    if len(text) <= max_output_str_len:
        return f"Output:\n{text}"
    return f"Output (last {max_output_str_len} of {len(text)} characters):\n{text[len(text) - max_output_str_len :]}"


class FireXCalledProcessError(CalledProcessError):
    """A command ended with a bad exit code, or a signal ended it.

    Args:
        returncode: its exit code, or minus the number of the signal.
        cmd: the command.
        output: what it printed.
        stderr: what it printed as errors, if kept apart.
    """

    def __init__(self, returncode: int, cmd: Command, output: Output = None, stderr: Output = None) -> None:
        super().__init__(returncode, cmd, output, stderr)
        # Exceptions travel as their args, and Python fills those with positional arguments only.
        self.args: tuple[object, ...] = (returncode, cmd, output, stderr)

    def __str__(self) -> str:
        ending = f"{_command_line(self.cmd)}: {_ending(self.returncode)}"
        return f"{ending}\n{shorten_long_output(self.output)}"


class FireXInactivityTimeoutExpired(TimeoutExpired):
    """A command was ended because it had printed nothing for too long.

    Args:
        cmd: the command.
        timeout: seconds without output.
        output: what it printed before.
        stderr: what it printed as errors, if kept apart.
    """

    def __init__(self, cmd: Command, timeout: float, output: Output = None, stderr: Output = None) -> None:
        super().__init__(cmd, timeout, output, stderr)
        self.args: tuple[object, ...] = (cmd, timeout, output, stderr)

    def __str__(self) -> str:
        ending = f"{_command_line(self.cmd)}: no console output for {self.timeout:g} seconds"
        return f"{ending}\n{shorten_long_output(self.output)}"


class FireXReturnCodeException(Exception):
    """A task failed, and its run shall end with this exit code. Raise it, or a class derived from it, in a task.

    Args:
        firex_returncode: the exit code, 1 to 255.
        message: what failed.

    Raises:
        ValueError: that is no exit code of a failure.
    """

    def __init__(self, firex_returncode: int, message: str = "") -> None:
        if firex_returncode not in _CODES:
            raise ValueError(f"firex_returncode must be a whole number from 1 to 255, not {firex_returncode!r}")
        self.firex_returncode: int = int(firex_returncode)
        self.message: str = message
        super().__init__(self.firex_returncode, message)

    def __str__(self) -> str:
        code = f"exit code {self.firex_returncode}"
        return f"{self.message} ({code})" if self.message else code


def exit_code_of(error: BaseException) -> int | None:
    """The exit code that a task asked for with FireXReturnCodeException; None when none did.

    Args:
        error: what a run failed with; its causes are searched, and of several failures that it reports each one's.
    """
    unseen, seen = [error], set[int]()
    while unseen:
        suspect = unseen.pop(0)
        if isinstance(suspect, FireXReturnCodeException):
            return suspect.firex_returncode
        seen.add(id(suspect))
        unseen = [cause for cause in (*_reasons_for(suspect), *unseen) if id(cause) not in seen]
    return None


def _reasons_for(error: BaseException) -> list[BaseException]:
    # The exceptions of waits, which stand above this module, keep what failed in ``failures``.
    causes = (error.__cause__, *getattr(error, "failures", ()))
    return [cause for cause in causes if isinstance(cause, BaseException)]


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:
        return f"signal {-returncode}"


def _command_line(command: Command) -> str:
    if isinstance(command, str | bytes | PathLike):
        return _text(command)
    return shlex.join(_text(part) for part in command)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)
