"""Whatever dies in mid-run: what the user sees, and that nothing lives ten seconds later."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import psutil
import pytest

from firexkit.broker_address import bare, password_in
from firexkit.runtime.server import Server
from product.firex import Home, eventually, kill_worker

TEN_SECONDS = 10
"""When nothing of the run may be alive any more. What the command takes on a loaded machine is another matter."""
PATIENCE = 60


def started(home: Home, *words: str) -> subprocess.Popen[str]:
    """A run whose children are at work."""
    run = home.start("run", "parent", "-t", "work.py", *words)
    both_at_work(home)
    return run


def both_at_work(home: Home) -> None:
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and notes.read_text().count("child mc") == 2, what="two children at work")


def the(home: Home, named: str) -> psutil.Process:
    (process,) = home.processes(named)
    return process


def notes(home: Home) -> list[str]:
    return [line for line in (home.path / "notes").read_text().splitlines() if "cleaned" in line]


def gone(home: Home) -> None:
    eventually(lambda: not home.leftovers(), TEN_SECONDS, "nothing of the run is alive")


def test_the_submitting_process(home: Home):
    run = started(home, "--seconds", "60")
    run.kill()
    run.communicate()
    gone(home)

    record = home.record()
    assert (record["completed"], record["revoked"], record["returncode"]) == (True, True, 137)
    assert record["revoked_details"]["reason"] == "the submitting process was killed"
    assert sorted(notes(home)) == ["child cleaned up", "child cleaned up", "parent cleaned up"]
    assert "REVOKED" in home.firex("ps").stdout
    assert home.firex("wait", "latest").returncode == 137


def test_the_workers_main_process(home: Home):
    """What it was running goes on, and what waits for that; nothing runs twice."""
    run = started(home, "--seconds", "4")
    the(home, ":MainProcess]").kill()
    output, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 0, errors
    assert "was killed by SIGKILL; a new one was started, what it was running goes on" in errors
    assert "count = 2" in output
    assert (home.path / "notes").read_text().count("child mc") == 2
    gone(home)


def test_a_run_that_is_ended_after_its_worker_died(home: Home):
    """What goes on without its main process hears of the revocation, and cleans up."""
    run = started(home, "--seconds", "60")
    the(home, ":MainProcess]").kill()
    eventually(lambda: home.processes(":MainProcess]"), what="another worker")
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=PATIENCE)

    assert run.returncode == 130
    assert sorted(notes(home)) == ["child cleaned up", "child cleaned up", "parent cleaned up"]
    gone(home)


def test_the_whole_worker(home: Home):
    """What it was running has failed, with it what waited for that; nothing else is lost."""
    run = started(home, "--seconds", "60")
    kill_worker(the(home, ":MainProcess]"))
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 1
    assert "was lost: the main process of the worker" in errors
    assert home.record()["results"]["unsuccessful_services"]["failed"]
    gone(home)


def test_the_whole_worker_while_a_task_waits_for_its_retry(home: Home):
    """The retry comes; what ran, also from another queue, has failed."""
    run = home.start("run", "impatient", "-t", "work.py")
    notes = home.path / "notes"
    eventually(lambda: notes.exists() and {"attempt 0", "aside"} <= {*notes.read_text().splitlines()})
    kill_worker(the(home, ":MainProcess]"))
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 1
    assert "work.aside: WorkerLostError" in errors, errors
    assert "zombie" not in errors
    gone(home)


def test_the_submitting_process_with_a_broker_that_others_share(home: Home, broker: Server):
    """The password is not kept, and nothing of the run's queue stays on the broker."""
    (home.path / "password").write_text(password_in(broker.url))
    run = started(home, "--seconds", "60", "--broker", bare(broker.url), "--password-file", "password")
    run.kill()
    run.communicate()
    gone(home)

    assert home.record()["returncode"] == 137
    assert not list(home.latest.rglob("broker-*"))
    with broker.client() as client:
        assert not [key for key in client.keys("*") if b"queue-FireX" in key]


def test_the_server(home: Home):
    """It is started again on its data, and the run goes on."""
    run = started(home, "--seconds", "4")
    the(home, "valkey-server").kill()
    output, errors = run.communicate(timeout=60)

    assert run.returncode == 0
    assert "the private Valkey ended; it was started again on its data" in errors
    assert "count = 2" in output
    gone(home)


def test_the_supervisor(home: Home):
    run = started(home, "--seconds", "60")
    the(home, " supervisor").kill()
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 1
    assert "The run failed: the run's supervisor is gone" in errors
    gone(home)


def test_submitter_and_supervisor_together(home: Home):
    run = started(home, "--seconds", "60")
    supervisor = the(home, " supervisor")
    run.kill()
    supervisor.kill()
    run.communicate()
    # With both gone nobody is left to remove the scratch directory of the pool, which is empty.
    eventually(lambda: not home.processes(), TEN_SECONDS, "nothing of the run is alive")
    scratch = [path for path in (home.path / "tmp").iterdir() if path.name.startswith("pymp-")]
    for path in scratch:
        path.rmdir()
    gone(home)

    assert "LOST" in home.firex("ps").stdout
    assert home.firex("wait", "latest").returncode == 1


def test_a_process_of_the_pool(home: Home):
    run = started(home, "--seconds", "5")
    busy = next(process for process in home.processes("ForkPoolWorker") if _runs(home, process))
    busy.kill()
    _, errors = run.communicate(timeout=60)

    assert run.returncode == 1
    assert "WorkerLostError" in errors
    gone(home)


def _runs(home: Home, process: psutil.Process) -> bool:
    """Whether a process of the pool runs a task now: its page is open."""
    return any("work.child" in file.path for file in process.open_files())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_revokes_children_first_lets_them_clean_up_and_is_recorded(home: Home, number: signal.Signals):
    run = started(home, "--seconds", "60")
    run.send_signal(number)
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 128 + number
    assert notes(home) == ["child cleaned up", "child cleaned up", "parent cleaned up"]
    assert f"The run was stopped: {number.name}" in errors
    record = home.record()
    assert (record["revoked"], record["returncode"]) == (True, 128 + number)
    assert record["revoked_details"]["reason"] == number.name
    gone(home)


def test_closing_the_terminal(home: Home):
    """Nobody can be told any more; the tasks clean up all the same, and it is recorded."""
    ours, its = pty.openpty()
    pipes = {"stdin": its, "stdout": its, "stderr": its}
    run = home.start("run", "parent", "-t", "work.py", "--seconds", "60", start_new_session=True, **pipes)
    os.close(its)
    both_at_work(home)
    os.close(ours)
    run.send_signal(signal.SIGHUP)
    run.wait(PATIENCE)
    gone(home)

    assert sorted(notes(home)) == ["child cleaned up", "child cleaned up", "parent cleaned up"]
    assert home.record()["revoked_details"]["reason"] == "SIGHUP"


def test_a_run_under_nohup_hears_no_hangup(home: Home):
    run = home.start("run", "parent", "-t", "work.py", "--seconds", "2", preexec_fn=ignore_hangup)
    both_at_work(home)
    run.send_signal(signal.SIGHUP)
    output, _ = run.communicate(timeout=PATIENCE)

    assert run.returncode == 0
    assert "count = 2" in output


def ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_the_same_signal_twice_in_a_moment_is_one(home: Home):
    run = started(home, "--seconds", "60")
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=PATIENCE)

    assert notes(home) == ["child cleaned up", "child cleaned up", "parent cleaned up"]
    assert home.record()["revoked_details"]["reason"] == "SIGTERM"


def test_a_second_ctrl_c_ends_it_at_once(home: Home):
    (home.path / "stubborn.py").write_text(
        "import time\nfrom firexkit import FireX\napp = FireX('stubborn')\n"
        "@app.task\ndef stubborn():\n    try:\n        open('notes', 'w').write('child mc@ child mc@')\n"
        "        time.sleep(60)\n    finally:\n        time.sleep(60)\n"
    )
    run = home.start("run", "stubborn", "-t", "stubborn.py")
    eventually((home.path / "notes").exists)
    run.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in os.read(run.stderr.fileno(), 4096).decode(), what="it is stopping")
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=PATIENCE)

    assert run.returncode == 130
    assert home.record()["revoked_details"]["reason"] == "ended at once"
    gone(home)


def test_a_task_that_exits_has_failed(home: Home):
    """It does so by any `main()` that it calls, and nobody waits for it."""
    (home.path / "leaving.py").write_text(
        "import sys\nfrom firexkit import FireX\napp = FireX('leaving')\n@app.task\ndef leave():\n    sys.exit(3)\n"
    )
    done = home.firex("run", "leave", "-t", "leaving.py")

    assert done.returncode == 1
    assert "leaving.leave failed: TaskExitError: leaving.leave called for the end of its process" in done.stderr
    assert 'leaving.py", line 6, in leave' in done.stderr


def test_output_that_nobody_reads(home: Home):
    """Neither a reader that leaves nor a closed output is a matter of the run."""
    run = home.start("run", "parent", "-t", "work.py")
    run.stdout.close()
    run.wait(PATIENCE)
    run.stderr.close()
    silent = home.start("run", "parent", "-t", "work.py", preexec_fn=lambda: os.close(1), stdout=None)
    silent.communicate(timeout=PATIENCE)
    alone = home.start("run", "parent", "-t", "work.py", preexec_fn=lambda: os.closerange(0, 3))
    alone.communicate(timeout=PATIENCE)

    assert (run.returncode, silent.returncode, alone.returncode) == (0, 0, 0)


def test_a_worker_that_cannot_start_is_told_at_once(home: Home):
    """Nobody waits for a worker that is dead."""
    (home.path / "broken.py").write_text(
        "import os\nfrom celery.signals import worker_init\nfrom firexkit import FireX\napp = FireX('broken')\n"
        "@worker_init.connect\ndef die(**_):\n    print('no licence', flush=True)\n    os._exit(3)\n"
        "@app.task\ndef never():\n    pass\n"
    )
    done = home.firex("run", "never", "-t", "broken.py")

    assert done.returncode == 1
    assert "ended with exit code 3 while starting" in done.stderr
    assert "no licence" in done.stderr
    assert "Traceback" not in done.stderr
