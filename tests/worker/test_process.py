"""Commands of tasks that workers run: told to monitors, ended with their task whatever ends that."""

import os
from pathlib import Path

import psutil
import pytest
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from firexkit.firex_exceptions import FireXCalledProcessError
from firexkit.revoke import revoke_result
from unit.process_support import processes_in
from worker.apps import commands as tasks
from worker.ear import Ear
from worker.rig import Worker, runs, wait_until

APP = "worker.apps.commands"
OWN_QUEUE = f"{APP}.own"
TREE = """
setsid sh -c "trap '' TERM; sleep 1000; sleep 1000" &
timeout 1000 sleep 1001 &
(sleep 1002 &)
trap '' TERM
echo $$
wait
wait
"""
"""A command of six processes: stubborn ones, and some that have a session, a group, or no parent of their own."""

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(params=["prefork", "threads"])
def ear_of_any(request, worker_for):
    with Ear(worker_for(APP, pool=request.param, options=("-E",)).app) as ear:
        yield ear


@pytest.fixture
def ear(worker_for):
    with Ear(worker_for(APP, options=("-E",)).app) as ear:
        yield ear


def told(ear, result):
    """What monitors are told of the one command of a task: at its start, and at its end."""
    wait_until(result.ready, 20, what=f"end of {result.id}")
    # A revoked task may be marked as such before its body has ended.
    wait_until(lambda: len(ear.of_type("task-send-flame", result.id)) == 2, what="the end of the command to be told")
    begin, end = (event["external_commands"] for event in ear.of_type("task-send-flame", result.id))
    assert len(begin) == 1
    assert begin.keys() == end.keys()
    return *begin.values(), *end.values()


def family_in(output):
    """All processes of the command that prints to this file."""
    root = int(wait_until(lambda: output.exists() and output.read_text(), what="the command's start"))
    session = (process for process in psutil.process_iter() if _session(process) == root)
    family = {*session, *psutil.Process(root).children(recursive=True)}
    return family if len(family) == 6 else None


def _session(process):
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


@pytest.fixture
def start_tree(tmp_path):
    """`start_tree(task)`: the result of the task, and the processes of the command that it runs."""
    everybody = set()

    def start_tree(task):
        output = tmp_path / "output"
        result = task.delay(TREE, output_file=str(output), cwd=str(tmp_path))
        family = wait_until(lambda: family_in(output), what="the whole tree")
        everybody.update(family)
        return result, family

    yield start_tree
    for process in everybody:
        if runs(process):
            process.kill()


def wait_for_end_of(family, directory):
    """All of the family end, and nothing that they started meanwhile runs on where they ran."""
    wait_until(lambda: not any(map(runs, family)), what=f"the end of {family}")
    wait_until(lambda: not processes_in(directory), what=f"the end of {processes_in(directory)}")


# ── told ─────────────────────────────────────────────────────────────────────────────────


def test_monitors_are_told_of_a_command(ear_of_any, tmp_path):
    """Its start and its end, under its id; whatever pool the worker has."""
    result = tasks.command.delay("echo out; echo $TOKEN", env={"TOKEN": "hunter2"}, cwd=str(tmp_path))
    begin, end = told(ear_of_any, result)

    assert result.get()["output"] == "out\nhunter2\n"
    assert (begin["cmd"], begin["cwd"]) == ("echo out; echo $TOKEN", str(tmp_path))
    assert begin["start_time"] <= end["end_time"]
    assert (end["result"]["completed"], end["result"]["returncode"]) == (True, 0)
    assert end["result"]["output"] == "out\n***\n"


def test_a_failed_command_is_the_cause_of_its_tasks_failure(ear_of_any):
    """The error travels with the exit code and the output."""
    result = tasks.command.delay("echo why; exit 3")
    _, end = told(ear_of_any, result)

    assert end["result"]["returncode"] == 3
    assert isinstance(result.result, FireXCalledProcessError)
    assert (result.result.returncode, result.result.output) == (3, "why\n")


def test_commands_run_side_by_side(worker_for, tmp_path):
    """In a pool of threads each command ends by itself, and a limit ends only one."""
    worker_for(APP, pool="threads")
    slow = tasks.command.delay(f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo slow")
    late = tasks.command.delay("sleep 60", timeout=0.2)
    late.get(timeout=10, propagate=False)
    (tmp_path / "go").touch()

    assert slow.get(timeout=10)["output"] == "slow\n"
    assert late.state == "FAILURE"


@pytest.fixture
def logging_worker(server, tmp_path):
    """A worker with a log file, and a queue of its own."""
    worker = Worker(
        APP, tmp_path, concurrency=1, options=("-E", "-Q", OWN_QUEUE, "--logfile", str(tmp_path / "main.log"))
    )
    worker.log = tmp_path / "main.log"
    yield worker.start()
    worker.kill()


def test_the_output_is_beside_the_tasks_log(logging_worker):
    """Monitors are told the place, and the task's log tells it, too."""
    with Ear(logging_worker.app) as ear:
        result = tasks.command.apply_async(("echo out",), queue=OWN_QUEUE)
        begin, _ = told(ear, result)
        (started,) = ear.of_type("task-started-info", result.id)
    output, log = Path(begin["output_file"]), Path(started["log_filepath"])

    assert (output.parent, output.read_text()) == (log.parent, "out\n")
    assert f"its output in {output}" in log.read_text()


# ── ended ────────────────────────────────────────────────────────────────────────────────


def test_a_command_ends_with_its_revoked_task(ear, start_tree, tmp_path):
    """All of its tree, the stubborn ones too; and monitors are told that it did not come to its end."""
    result, family = start_tree(tasks.command)
    revoke_result(result)
    wait_for_end_of(family, tmp_path)
    _, end = told(ear, result)

    assert result.state == "REVOKED"
    assert (end["result"]["completed"], end["result"]["timeout"], end["result"]["inactive"]) == (False, False, False)


def test_a_command_ends_at_the_soft_time_limit(worker_for, start_tree, tmp_path):
    """The task fails with it when all are gone."""
    worker_for(APP)
    result, family = start_tree(tasks.softly_limited)
    result.get(timeout=20, propagate=False)

    assert not any(map(runs, family))
    assert not processes_in(tmp_path)
    assert isinstance(result.result, SoftTimeLimitExceeded)


def test_a_command_ends_at_the_hard_time_limit(worker_for, start_tree, tmp_path):
    """The process of the pool is killed and can do nothing; the command does not outlive it."""
    worker_for(APP)
    result, family = start_tree(tasks.limited)
    result.get(timeout=20, propagate=False)
    wait_for_end_of(family, tmp_path)

    assert isinstance(result.result, TimeLimitExceeded)


def test_a_command_ends_with_a_killed_process_of_the_pool(worker_for, tmp_path):
    """As when memory runs out; not even its temporary output file stays."""
    worker_for(APP, env={"TMPDIR": str(tmp_path)})
    tasks.command.delay("sleep 1000 & sleep 1001 & echo $$ > pid; wait", cwd=str(tmp_path))
    root = psutil.Process(int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())))
    family = [root, *root.children()]
    assert len(list(tmp_path.glob("firex-command-*"))) == 1
    root.parent().kill()
    wait_for_end_of(family, tmp_path)

    wait_until(lambda: not list(tmp_path.glob("firex-command-*")), what="the end of the temporary file")
