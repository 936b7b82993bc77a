"""The directory of a run: who can read it, how it is found."""

import os
import socket
import stat

import pytest

from firexkit.runtime.alive import hold, holder_of, is_alive
from firexkit.runtime.directory import (
    RunDirectory,
    RunDirectoryError,
    link_latest,
    make_run_directory,
    note_logs_elsewhere,
    write_private,
)
from firexkit.runtime.record import Revocation, RunRecord, read_record, write_record
from firexkit.runtime.runs import default_runs_directory, find_run, runs_in
from firexkit.uid import new_run_id


@pytest.fixture
def run(tmp_path):
    return make_run_directory(tmp_path / "runs", new_run_id())


def record(run: RunDirectory, **more) -> RunRecord:
    facts = {"chain": ["a"], "inputs": {}, "submission_host": "h", "submission_dir": "/", "submission_cmd": ["firex"]}
    return RunRecord(run.run_id, str(run.path), submit_proc_start_timestamp=1.0, **{**facts, **more})


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_enter_or_read(run):
    before = os.umask(0)
    try:
        write_record(run.record, record(run))
        write_private(run.stop_request, b"{}")
    finally:
        os.umask(before)

    assert {mode(path) for path in run.path.rglob("*") if path.is_dir()} == {0o700}
    assert {mode(path) for path in run.path.rglob("*") if path.is_file()} == {0o600}
    assert mode(run.path) == 0o700


def test_a_directory_that_exists_is_nobody_elses_run(run):
    with pytest.raises(RunDirectoryError, match="exists already"):
        make_run_directory(run.path.parent, run.run_id)


def test_where_nothing_can_be_made_the_text_says_where_and_what_to_do(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(RunDirectoryError, match=r"cannot make .*file.*--runs-dir or FIREX_HOME"):
        make_run_directory(tmp_path / "file" / "runs", new_run_id())


def test_latest_leads_to_the_last_one(tmp_path):
    runs = [make_run_directory(tmp_path, new_run_id()) for _ in range(2)]
    for run in runs:
        link_latest(run)

    assert (tmp_path / "latest").resolve() == runs[1].path


def test_something_of_the_users_called_latest_is_left_alone(run):
    mine = run.path.parent / "latest"
    mine.mkdir()
    link_latest(run)

    assert mine.is_dir()
    assert not mine.is_symlink()


def test_a_run_is_found_by_id_beginning_link_and_path(run):
    link_latest(run)
    write_record(run.record, record(run))
    runs = run.path.parent

    assert {find_run(runs, name).run_id for name in (run.run_id, run.run_id[:20], "latest", str(run.path))} == {
        run.run_id
    }


@pytest.mark.parametrize("name", ["FireX-nobody", "", "latest", ".."])
def test_an_unknown_run_is_said_to_be_unknown(tmp_path, name):
    with pytest.raises(RunDirectoryError, match="no run"):
        find_run(tmp_path, name)


def test_a_beginning_that_several_runs_share_lists_them(tmp_path):
    for _ in range(2):
        make_run_directory(tmp_path, new_run_id("ada"))

    with pytest.raises(RunDirectoryError, match="2 runs begin with FireX-ada"):
        find_run(tmp_path, "FireX-ada")


def test_runs_are_listed_the_latest_first(tmp_path):
    for when in ("261122-100000", "261123-090000", "251231-235959"):
        make_run_directory(tmp_path, f"FireX-ada-{when}-{'0' * 32}")
    (tmp_path / "something else").mkdir()

    assert [run.run_id[10:16] for run in runs_in(tmp_path)] == ["261123", "261122", "251231"]


def test_a_run_is_alive_while_somebody_holds_it(run):
    descriptor = hold(run)
    alive, holder = is_alive(run), holder_of(run)
    os.close(descriptor)

    assert alive
    assert holder == (os.getpid(), socket.gethostname())
    assert not is_alive(run)
    assert holder_of(run) is None


def test_the_environment_says_where_runs_are(monkeypatch, tmp_path):
    monkeypatch.setenv("FIREX_HOME", str(tmp_path))
    assert default_runs_directory() == tmp_path / "runs"


def test_logs_in_another_place_are_named_by_host_and_path(run):
    note_logs_elsewhere(run, "w1@far", "/logs/w1@far/task.html")
    note_logs_elsewhere(run, "w1@far", "/logs/w1@far/other.html")
    note_logs_elsewhere(run, "mc@here", str(run.worker_logs / "mc@here" / "task.html"))

    assert {path.name: path.read_text() for path in run.worker_logs.iterdir()} == {"w1@far.txt": "far:/logs/w1@far\n"}


def test_a_record_comes_back_as_it_was(run):
    details = Revocation("enough", "ada", 1.0, run.run_id, 2.0)
    written = record(run, completed=True, revoked=True, revoked_details=details, returncode=130)
    write_record(run.record, written)

    assert read_record(run.record) == written
    assert [path.name for path in run.path.iterdir() if path.is_file()] == ["run.json"]


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "RUNNING"),
        ({"completed": True, "returncode": 0}, "SUCCESS"),
        ({"completed": True, "returncode": 3}, "SOME_FAILED"),
        ({"completed": True, "revoked": True, "returncode": 130}, "REVOKED"),
    ],
)
def test_readers_derive_the_state(run, facts, state):
    assert record(run, **facts).state == state


def test_values_that_json_does_not_know_become_text(run):
    write_record(run.record, record(run, results={"chain_results": {"x": object}}))

    assert "object" in read_record(run.record).results["chain_results"]["x"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"firex_id": 3}'])
def test_a_file_that_is_no_record_is_said_to_be_none(tmp_path, text):
    file = tmp_path / "run.json"
    file.write_text(text)

    with pytest.raises(ValueError, match=r"no record of a run|Expecting value"):
        read_record(file)
