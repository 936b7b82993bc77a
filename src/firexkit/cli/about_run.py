"""A run as lines: what it is, and if it failed the root cause first. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from firexkit.cli.lines import Line, block, line
from firexkit.cli.phrases import RUN_STYLES, counted, elapsed, moment, short, short_id
from firexkit.cli.values import arguments
from firexkit.journal.origins import Finder
from firexkit.journal.tree import State, Task, Tree
from firexkit.runtime.page_text import readable
from firexkit.runtime.record import RunRecord
from firexkit.runtime.remembered import LOST, Remembered
from firexkit.runtime.tracebacks import own_traceback

LAST_LINES = 24
"""Of a traceback."""


def field(name: str, *parts: str | tuple[str, str], wraps: bool = False) -> Line:
    """A line with a name in front.

    Args:
        name: what it is.
        parts: what it says; see `lines.line`.
        wraps: see `lines.Line`.
    """
    return line((f"{name:<9}", "dim"), *parts, wraps=wraps)


def header(run: Remembered, now: float, tree: Tree | None) -> Iterator[Line]:
    """What a run is and how it stands.

    Args:
        run: the run.
        now: Unix time.
        tree: its tasks; None when nothing was recorded.
    """
    state = run.state
    yield field("run", (run.directory.run_id, "bold"), "  ", (state, RUN_STYLES.get(state, "red")), wraps=True)
    if run.record is not None:
        yield from _of_record(run, run.record, now)
    if tree is not None:
        states = [task.state for task in tree]
        yield field("tasks", f"{len(states):,}: {counted(states)}" if states else "none was recorded")
    yield field("logs", str(run.directory.path), wraps=True)


def _of_record(run: Remembered, record: RunRecord, now: float) -> Iterator[Line]:
    took = run.took(now)
    yield field("chain", ",".join(record.chain))
    yield field("started", moment(record.submit_proc_start_timestamp), *_who(record))
    so_far = "" if record.completed else " so far"
    yield field("took", "?" if took is None else f"{elapsed(took)}{so_far}")
    yield field("command", readable(shlex.join(record.submission_cmd)), wraps=True)
    if record.revoked_details is not None:
        details = record.revoked_details
        yield field("stopped", f"{readable(details.reason)} (by {details.revoking_user})", wraps=True)
    if run.state == LOST:
        yield field("lost", "its processes were killed before they could say how it ended", wraps=True)


def _who(record: RunRecord) -> Iterator[str]:
    parts = record.firex_id.split("-")
    yield f" by {parts[1]} on {record.submission_host}" if len(parts) > 2 else f" on {record.submission_host}"


def failed_root(tree: Tree) -> Task | None:
    """The task to blame first for the end of a run; None when none is."""
    failed = [task for task in tree.roots if task.state is State.FAILED]
    if failed:
        return tree.root_cause(failed[0])
    by_themselves = [task for task in tree if task.state is State.FAILED and tree.root_cause(task) is task]
    return min(by_themselves, key=lambda task: task.ended_at or 0.0, default=None)


def root_cause(task: Task, find: Finder, place: Callable[[Task], str], room: int | None) -> Iterator[Line]:
    """Why a run failed.

    Args:
        task: the task to blame.
        find: gives other tasks of the run.
        place: where the log of a task is.
        room: see `values.arguments`.
    """
    failure = task.failure
    if failure is None:
        yield line(
            ("root cause: ", "bold red"), (f"{short(task.name)} was revoked", "bold red"), f"  {short_id(task.id)}"
        )
        yield from block(task.why_revoked, indent="  ", style="red")
        return
    yield line(("root cause: ", "bold red"), (f"{short(task.name)} failed", "bold red"), f"  {short_id(task.id)}")
    message = readable(failure.message.strip())
    yield from block(f"{failure.error}: {message}" if message else failure.error, indent="  ", style="red")
    yield from arguments(task, find, room=room)
    yield from end_of_traceback(failure.traceback, indent="  ")
    if place(task):
        yield line(("  its log: ", "dim"), place(task), wraps=True)


def end_of_traceback(text: str, *, indent: str = "") -> list[Line]:
    """The last lines of a traceback, without the frames that are nobody's own code."""
    own = [one for one in (own_traceback(text) or text).splitlines() if one.strip(" ~^")]
    left_out = [f"… {len(own) - LAST_LINES} lines before"] if len(own) > LAST_LINES else []
    return block("\n".join([*left_out, *own[-LAST_LINES:]]), indent=indent, style="dim")


def unsent(record: RunRecord | None) -> list[str]:
    """Names of the tasks of the run's chain that were not sent any more."""
    services = ((record.results if record is not None else None) or {}).get("unsuccessful_services") or {}
    return [str(name) for name in services.get("not_run") or ()]


def from_record_alone(record: RunRecord) -> Iterator[Line]:
    """What there is to say of a run that has no journal."""
    results = record.results or {}
    for name, value in (results.get("chain_results") or {}).items():
        yield line(f"  {name} = {readable(str(value))}", wraps=True)
    unsuccessful = results.get("unsuccessful_services") or {}
    for fate, members in unsuccessful.items():
        told = members if isinstance(members, list) else [members]
        yield line(f"  {fate.replace('_', ' ')}: {readable(', '.join(map(str, told)))}", wraps=True)
