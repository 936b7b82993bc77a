"""What the commands tell of runs that are over, whole or damaged."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from firexkit.cli import firex
from firexkit.journal import places
from firexkit.journal.model import Entry, Value
from firexkit.journal.store import VERSION, Journal
from firexkit.runtime.alive import hold
from firexkit.runtime.page_text import readable
from firexkit.runtime.retention import DAY
from product.firex import eventually
from product.past_runs import nightly, past_run, run_id, write_journal
from unit.journal_support import START, began, entry, queued, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from product.firex import Home


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: a good one, one that failed, and one without a journal, which is the latest."""
    runs = tmp_path / "runs"
    past_run(runs, 1, succeeded("FireX-r", "shop.buy", 1.0, entry("bread", '"rye"')), chain=["buy"])
    failed = past_run(runs, 2, None, returncode=1, submit_proc_start_timestamp=START + 100)
    write_journal(failed.path / places.NAME, nightly(failed))
    past_run(runs, 3, None, chain=["plain"], results={"chain_results": {"answer": 42}})
    return runs


def told(runs: Path, *words: str, code: int = 0) -> Result:
    """What a command answers."""
    answer = CliRunner().invoke(firex, [*words, "--runs-dir", str(runs)])
    assert answer.exit_code == code, (answer.output, answer.exception)
    return answer


def facts(runs: Path, *words: str) -> Any:
    return json.loads(told(runs, *words, "--json").stdout)


# ── show ──────────────────────────────────────────────────────────────────────────────────


def test_a_failed_run_is_told_root_cause_first(runs: Path):
    lines = [" ".join(line.split()) for line in told(runs, "show", "-2").stdout.splitlines()]

    assert lines[0] == f"run {run_id(2)} SOME_FAILED"
    cause = lines.index("root cause: compile failed c0de0003")
    assert lines[cause + 1 : cause + 5] == [
        "ValueError: no such file: a.c",
        'tree = "/src/main" from fetch (returned)',
        "number = 3 given by nightly",
        'flags = ["-O2"] default',
    ]
    assert any(line.endswith("mc@laptop/ci.compile_c0de0003.html") for line in lines)
    tree = lines[lines.index("✘ nightly 49 s because compile failed") :]
    assert tree[1:] == [
        "✔ fetch 1.00 s",
        "✘ 8 x compile ≤ 2.00 s 7 succeeded, 1 failed",
        "✘ compile 1.00 s c0de0003 ValueError: no such file: a.c",
        "○ link never began",
    ]


def test_a_run_as_json(runs: Path):
    run = facts(runs, "show", "-2")

    assert (run["firex_id"], run["state"], run["root_cause"], run["damage"]) == (
        run_id(2),
        "SOME_FAILED",
        "c0de0003",
        [],
    )
    assert len(run["tasks"]) == 11
    assert run["tasks"][0]["name"] == "ci.nightly"
    assert {task["parent"] for task in run["tasks"]} == {"", "FireX-root"}


@pytest.mark.parametrize("task", ["c0de0003", "c0de0003"[:8], "fetch", "ci.fetch", "fe7"])
def test_a_task_is_meant_by_its_name_or_its_id(runs: Path, task: str):
    assert facts(runs, "show", "-2", task)["name"] == ("ci.compile" if task.startswith("c0de") else "ci.fetch")


def test_all_about_a_task(runs: Path):
    text = told(runs, "show", "-2", "c0de0003").stdout

    for part in (
        "ci.compile  ✘ failed",
        'tree   = "/src/main"  from fetch (returned)',
        "ValueError: no such file: a.c",
        'File "/home/ada/ci.py", line 7, in compile',
        "worker   mc@laptop",
        "after 1.00 s in its queue",
        "took     1.00 s",
        "shown: report\n  1 error\n  a.c: missing",
    ):
        assert part in text


def test_the_children_of_a_task_stand_with_it(runs: Path):
    assert len(facts(runs, "show", "-2", "nightly")["children"]) == 10


def test_several_of_one_name_are_listed_to_choose_from(runs: Path):
    errors = told(runs, "show", "-2", "compile", code=2).stderr

    assert "8 tasks are meant by compile; choose one by its id:" in errors
    assert "c0de0003  failed     ci.compile" in errors


def test_a_whole_value_is_shown_when_asked_for(tmp_path: Path):
    text = json.dumps("x" * 5000)
    long = Value(digest="long", preview=text[:2048], size=len(text))
    gone = Value(digest="gone", preview="[1,", size=9_000_000)
    arguments = (Entry(name=name, value=value) for name, value in (("text", long), ("table", gone)))
    directory = past_run(tmp_path, 1, None)
    write_journal(
        directory.path / places.NAME, [queued("t", "n"), began("t", "n", 1.0, *arguments)], long=text.encode()
    )

    assert "… (5.0 kB; --full shows all)" in told(tmp_path, "show", "latest", "t").stdout
    whole = told(tmp_path, "show", "latest", "t", "--full").stdout
    assert text in whole
    assert "[1,… (9.0 MB; too large to be kept)" in whole


def test_a_run_without_a_journal_tells_its_record(runs: Path):
    text = told(runs, "show", "latest").stdout

    assert "it has no journal that can be read" in text
    assert "answer = 42" in text
    assert "has no journal" in told(runs, "show", "latest", "plain", code=2).stderr


def test_a_killed_run_is_lost(tmp_path: Path):
    past_run(tmp_path, 1, [queued("t", "n"), began("t", "n")], completed=False, returncode=None)
    text = told(tmp_path, "show", "latest").stdout

    assert "LOST" in text
    assert "was running; its end is unknown" in text


@pytest.mark.parametrize("columns", [80, 160])
def test_on_a_terminal_no_line_is_wider(runs: Path, home: Home, columns: int):
    """Colours there, none elsewhere."""
    terminal, end = os.openpty()
    size = {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    started = home.start("show", "-2", "--runs-dir", str(runs), env=size, stdout=end)
    os.close(end)
    output = b""
    while chunk := _read(terminal):
        output += chunk
    os.close(terminal)
    assert started.communicate()[1] == ""
    text = output.decode()
    plain = readable(text.replace("\r\n", "\n")).splitlines()

    assert "\x1b[" in text
    assert max(len(one) for one in plain if "compile" in one and "/" not in one) <= columns
    assert any(line.startswith("root cause: compile failed") for line in plain)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # its other end is closed
        return b""


# ── runs ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ([], [3, 2, 1]),
        (["--limit", "2"], [3, 2]),
        (["--failed"], [2]),
        (["--since", "1970-01-12 13:48"], [2]),
        (["rye"], [1]),
        (["no such file"], [2]),
        (["COMPILE", "missing"], []),
        (["compile", "file"], [2]),
        (["--task", "compile"], [2]),
        (["--task", "ci.compile", "--arg", "number=3"], [2]),
        (["--task", "ci.compile", "--arg", "number=99"], []),
        (["--task", "plain"], [3]),
        (["42"], [3]),
    ],
)
def test_runs_are_found(runs: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], numbers: list[int]):
    """By what was asked of them, the latest first."""
    monkeypatch.setenv("TZ", "UTC")

    assert [run["firex_id"] for run in facts(runs, "runs", *asked)] == [run_id(number) for number in numbers]


def test_the_tasks_that_were_found_stand_below_their_run(runs: Path):
    lines = told(runs, "runs", "compile", "file").stdout.splitlines()

    assert lines[0].startswith(f"{run_id(2)}  SOME_FAILED")
    assert lines[1:] == ["    compile  c0de0003  failed"]


@pytest.mark.parametrize("asked", [["--since", "soon"], ["--arg", "size"]])
def test_what_can_not_be_asked_is_refused(runs: Path, asked: list[str]):
    assert "write it like" in told(runs, "runs", *asked, code=2).stderr


# ── logs ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-2"], "[09:00:00 INFO] worker says <ok>\n"),
        (["-2", "c0de0003"], "[09:00:00 INFO] compile says <ok>\n"),
        (["-2", "c0de0003", "-f"], "[09:00:00 INFO] compile says <ok>\n"),
        (["-2", "-f", "--grep", "say.*ok"], "[09:00:00 INFO] worker says <ok>\n"),
        (["-2", "--grep", "error"], ""),
    ],
)
def test_logs_are_printed_as_text(runs: Path, words: list[str], text: str):
    assert told(runs, "logs", *words).stdout == text


def test_a_log_as_json(runs: Path):
    (line,) = told(runs, "logs", "-2", "c0de0003", "--json").stdout.splitlines()

    assert json.loads(line)["line"] == "[09:00:00 INFO] compile says <ok>"


def test_a_log_that_is_not_here_is_told(runs: Path):
    assert "has no log here" in told(runs, "logs", "latest", code=2).stderr


def test_a_bad_expression_is_told(runs: Path):
    assert "is no regular expression" in told(runs, "logs", "-2", "--grep", "[", code=2).stderr


def test_a_log_is_followed_until_the_run_is_over(runs: Path, home: Home):
    directory = past_run(runs, 4, None, completed=False, returncode=None)
    alive = hold(directory)
    page = directory.worker_logs / "mc@laptop.html"
    page.write_text("<!doctype html>\n<pre>\nfirst\n")
    following = home.start("logs", "latest", "-f", "--runs-dir", str(runs))
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    with page.open("a") as file:
        file.write("second\nlast")
        file.flush()
        assert following.stdout.readline() == "second\n"
    os.close(alive)

    assert following.communicate()[0] == "last\n"
    assert following.returncode == 0


# ── prune, stop ───────────────────────────────────────────────────────────────────────────


def left(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir())


def test_old_runs_are_removed(runs: Path):
    (runs / "latest").symlink_to(run_id(1))
    answer = facts(runs, "prune", "--keep-runs", "2")

    assert [run["firex_id"] for run in answer["removed"]] == [run_id(1)]
    assert left(runs) == [run_id(2), run_id(3)]


def test_a_run_that_is_alive_is_never_removed(runs: Path):
    directory = past_run(runs, 4, None, completed=False, returncode=None)
    alive = hold(directory)
    told(runs, "prune", "--keep-runs", "0", "--keep-days", "0")
    os.close(alive)

    assert left(runs) == [run_id(4)]


def test_nor_is_one_that_is_just_being_made(runs: Path):
    past_run(runs, 4, None, completed=False, returncode=None)
    told(runs, "prune", "--keep-size", "0")
    assert left(runs) == [run_id(4)]

    os.utime(runs / run_id(4), (START, START + DAY))
    told(runs, "prune", "--keep-size", "0")
    assert left(runs) == []


def test_what_would_be_removed_is_only_said(runs: Path):
    assert "3 runs would be removed" in told(runs, "prune", "--keep-days", "1", "--dry-run").stdout
    assert len(left(runs)) == 3


@pytest.mark.parametrize("words", [[], ["--keep-size", "much"]])
def test_nothing_is_removed_unless_it_is_clear_what_is_kept(runs: Path, words: list[str]):
    told(runs, "prune", *words, code=2)
    assert len(left(runs)) == 3


def test_a_run_that_is_over_can_not_be_stopped(runs: Path):
    assert "is over already" in told(runs, "stop", "-2", "compile", code=2).stderr


def test_one_task_of_a_run_is_stopped(home: Home):
    """The others go on; what it was stopped for is kept."""
    running = home.start("run", "parent", "-t", "work.py", "--children", "2", "--seconds", "60")
    (child, other) = eventually(lambda: running_children(home))
    stopped = home.firex("stop", "latest", child, "--reason", "too slow")

    assert (stopped.returncode, stopped.stdout) == (0, f"work.child {child}: revoked\n")
    ended = eventually(lambda: (task := shown(home, child))["state"] == "revoked" and task)
    assert ended["revoked"].startswith("too slow (by ")
    assert shown(home, other)["state"] == "running"
    assert "has revoked already" in home.firex("stop", "latest", child).stderr
    assert home.firex("stop", "latest").returncode == 0
    assert "FireX ID" in running.communicate()[0]
    assert running.returncode != 0


def running_children(home: Home) -> list[str]:
    """The ids of both children, once they run and are recorded."""
    answer = home.firex("show", "latest", "--json")
    tasks = (json.loads(answer.stdout)["tasks"] or ()) if answer.returncode == 0 else ()
    found = [task["id"] for task in tasks if task["name"] == "work.child" and task["state"] == "running"]
    return found if len(found) == 2 else []


def shown(home: Home, task: str) -> Any:
    return json.loads(home.firex("show", "latest", task, "--json").stdout)


# ── completion ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "start", "offered"),
    [
        (["show"], "", ["latest", run_id(3), run_id(2), run_id(1)]),
        (["logs"], "la", ["latest"]),
        (["stop"], run_id(2), [run_id(2)]),
        (["show", "-2"], "", ["nightly", "fetch", "compile", "link"]),
        (["show", run_id(2)], "com", ["compile"]),
        (["logs", "-f", "-2"], "fe7", ["fe7c0001"]),
        (["show", "nothing"], "", []),
        (["show", "latest"], "", []),
    ],
)
def test_runs_and_tasks_are_completed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], start: str, offered: list[str]
):
    monkeypatch.setenv("FIREX_HOME", str(runs.parent))
    found = ShellComplete(firex, {}, "firex", "_FIREX_COMPLETE").get_completions(words, start)

    assert [item.value for item in found] == offered


# ── bad input ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("run", "answer"),
    [
        ("FireX-ada-301231-120009", f"did you mean {run_id(3)}"),
        ("nothing", "`firex runs` lists those there are"),
        ("-9", "there is no run -9"),
        ("FireX-ada", "3 runs begin with FireX-ada; write more of it"),
    ],
)
@pytest.mark.parametrize("command", ["show", "logs", "stop"])
def test_an_unknown_run(runs: Path, command: str, run: str, answer: str):
    assert answer in told(runs, command, run, code=2).stderr


@pytest.mark.parametrize(
    ("task", "answer"),
    [("complie", "did you mean compile"), ("zzz", "lists those there are"), ("c0de", "8 tasks are meant")],
)
@pytest.mark.parametrize("command", ["show", "logs"])
def test_an_unknown_task(runs: Path, command: str, task: str, answer: str):
    assert answer in told(runs, command, "-2", task, code=2).stderr


def test_an_unknown_option_is_no_run(runs: Path):
    assert "No such option" in told(runs, "show", "--jsn", code=2).stderr


def test_a_journal_of_a_newer_release(runs: Path):
    """Its run is told without it."""
    with sqlite3.connect(runs / run_id(2) / places.NAME) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    answer = told(runs, "show", "-2", code=1)

    assert "was written by a newer release" in answer.stderr
    assert "SOME_FAILED" in answer.stdout
    assert "Upgrade firexkit" in told(runs, "show", "-2", "compile", code=2).stderr


def test_of_a_truncated_journal_what_there_is_is_shown(tmp_path: Path):
    directory = past_run(tmp_path, 1, nightly(compiles=2000))
    path = directory.path / places.NAME
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    answer = told(tmp_path, "show", "latest", code=1)
    asked = told(tmp_path, "show", "latest", "--json", code=1).stdout

    assert "the file was cut off after" in answer.stderr
    assert "what follows can't be read" in answer.stderr
    assert "x compile" in answer.stdout
    assert 0 < len(json.loads(asked)["tasks"]) < 2004


def test_a_task_of_a_truncated_journal_is_found_without_its_index(tmp_path: Path):
    directory = past_run(tmp_path, 1, nightly(compiles=2000))
    path = directory.path / places.NAME
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    answer = told(tmp_path, "show", "latest", "nightly", code=1)

    assert "task     ci.nightly" in answer.stdout
    assert "All facts were looked through instead" in answer.stderr
    assert "was cut off" in told(tmp_path, "runs", "nothinglikethis").stderr


def test_of_a_corrupt_journal_the_record_is_shown(runs: Path):
    (runs / run_id(2) / places.NAME).write_bytes(b"\x00nonsense" * 100)
    answer = told(runs, "show", "-2", code=1)

    assert "is not a database" in answer.stderr
    assert "SOME_FAILED" in answer.stdout
    assert "is not a database" in told(runs, "runs", "x1").stderr


def test_a_fact_that_is_corrupt_hides_no_other(runs: Path):
    with Journal(runs / run_id(2) / places.NAME, writes=True) as journal:
        journal.append([("99-0", b'{"fact":"queued"')])
        journal.seal()
    answer = told(runs, "show", "-2", code=1)

    assert "the journal is damaged: fact" in answer.stderr
    assert "8 x compile" in answer.stdout


def test_nothing_can_be_read(runs: Path):
    (runs / run_id(2) / places.NAME).write_bytes(b"\x00nonsense" * 100)
    (runs / run_id(2) / "run.json").write_text("{")

    assert "can't be read" in told(runs, "show", "-2", code=2).stderr
