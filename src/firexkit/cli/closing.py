"""What is printed when a run is over: what the tasks returned, or the root cause first and then what it took down."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Final

from firexkit.cli.letters import echo
from firexkit.cli.phrases import plain_error
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.outcome import Failure, Outcome
from firexkit.runtime.page_text import readable

MOST_OTHERS: Final = 5
LONGEST_VALUE: Final = 100
"""Characters of a returned value on the screen; run.json has it whole."""


def tell(outcome: Outcome, directory: RunDirectory, *, is_quiet: bool = False) -> None:
    """Print how a run ended: success where output goes, all else where errors go.

    Args:
        outcome: how it ended.
        directory: the run's directory.
        is_quiet: whether of a success nothing is told but what the tasks returned.
    """
    success = _values(outcome) if is_quiet else _success(outcome)
    lines = success if outcome.returncode == 0 else [*_failure(outcome), f"Logs: {directory.path}"]
    if text := readable("\n".join(lines)):
        with nobody_need_read():
            echo(text, err=outcome.returncode != 0)


@contextmanager
def nobody_need_read() -> Iterator[None]:
    """A block that prints; whoever left need not read it."""
    try:
        yield
    except OSError:
        # What is left in the buffer would be an error again when the process ends.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _success(outcome: Outcome) -> Iterator[str]:
    yield "All tasks succeeded"
    if outcome.results:
        yield "Returned values:"
        yield from (f"  {line}" for line in _values(outcome))
    if outcome.failures:
        yield "Tasks that failed without failing the run:"
        yield from _others(outcome.failures)


def _values(outcome: Outcome) -> Iterator[str]:
    yield from (f"{name} = {_shown(value)}" for name, value in outcome.results.items())


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, PurePath) else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters, see run.json)"


def _failure(outcome: Outcome) -> Iterator[str]:
    if outcome.revocation is not None:
        yield f"The run was stopped: {outcome.revocation.reason} (by {outcome.revocation.revoking_user})"
    if outcome.trouble:
        yield f"The run failed: {outcome.trouble}"
    first, *others = outcome.failures or (None,)
    if first is not None:
        yield from _root_cause(first)
    if others:
        yield "Other tasks that failed:"
        yield from _others(others)
    if outcome.not_run:
        yield f"Never began: {', '.join(outcome.not_run)}"


def _others(failures: Sequence[Failure]) -> Iterator[str]:
    yield from (f"  {one.name}: {plain_error(_first_line(one.error))}{_log(one)}" for one in failures[:MOST_OTHERS])
    if len(failures) > MOST_OTHERS:
        yield f"  … and {len(failures) - MOST_OTHERS} more"


def _root_cause(failure: Failure) -> Iterator[str]:
    # A traceback ends with the whole error.
    yield f"{failure.name} failed: {_first_line(failure.error) if failure.traceback else failure.error}"
    if failure.traceback:
        yield from (f"    {line}" for line in failure.traceback.rstrip().splitlines())
    if failure.log:
        yield f"  its log: {_place(failure)}"
    if failure.took_down:
        yield f"  and with it failed: {', '.join(failure.took_down)}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _log(failure: Failure) -> str:
    return f" (log: {_place(failure)})" if failure.log else ""


def _place(failure: Failure) -> str:
    """A log's path, with its host when that is another."""
    host = failure.worker.partition("@")[2]
    return f"{host}:{failure.log}" if host and host != socket.gethostname() else str(failure.log)
