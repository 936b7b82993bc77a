"""Commands, run from this process: outside a task, and inside one that an eager app runs."""

import contextlib
import json
import logging
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import tracemalloc
from pathlib import Path

import psutil
import pytest

from firexkit.firex_exceptions import FireXCalledProcessError, FireXInactivityTimeoutExpired
from firexkit.process import check_call, check_output, environment, run, running
from unit.process_support import lives, processes_in
from unit.task_support import eager_app, events_of, hearing_class, inside, worker_log

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path, monkeypatch):
    """No test leaves a process, a thread, a descriptor or a temporary file behind; each has a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    others = psutil.Process().children()
    before = threading.active_count(), psutil.Process().num_fds()
    yield

    assert processes_in(tmp_path) == []
    assert psutil.Process().children() == others
    assert (threading.active_count(), psutil.Process().num_fds()) == before
    assert list((tmp_path / "temporary").iterdir()) == []


def told_pids(text):
    return [int(word) for word in text.split() if word.isdigit()]


# ── what comes back ──────────────────────────────────────────────────────────────────────


def test_a_text_goes_to_the_shell():
    """It may have pipes and variables; both streams come back in one."""
    result = run("echo one | tr o 0; echo two >&2; exit 3")

    assert (result.returncode, result.output, result.stdout) == (3, "0ne\ntwo\n", "0ne\ntwo\n")
    assert (result.output_truncated, result.stderr, result.output_file) == (False, None, None)


@pytest.mark.parametrize("command", [["echo", "$HOME *"], ("/bin/echo", "$HOME *")])
def test_a_list_goes_to_the_program(command):
    """No shell changes its words."""
    assert check_output(command) == "$HOME *\n"


def test_a_path_is_a_program():
    """It needs no list around it."""
    assert check_call(Path(shutil.which("true"))) == 0


def test_streams_apart():
    """The standard error comes back on its own, and the file has both."""
    result = run("echo one; echo two >&2", separate_stderr=True, output_file="both.txt")

    assert (result.output, result.stderr) == ("one\n", "two\n")
    assert sorted(result.output_file.read_text().split()) == ["one", "two"]


def test_the_last_characters_come_back():
    """As many as were asked for; a character is not a byte."""
    result = run("printf 'äöüäöü'", max_output=2)

    assert (result.output, result.output_truncated) == ("öü", True)


def test_all_of_the_output():
    """Nothing is left out when no limit is set."""
    assert len(check_output("head -c 100000 /dev/zero", max_output=None)) == 100_000


def test_bytes_that_are_no_text():
    """They are replaced; the rest stays as it is."""
    assert check_output(r"printf 'a\377b\r\n\303'") == "a\ufffdb\r\n\ufffd"


def test_a_character_in_two_reads_is_one():
    """It is put together again."""
    assert check_output(r"printf '\303'; sleep 0.1; printf '\244'") == "ä"


@pytest.mark.parametrize("text", ["a" * 1_000_000, b"a" * 1_000_000])
def test_input(text):
    """What a command is given to read may be longer than what a pipe holds."""
    assert check_output("wc -c", input=text).strip() == "1000000"


def test_input_that_is_not_read():
    """A command need not read what it gets."""
    assert check_output("exec <&-; echo done", input="a" * 1_000_000) == "done\n"


def test_without_input_there_is_nothing_to_read():
    """It does not wait for somebody to type."""
    assert check_output("cat") == ""


def test_a_flood_needs_no_memory():
    """However much is printed, only its end is kept."""
    tracemalloc.start()
    try:
        result = run("head -c 200000000 /dev/zero", output_file=os.devnull, secrets=["hunter2"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (len(result.output), result.output_truncated) == (32_000, True)
    assert peak < 5_000_000


# ── errors ───────────────────────────────────────────────────────────────────────────────


def test_a_bad_end_is_an_error_if_asked():
    """It tells the command, how it ended and what it printed."""
    with pytest.raises(FireXCalledProcessError, match=r"(?s)echo why; exit 3: exit code 3.*why") as failed:
        check_output("echo why; exit 3")

    assert (failed.value.returncode, failed.value.output) == (3, "why\n")


def test_an_end_by_a_signal():
    """The return code is minus its number, as in subprocess."""
    assert run("kill -KILL $$").returncode == -9


@pytest.mark.parametrize(
    ("command", "options", "error", "text"),
    [
        (
            ["no-such-program", "-x"],
            {},
            FileNotFoundError,
            r"cannot start no-such-program -x \(in .*no such program.*looked for in ",
        ),
        (["ls"], {"cwd": "nowhere"}, FileNotFoundError, r"cannot start ls \(in .*nowhere\): .*no such directory"),
        (["./file"], {}, PermissionError, r"cannot start ./file \(in .*Permission denied"),
        (["ls"], {"output_file": "nowhere/out"}, FileNotFoundError, "make the directory nowhere first"),
        ("yes", {"output_file": "/dev/full"}, OSError, "cannot write the command's output to /dev/full: No space"),
        ([], {}, ValueError, "the command is empty"),
        (["sleep", 1], {}, TypeError, "int"),
        (["a\0b"], {}, ValueError, "null byte"),
    ],
)
def test_a_command_that_cannot_be_run(tmp_path, command, options, error, text):
    """The error says what, where and why."""
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(error, match=text):
        run(command, **options)


# ── limits ───────────────────────────────────────────────────────────────────────────────


def test_a_command_that_takes_too_long():
    """It is ended, and the error has what it printed; also what it said of its end."""
    with pytest.raises(subprocess.TimeoutExpired) as expired:
        run("trap 'echo end; exit' TERM; echo begin; while :; do sleep 60 & wait; done", timeout=1)

    assert (expired.value.timeout, expired.value.output) == (1, "begin\nend\n")


def test_a_silent_command():
    """It is ended when it has printed nothing for too long, however long it ran before."""
    with pytest.raises(FireXInactivityTimeoutExpired, match=r"(?s)no console output for 0.5 seconds.*12345"):
        run("for i in 1 2 3 4 5; do printf $i; sleep 0.2; done; sleep 60", inactivity_timeout=0.5)


def test_a_flood_does_not_outlast_the_total_limit():
    """Who prints all the time is not silent, but may take too long."""
    with pytest.raises(subprocess.TimeoutExpired):
        run("cat /dev/zero", timeout=0.3, output_file=os.devnull)


def test_the_whole_tree_is_ended(monkeypatch):
    """Also who does not want to end, made a session or a group of its own, or lost its parent, even just now."""
    monkeypatch.setattr(running, "GRACE", 0.3)
    Path("stubborn").write_text("trap '' TERM; echo $$; while :; do sleep 60; done")
    script = "setsid sh stubborn & timeout 60 sh stubborn & (sh stubborn &); echo $$; exec sleep 60"
    with pytest.raises(subprocess.TimeoutExpired) as expired:
        run(script, timeout=1)
    pids = told_pids(expired.value.output)

    assert len(pids) == 4
    assert not any(map(lives, pids))


def test_what_a_command_leaves_behind_is_ended(caplog):
    """A background process that holds the output open delays the end a little, and goes; the log says so."""
    caplog.set_level(logging.WARNING, logger="firexkit.process")
    result = run("(trap 'echo end' TERM; echo begun; sleep 60) & sleep 60 & echo $!")
    *_, pid = told_pids(result.output)

    assert result.returncode == 0
    assert not lives(pid)
    assert "ending what a command left running: " in caplog.text


def test_a_daemon_is_left_alone():
    """Who made a session for itself, and let go of the output, was to stay."""
    pid = int(check_output("setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1 </dev/null' &"))
    try:
        assert lives(pid)
    finally:
        daemon = psutil.Process(pid)
        daemon.kill()
        daemon.wait()


def test_what_still_prints_after_the_end_is_read():
    """A background process may end what it is about to say."""
    assert check_output("(sleep 0.2; echo late) & echo early") == "early\nlate\n"


class StoppedError(Exception):
    """What a handler of a signal raises in these tests."""


@pytest.fixture
def raising_alarm():
    """SIGALRM raises in the main thread, as the signal does by which Celery tells that a task is revoked."""

    def stop(*_):
        raise StoppedError

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.signal(signal.SIGALRM, before)


def stop_when_ready() -> None:
    """Send the signal as soon as the command says that it is ready for it."""
    while not (Path("out.txt").exists() and "ready" in Path("out.txt").read_text()):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGALRM)


@pytest.mark.usefixtures("raising_alarm")
def test_an_exception_ends_the_command():
    """Whatever a signal raises while we wait: it comes out when the command has ended."""
    threading.Thread(target=stop_when_ready).start()
    with pytest.raises(StoppedError):
        run("echo $$; trap 'echo end; exit' TERM; echo ready; while :; do sleep 60 & wait; done", output_file="out.txt")
    pid, *said = Path("out.txt").read_text().split()

    assert said == ["ready", "end"]
    assert not lives(int(pid))


def test_two_threads_run_commands():
    """They do not end each other's, nor wait for them."""
    results = {}

    def body(name):
        results[name] = check_output(f"sleep 0.2; echo {name}")

    threads = [threading.Thread(target=body, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {str(number): f"{number}\n" for number in range(4)}


# ── the output file ──────────────────────────────────────────────────────────────────────


def test_the_output_file_can_be_followed():
    """What is printed stands in it while the command runs."""
    result = run("echo one; until grep one out.txt; do sleep 0.05; done", output_file="out.txt", timeout=10)

    assert result.output == "one\none\n"
    assert result.output_file == Path("out.txt").absolute()
    assert result.output_file.read_text() == result.output


def test_the_output_file_is_the_owners():
    """Nobody else may read it; what was in it before is gone."""
    Path("old.txt").write_text("a long old text")
    files = [run("echo new", output_file=name).output_file for name in ("new.txt", "old.txt")]

    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert [file.read_text() for file in files] == ["new\n", "new\n"]


# ── inside a task ────────────────────────────────────────────────────────────────────────


def told_by(*args, **kwargs):
    """What observers of a task are told, in order, while it runs a command; and the command's id."""
    hearing, heard = hearing_class()
    with contextlib.suppress(subprocess.SubprocessError):
        inside(eager_app(hearing), lambda _: run(*args, **kwargs))
    told = [fields["external_commands"] for fields in events_of(heard, "task-send-flame")]
    (command_id,) = {command_id for each in told for command_id in each}
    return [each[command_id] for each in json.loads(json.dumps(told))], command_id


def test_observers_are_told(tmp_path):
    """At its start, what runs where; at its end, when and how it ended."""
    before = time.time()
    (begin, end), _ = told_by("echo out; echo err >&2", output_file="out.txt", separate_stderr=True)

    assert before <= begin.pop("start_time") <= end.pop("end_time") <= time.time()
    assert begin == {
        "cmd": "echo out; echo err >&2",
        "cwd": str(tmp_path),
        "output_file": str(tmp_path / "out.txt"),
        "host": socket.gethostname(),
        "remote_host": None,
    }
    assert end == {
        "result": {
            "completed": True,
            "timeout": False,
            "inactive": False,
            "returncode": 0,
            "output": "out\n",
            "output_truncated": False,
            "stderr_output": "err\n",
            "stderr_output_truncated": False,
        }
    }


@pytest.mark.parametrize(
    ("script", "options", "ending"),
    [
        ("exit 3", {"check": True}, (True, False, False, 3)),
        ("sleep 60", {"timeout": 0.1}, (False, True, False, -15)),
        ("sleep 60", {"inactivity_timeout": 0.1}, (False, False, True, -15)),
    ],
)
def test_observers_are_told_of_a_bad_end(script, options, ending):
    """Whether it ended by itself, and what else ended it."""
    (_, end), _ = told_by(f"exec {script}" if "sleep" in script else script, **options)
    result = end["result"]

    assert (result["completed"], result["timeout"], result["inactive"], result["returncode"]) == ending


def test_observers_get_no_more_than_an_event_can_carry():
    """Even if the caller keeps all of the output."""
    (_, end), _ = told_by("head -c 50000 /dev/zero", max_output=None)

    assert (len(end["result"]["output"]), end["result"]["output_truncated"]) == (32_000, True)


def test_a_command_that_cannot_start_is_not_told():
    """Its error tells all there is."""
    hearing, heard = hearing_class()
    with pytest.raises(FileNotFoundError):
        inside(eager_app(hearing), lambda _: run(["no-such-program"]))

    assert events_of(heard, "task-send-flame") == []


def test_the_output_is_beside_the_tasks_log(tmp_path):
    """Each command has a file of its own there, and the log tells of it."""
    with worker_log(tmp_path / "logs" / "worker.log"):
        files = inside(eager_app(), lambda task: [Path(task.task_logfile), *(run("echo a").output_file for _ in "ab")])
    log, *outputs = files

    assert len(set(outputs)) == 2
    for output in outputs:
        assert (output.parent, output.read_text()) == (log.parent, "a\n")
        assert output.name.startswith(log.stem)
        assert stat.S_IMODE(output.stat().st_mode) == 0o600
        assert f"its output in {output}" in log.read_text()


# ── secrets ──────────────────────────────────────────────────────────────────────────────

SECRET = "it's hunter2"


def everything_about(caplog, command, **options):
    """All texts that there are of a command: the result or error, the file, the log, what observers are told."""
    caplog.set_level(logging.INFO)
    hearing, heard = hearing_class()
    texts = []

    def body(_):
        try:
            texts.append(repr(run(command, output_file="out.txt", **options)))
        except (subprocess.SubprocessError, OSError) as error:
            texts.extend(traceback.format_exception(error))
            texts.append(repr(error.args))

    Path(SECRET).mkdir()
    inside(eager_app(hearing), body)
    return "\n".join([*texts, Path("out.txt").read_text(), caplog.text, json.dumps(heard)])


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (["echo", SECRET], {}),
        (["echo", f"--password={SECRET}"], {"separate_stderr": True}),
        (f"echo {shlex.quote(SECRET)}", {}),
        (["sh", "-c", 'printf "%s" "it\'s hun"; sleep 0.2; echo ter2'], {}),
        (["sh", "-c", 'echo "$0"; exit 3', SECRET], {"check": True}),
        (["sh", "-c", 'echo "$0"; sleep 60', SECRET], {"timeout": 0.3}),
        (["sh", "-c", 'echo "$0" >&2; sleep 60', SECRET], {"inactivity_timeout": 0.3, "separate_stderr": True}),
        ([f"no-{SECRET}"], {}),
        (["pwd"], {"cwd": SECRET}),
        (["no-such-program"], {"cwd": SECRET}),
    ],
)
def test_a_secret_is_nowhere(caplog, command, options):
    """Not in the result, the error, the file, the log, or what observers are told; also if it comes in two pieces."""
    texts = everything_about(caplog, command, secrets=[SECRET], **options)

    assert "***" in texts
    assert "hunter2" not in texts


@pytest.mark.parametrize("given", ["by the task", "to the command"])
def test_a_secret_of_the_environment_is_told_to_the_caller_only(caplog, monkeypatch, given):
    """The result and the caller's own file have it; the log and observers do not."""
    monkeypatch.setenv("MY_TOKEN", "hunter2" if given == "by the task" else "another")
    caplog.set_level(logging.INFO)
    hearing, heard = hearing_class()
    env = None if given == "by the task" else environment() | {"MY_TOKEN": "hunter2"}
    result = inside(eager_app(hearing), lambda _: run("echo hunter2 $MY_TOKEN", env=env, output_file="out.txt"))

    assert result.output == Path("out.txt").read_text() == "hunter2 hunter2\n"
    assert "hunter2" not in caplog.text + json.dumps(heard) + result.command
    assert "*** ***\\n" in json.dumps(heard)


def test_a_secret_of_the_environment_is_not_in_the_file_beside_the_log(tmp_path, monkeypatch):
    """Others read that."""
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    with worker_log(tmp_path / "logs" / "worker.log"):
        result = inside(eager_app(), lambda _: run("echo $MY_TOKEN"))

    assert (result.output, result.output_file.read_text()) == ("hunter2\n", "***\n")


# ── the environment and what is inherited ────────────────────────────────────────────────


def test_a_command_gets_the_environment_without_what_leads_to_the_broker(monkeypatch):
    """It cannot reach the broker by itself."""
    ours = ("FIREX_BROKER", "FIREX_PASSWORD_FILE", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
    for name in (*ours, "HARMLESS"):
        monkeypatch.setenv(name, f"the-{name}")
    names = {line.partition("=")[0] for line in check_output(["env"]).splitlines()}

    assert not names & set(ours)
    assert "HARMLESS" in names
    assert environment().keys() == os.environ.keys() - set(ours)


def test_the_environment_that_is_given_is_all():
    """What the caller decides is what the command gets, even an address of the broker."""
    env = {"FIREX_BROKER": "redis://here", "PATH": os.environ["PATH"]}
    told = check_output(["env"], env=env)

    assert set(told.split()) == {f"{name}={value}" for name, value in env.items()}


def test_a_command_inherits_no_descriptors():
    """Whoever held our end of the pipe to the watcher would keep the command alive after us."""
    listed = check_output([PYTHON, "-c", "import os; print(*sorted(os.listdir('/proc/self/fd')))"])

    assert set(listed.split()) <= {"0", "1", "2", "3"}  # the third is that of the list itself


def test_a_command_runs_where_it_is_told(tmp_path):
    """A relative name counts from where we are."""
    Path("there").mkdir()

    assert check_output("pwd", cwd="there") == f"{tmp_path / 'there'}\n"
