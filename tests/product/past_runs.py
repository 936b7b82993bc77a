"""Runs of the past, written as a recorder would have left them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firexkit.journal import places
from firexkit.journal.model import Fact, OriginKind, Shown
from firexkit.journal.store import Journal
from firexkit.runtime.directory import RunDirectory, make_run_directory
from firexkit.runtime.record import RunRecord, write_record
from unit.journal_support import START, began, entries, entry, failed, queued, returned, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PAGE = '<!doctype html>\n<html><body><h1>page</h1>\n<pre>\n<span class="info">[09:00:00 INFO] {} &lt;ok&gt;</span>\n'
TRACEBACK = """\
Traceback (most recent call last):
  File "/home/ada/ci.py", line 7, in compile
    raise ValueError("no such file: a.c")
ValueError: no such file: a.c
"""


def run_id(number: int) -> str:
    """The id of a run that began in that second."""
    return f"FireX-ada-301231-1200{number:02}-{number:032x}"


def past_run(runs: Path, number: int, facts: Sequence[Fact] | None, **record: Any) -> RunDirectory:
    """A run that has ended, with a journal unless there are no facts."""
    directory = make_run_directory(runs, run_id(number))
    kept = RunRecord(
        firex_id=directory.run_id,
        logs_path=str(directory.path),
        chain=["nightly"],
        inputs={"board": "x1"},
        submission_host="laptop",
        submission_dir="/home/ada",
        submission_cmd=["firex", "run", "nightly", "--board", "x1"],
        submit_proc_start_timestamp=START,
        completed=True,
        completed_timestamp=START + 60.0,
        returncode=0,
    )
    write_record(directory.record, replace(kept, **record))
    if facts is not None:
        write_journal(directory.path / places.NAME, facts)
    return directory


def write_journal(path: Path, facts: Iterable[Fact], **values: bytes) -> None:
    """A whole journal."""
    with Journal(path, writes=True) as journal:
        journal.append(entries([*facts]), values.items())
        journal.seal()


def nightly(directory: RunDirectory | None = None, *, compiles: int = 8) -> list[Fact]:
    """A run of a parent with children, of which one failed; logs are written into its directory."""
    facts = [
        queued("FireX-root", "ci.nightly"),
        began("FireX-root", "ci.nightly", 1.0, entry("board", '"x1"', OriginKind.RUN), worker="mc@laptop"),
        *succeeded("fe7c0001", "ci.fetch", 2.0, entry("tree", '"/src/main"'), parent="FireX-root"),
        *(fact for n in range(compiles) for fact in compiled(n, fails=n == 3)),
        queued("11470001", "ci.link", 5.0, parent="FireX-root"),
        failed("FireX-root", 50.0, "ChainInterruptedException", "interrupted", cause="c0de0003"),
        Shown(at=START + 9.0, task="c0de0003", key="report", html="<h3>1 error</h3><p>a.c: <b>missing</b></p>"),
    ]
    if directory is not None:
        logs = directory.worker_logs / "mc@laptop"
        logs.mkdir()
        (directory.worker_logs / "mc@laptop.html").write_text(PAGE.format("worker says"))
        (logs / "ci.compile_c0de0003.html").write_text(PAGE.format("compile says"))
    return facts


def compiled(number: int, *, fails: bool) -> list[Fact]:
    task, at = f"c0de{number:04}", 4.0 + number / 10
    arguments = (
        entry("tree", '"/src/main"', OriginKind.RESULT, task="fe7c0001"),
        entry("number", str(number), OriginKind.CALL),
        entry("flags", '["-O2"]', OriginKind.DEFAULT),
    )
    end = failed(task, at + 2, message="no such file: a.c", traceback=TRACEBACK) if fails else returned(task, at + 3)
    return [
        queued(task, "ci.compile", at, parent="FireX-root", after="fe7c0001"),
        began(task, "ci.compile", at + 1, *arguments, worker="mc@laptop", parent="FireX-root"),
        end,
    ]
