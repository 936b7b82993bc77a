"""Commands as tasks run them: ``run``, ``check_output``, ``check_call``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final, TypedDict, Unpack

from firexkit import _wire
from firexkit.firex_exceptions import FireXCalledProcessError, FireXInactivityTimeoutExpired
from firexkit.process.child import Launch
from firexkit.process.masking import Mask
from firexkit.process.output import Masks, OutputFile, Printed, opened
from firexkit.process.running import Ending, Limits, started
from firexkit.process.telling import Story
from firexkit.secret import Secret

SHELL: Final = "/bin/sh"
MAX_OUTPUT: Final = 32_000
INACTIVITY_TIMEOUT: Final = 30 * 60.0

StrPath = str | os.PathLike[str]
Command = StrPath | Sequence[StrPath]


class Options(TypedDict, total=False):
    """The options that :func:`run`, :func:`check_output` and :func:`check_call` share; see :func:`run`."""

    cwd: StrPath | None
    env: Mapping[str, str] | None
    output_file: StrPath | None
    max_output: int | None
    timeout: float | None
    inactivity_timeout: float | None
    secrets: Iterable[str | Secret[str]]
    input: str | bytes | None
    separate_stderr: bool


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, and what it printed.

    Attributes:
        command: the command as it may be shown: without secrets.
        returncode: its exit code, or minus the number of the signal that ended it.
        output: the last characters that it printed; of its standard output only if the streams were kept apart.
        output_truncated: whether it printed more.
        stderr: the last characters of its standard error if the streams were kept apart, else None.
        stderr_truncated: whether there were more.
        output_file: where all that it printed is; None if that was a temporary file.
    """

    command: str
    returncode: int
    output: str
    output_truncated: bool
    stderr: str | None
    stderr_truncated: bool
    output_file: Path | None

    @property
    def stdout(self) -> str:
        """The output, by the name that it has in ``subprocess``."""
        return self.output


def run(
    command: Command,
    *,
    cwd: StrPath | None = None,
    env: Mapping[str, str] | None = None,
    output_file: StrPath | None = None,
    max_output: int | None = MAX_OUTPUT,
    timeout: float | None = None,
    inactivity_timeout: float | None = INACTIVITY_TIMEOUT,
    check: bool = False,
    secrets: Iterable[str | Secret[str]] = (),
    input: str | bytes | None = None,  # noqa: A002 - its name in subprocess
    separate_stderr: bool = False,
) -> CommandResult:
    """Run a command and wait for its end; it can be followed in its output file, and observers of the task see it.

    Neither the command nor anything that it started in its session runs any more when this returns or raises, nor when
    the task is revoked or its process is killed. After the end of the command, processes that hold its output open are
    given two seconds. A daemon that made a session for itself is left alone if the command ended by itself.
    A pool of threads cannot end a task that runs: there a command goes on when its task is revoked.

    Args:
        command: a text is for the shell, ``/bin/sh``; a list is a program and its arguments, and no shell sees it.
        cwd: where it runs; by default, where the worker does.
        env: all its variables; by default those that :func:`environment` tells.
        output_file: where all of its output goes, the standard error included, to be read by the owner alone. By
            default a file beside the task's log; if the task has none, a temporary one, which is removed.
        max_output: how many characters are kept of the output, from its end; None for all of it.
        timeout: seconds that it may take; None for any time.
        inactivity_timeout: seconds that it may be silent; None for any time.
        check: whether a return code other than 0 is an error.
        secrets: values that nobody is to see: each, as it stands, is replaced by ``***`` in the output, wherever it
            goes, in logs, in errors, and in what observers are told. Values of variables that are named like secrets
            are hidden, too, but not from the caller: the result and an output file that the caller chose have them.
        input: what it gets to read; by default nothing.
        separate_stderr: whether the standard error is kept apart from the output.

    Raises:
        OSError: the command cannot be started (FileNotFoundError: there is none), or its output cannot be written.
        subprocess.TimeoutExpired: it took longer than ``timeout``; has its output up to then.
        FireXInactivityTimeoutExpired: it was silent for longer than ``inactivity_timeout``; has its output, too.
        FireXCalledProcessError: with ``check``, its return code is not 0.
    """
    masks = Masks.of(secrets, env or {})
    line, directory = shown_line(command, masks.shown), Path(cwd or ".").absolute()
    variables = environment() if env is None else env
    title = f"{line} (in {masks.shown(str(directory))})"
    launch = Launch(words_of(command), directory, variables, input is not None, separate_stderr, title)
    limits, story = Limits(timeout, inactivity_timeout), Story(line, directory, masks.shown)
    text = input.encode() if isinstance(input, str) else input or b""
    with opened(output_file, story.file_beside_log) as file:
        printed = Printed.to(file, masks, max_output, separate_stderr=separate_stderr)
        ending, code = _carry_out(launch, text, limits, printed, file, story)
        path = file.lasting_path
    if (error := failure(ending, code if check else 0, line, limits, printed)) is not None:
        raise error
    output, errors = printed.output.given, printed.errors.given if printed.errors else None
    return CommandResult(
        command=line,
        returncode=code,
        output=output.text,
        output_truncated=output.is_truncated,
        stderr=errors.text if errors else None,
        stderr_truncated=errors.is_truncated if errors else False,
        output_file=path,
    )


def check_output(command: Command, **options: Unpack[Options]) -> str:
    """The last characters of what a command prints; it is an error if its return code is not 0.

    Args:
        command: as for :func:`run`.
        **options: as for :func:`run`; with ``max_output=None`` nothing is left out.

    Raises:
        FireXCalledProcessError: the return code is not 0; and whatever else :func:`run` raises.
    """
    return run(command, check=True, **options).output


def check_call(command: Command, **options: Unpack[Options]) -> int:
    """Run a command; it is an error if its return code is not 0, so 0 it is.

    Args:
        command: as for :func:`run`.
        **options: as for :func:`run`.

    Raises:
        FireXCalledProcessError: the return code is not 0; and whatever else :func:`run` raises.
    """
    return run(command, check=True, **options).returncode


def environment() -> dict[str, str]:
    """The variables that a command gets by default: those of the worker, without those that lead to the broker.

    Use it to change some: ``run(command, env=environment() | {"LANG": "C"})``.
    """
    return {name: value for name, value in os.environ.items() if name not in _wire.KEPT_FROM_COMMANDS}


def words_of(command: Command) -> list[str]:
    """A command as the system takes it: the program and its arguments; a text goes to the shell.

    Raises:
        ValueError: there are no words.
        TypeError: one of them is no text.
    """
    if isinstance(command, str):
        return [SHELL, "-c", command]
    words = [os.fsdecode(word) for word in ([command] if isinstance(command, os.PathLike) else command)]
    if not words:
        raise ValueError("the command is empty; give a program and its arguments")
    return words


def shown_line(command: Command, mask: Mask) -> str:
    """A command as people may see it, in one line for the shell."""
    line = command if isinstance(command, str) else shlex.join(words_of(command))
    # A shell wants apostrophes written this way, so this is how such a secret stands in its line.
    return Mask([*mask.secrets, *(secret.replace("'", "'\"'\"'") for secret in mask.secrets)])(line)


def failure(ending: Ending, code: int, line: str, limits: Limits, printed: Printed) -> Exception | None:
    """The error that a command's end is; None if it is none."""
    output, errors = printed.output.shown.text, printed.errors.shown.text if printed.errors else None
    if ending is Ending.TIMEOUT:
        return TimeoutExpired(line, limits.total or 0, output, errors)
    if ending is Ending.INACTIVE:
        return FireXInactivityTimeoutExpired(line, limits.inactivity or 0, output, errors)
    return FireXCalledProcessError(code, line, output, errors) if code else None


def _carry_out(
    launch: Launch, text: bytes, limits: Limits, printed: Printed, file: OutputFile, story: Story
) -> tuple[Ending, int]:
    ending, running = Ending.CUT_SHORT, None
    try:
        with started(launch, printed.streams, text, file) as running:
            story.begin(file)
            ending = running.wait(limits)
    finally:
        if running is not None:
            story.end(ending, running.exit_code, printed)
    return ending, running.exit_code
