"""`firex run`: what is printed, recorded and returned."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from firexkit.uid import is_run_id
from product.firex import Home


def test_a_run_that_does_nothing(home: Home):
    done = home.firex("run", "nop")

    assert (done.returncode, done.stderr) == (0, "")
    first, second, *rest = done.stdout.splitlines()
    assert is_run_id(first.removeprefix("FireX ID: "))
    assert second == f"Logs: {home.latest}"
    assert [line.split()[1:3] for line in rest[:2]] == [["▶", "nop"], ["✔", "nop"]]
    assert rest[2:] == ["All tasks succeeded"]


def test_results_of_the_chain_are_printed_and_recorded(home: Home):
    done = home.firex("run", "double,nop", "-t", "work.py", "--size", "21")

    assert done.returncode == 0
    assert "Returned values:\n  doubled = 42\n" in done.stdout
    record = home.record()
    assert record["results"]["chain_results"] == {"doubled": 42}
    assert (record["chain"], record["inputs"]) == (["double", "nop"], {"size": 21})


def test_the_record_has_what_users_of_the_reference_read(home: Home):
    home.firex("run", "nop")
    record = home.record()

    assert is_run_id(record["firex_id"])
    assert record["logs_path"] == str(home.latest)
    assert record["submission_cmd"][1:] == ["run", "nop"]
    assert record["submission_dir"] == str(home.path)
    assert (record["completed"], record["revoked"], record["returncode"]) == (True, False, 0)
    assert record["submit_proc_start_timestamp"] <= record["completed_timestamp"]
    assert record["results"] == {"chain_results": {}, "unsuccessful_services": {}}
    assert (record["viewers"], record["revoked_details"]) == ({}, None)
    assert record["submission_host"]


def test_a_failure_comes_root_cause_first(home: Home):
    done = home.firex("run", "outer,nop", "-t", "work.py")

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "work.fail failed: ValueError: nothing <i>works</i>"
    assert f'{home.path}/work.py", line' in done.stderr
    assert "celery" not in done.stderr.partition("its log")[0]
    (log,) = [line.split(": ", 1)[1] for line in lines if "its log: " in line]
    assert "nothing &lt;i&gt;works&lt;/i&gt;" in Path(log).read_text()
    assert "  and with it failed: outer" in lines
    assert "Never began: nop" in lines
    unsuccessful = home.record()["results"]["unsuccessful_services"]
    assert unsuccessful == {"failed": ["outer failed: nothing <i>works</i>"], "not_run": ["nop"]}


def test_a_task_may_choose_the_exit_code(home: Home):
    assert home.firex("run", "fail", "-t", "work.py", "--code", "42").returncode == 42
    assert home.record()["returncode"] == 42


def test_logs_are_pages_in_which_every_value_is_escaped(home: Home):
    home.firex("run", "fail", "-t", "work.py")
    worker = next(iter(home.latest.glob("microservice_logs/mc@*.html")))
    (task,) = home.latest.glob("microservice_logs/mc@*/work.fail_*.html")

    for page in (worker.read_text(), task.read_text()):
        assert page.startswith("<!doctype html>")
        assert "&lt;b&gt;about to fail&lt;/b&gt;" in page
        assert "<b>" not in page
    assert f'class="debug task_started" id="{home.latest.name}"' in task.read_text()


def test_nobody_else_can_read_a_run(home: Home):
    home.firex("run", "parent", "-t", "work.py")
    modes = {(path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in home.latest.rglob("*")}

    assert modes == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE(home.latest.stat().st_mode) == 0o700


def test_a_task_knows_its_run(home: Home):
    home.firex("run", "identity", "-t", "work.py")
    run = home.latest.name

    assert home.record()["results"]["chain_results"] == {
        "uid": run,
        "same": True,
        "user": run.split("-")[1],
        "logs": str(home.latest),
    }


GIVEN = {
    "--flag": "True, 0, 0.0, [], PosixPath('.'), 'safe', None, 0, {}, None",
    "--size 7 --ratio 0.5": "False, 7, 0.5, [], PosixPath('.'), 'safe', None, 0, {}, None",
    "--names a,b --where /x": "False, 0, 0.0, ['a', 'b'], PosixPath('/x'), 'safe', None, 0, {}, None",
    "--mode fast --maybe 3 --either 5": "False, 0, 0.0, [], PosixPath('.'), 'fast', 3, 5, {}, None",
    '--table {"a":1} --either five --plain 5': "False, 0, 0.0, [], PosixPath('.'), 'safe', None, 'five', {'a': 1}, '5'",
}


@pytest.mark.parametrize("words", GIVEN)
def test_text_becomes_what_the_task_is_annotated_with(home: Home, words: str):
    home.firex("run", "types", "-t", "work.py", *words.split())

    assert home.record()["results"]["chain_results"]["got"] == f"({GIVEN[words]})"


def test_arguments_may_come_from_a_file_and_the_line_wins(home: Home):
    (home.path / "args.json").write_text(json.dumps({"size": 3, "names": ["x"]}))
    home.firex("run", "types", "-t", "work.py", "--args", "args.json", "--size", "4")

    assert home.record()["inputs"] == {"size": 4, "names": ["x"]}


def test_the_project_may_say_where_tasks_are(home: Home):
    (home.path / "pyproject.toml").write_text('[tool.firex]\ntasks = ["work.py"]\n')

    assert home.firex("run", "double", "--size", "1").returncode == 0
    assert "work.double" in home.firex("list").stdout


def test_an_argument_that_is_called_as_an_option_goes_behind_two_dashes(home: Home):
    done = home.firex("run", "taken", "-t", "work.py", "--text", "-tearing", "--", "--queue", "mine")

    assert (done.returncode, done.stderr) == (0, "")
    assert "taken = 'mine -tearing'" in done.stdout
    assert "-- --queue" in home.firex("run", "taken", "-t", "work.py", "--help").stdout


def test_an_option_that_may_have_been_meant_as_an_argument_is_told(home: Home):
    done = home.firex("run", "taken", "-t", "work.py", "--queue", "mine")

    assert "taken = 'none none'" in done.stdout
    assert "--queue was taken as an option of firex run; the argument of taken goes after --" in done.stderr


def test_quiet_prints_what_was_returned_or_what_went_wrong(home: Home):
    well = home.firex("run", "double,nop", "-t", "work.py", "--size", "21", "--quiet")
    badly = home.firex("run", "fail", "-t", "work.py", "--code", "7", "-q")

    assert (well.returncode, well.stdout, well.stderr) == (0, "doubled = 42\n", "")
    assert (badly.returncode, badly.stdout) == (7, "")
    assert badly.stderr.startswith("work.fail failed: FireXReturnCodeException: as asked")


def test_programs_get_a_json_object_a_line(home: Home):
    done = home.firex("run", "parent", "-t", "work.py", "--json-lines")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    first, *changes, last = told

    assert (done.returncode, done.stderr) == (0, "")
    assert (first["event"], first["chain"], first["logs"]) == ("run-begins", ["parent"], str(home.latest))
    assert {one["run"] for one in told} == {home.latest.name}
    assert {one["event"] for one in changes} == {"task-changed"}
    assert [one["state"] for one in changes if one["depth"] == 0][-1] == "succeeded"
    children = [one for one in changes if one["name"] == "work.child"]
    assert {(one["parent"], one["depth"]) for one in children} == {(home.latest.name, 1)}
    assert (last["event"], last["returncode"], last["results"]) == ("run-ends", 0, {"count": 2})


def test_programs_are_told_of_failures(home: Home):
    done = home.firex("run", "outer,nop", "-t", "work.py", "--json-lines")
    last = json.loads(done.stdout.splitlines()[-1])

    assert (done.returncode, last["returncode"], last["not_run"], done.stderr) == (1, 1, ["nop"], "")
    assert [(one["name"], one["error"]) for one in last["failures"]] == [
        ("work.fail", "ValueError: nothing <i>works</i>")
    ]


def test_there_is_one_way_to_be_told_of_a_run(home: Home):
    done = home.firex("run", "nop", "--quiet", "--json-lines")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--quiet and --json-lines do not go together" in done.stderr


def test_two_runs_at_once(home: Home):
    runs = [home.start("run", "parent", "-t", "work.py", "--seconds", "0.3") for _ in range(2)]

    assert [run.wait(60) for run in runs] == [0, 0]
    ids = {re.search("FireX ID: (.*)", run.communicate()[0]).group(1) for run in runs}
    assert len(ids) == 2


def test_help_tells_the_arguments_of_a_chain(home: Home):
    told = home.firex("run", "parent", "-t", "work.py", "--help")

    assert told.returncode == 0
    assert re.search(r"--children +int +2 +how many\.", told.stdout)
    assert re.search(r"--seconds +float .* how long each of them takes\.", told.stdout)


def test_list_and_info(home: Home):
    assert re.search("^work.fail +Fail, with an exit code", home.firex("list", "-t", "work.py").stdout, re.M)
    assert re.search("^size +int", home.firex("list", "--arguments", "-t", "work.py").stdout, re.M)
    assert "size: int, required" in home.firex("info", "double", "-t", "work.py").stdout
    assert "taken by: double, types" in home.firex("info", "size", "-t", "work.py").stdout
    assert home.firex("info", "^work\\.d", "-t", "work.py").stdout.startswith("work.double")
    assert home.firex("info", "nothing", "-t", "work.py").returncode == 2
