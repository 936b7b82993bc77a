"""What can't be: one clear message, exit code 2, nothing started, nothing left."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from firexkit.broker_address import bare, password_in
from firexkit.runtime.server import Server
from product.firex import Home, eventually

WORK = ("-t", "work.py")

REFUSED = {
    "unknown task": (("run", "doubel", *WORK), "no task is called 'doubel'; did you mean double?"),
    "no task at all": (("run", ",", *WORK), "a chain needs the name of at least one task"),
    "argument before the chain": (("run", "--size", "3", *WORK), "the tasks to run come first"),
    "unknown argument": (
        ("run", "double", *WORK, "--siez", "3"),
        "--siez: no loaded task takes it; did you mean --size?",
    ),
    "missing argument": (("run", "double", *WORK), 'size: required by "double" (work.double)'),
    "dangling reference": (("run", "double", *WORK, "--size", "@width"), "size: @width"),
    "wrong type": (("run", "double", *WORK, "--size", "abc"), "--size: 'abc' is not a whole number"),
    "no value": (("run", "double", *WORK, "--size"), "--size needs a value"),
    "stray value": (("run", "double", *WORK, "--size", "3", "4"), "'4'"),
    "uid": (("run", "double", *WORK, "--size", "3", "--uid", "x"), "--uid is set by the run itself"),
    "missing file": (("run", "double", "-t", "nowhere.py"), "nowhere.py"),
    "missing module": (("run", "double", "-t", "nowhere.at.all"), "nowhere"),
    "missing arguments file": (("run", "double", *WORK, "--args", "nowhere.json"), "cannot read nowhere.json"),
    "missing plugin": (("run", "double", *WORK, "--size", "1", "--plugins", "nowhere.py"), "nowhere.py"),
    "no broker for --no-worker": (("run", "nop", "--no-worker"), "--no-worker needs a broker"),
    "broker that is none": (("run", "nop", "--broker", "amqp://x"), "its address must begin with one of redis://"),
    "unreachable broker": (("run", "nop", "--broker", "redis://127.0.0.1:1"), "does not answer"),
    "unreachable broker of a worker": (("worker", "--broker", "redis://127.0.0.1:1"), "does not answer"),
    "worker without broker": (("worker",), "a worker needs a broker"),
    "missing password file": (
        ("run", "nop", "--broker", "redis://127.0.0.1:1", "--password-file", "nowhere"),
        "cannot read the broker's password from nowhere",
    ),
    "unknown run": (("wait", "FireX-nobody"), "no run 'FireX-nobody' in"),
    "unknown run to stop": (("stop", "latest"), "no run 'latest' in"),
    "unknown command": (("rnu",), "No such command 'rnu'"),
    "priority": (("run", "nop", "--priority", "11"), "11 is not in the range 0<=x<=9"),
    "concurrency": (("run", "nop", "--concurrency", "0"), "0 is not in the range x>=1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_started(home: Home, case: str):
    words, message = REFUSED[case]
    done = home.firex(*words)

    assert message in done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (home.path / "runs").exists()


BROKEN = {
    "syntax": ("def broken(:\n", ["broken.py:1", "invalid syntax"]),
    "import": ("\nimport no_such_module\n", ["broken.py:2", "no_such_module"]),
    "exception": ("x = 1\n\nraise RuntimeError('not today')\n", ["broken.py:3", "RuntimeError: not today"]),
    "exit": ("import sys\nsys.exit(3)\n", ["broken.py:2"]),
}


def test_a_plain_celery_task_takes_no_arguments_by_name(home: Home):
    (home.path / "plain.py").write_text(
        "from celery import Task\nfrom firexkit import FireX\napp = FireX('plain')\n"
        "@app.task(base=Task)\ndef plain():\n    pass\n"
    )
    done = home.firex("run", "plain", "-t", "plain.py")

    assert done.returncode == 2
    assert "plain.plain is a plain Celery task" in done.stderr


@pytest.mark.parametrize("option", ["-t", "--plugins"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told_with_file_line_and_reason(home: Home, case: str, option: str):
    source, parts = BROKEN[case]
    (home.path / "broken.py").write_text(source)
    done = home.firex("run", "nop", option, "broken.py")

    assert done.returncode == 2
    assert [part for part in parts if part not in done.stderr] == []
    assert "Traceback" not in done.stderr


def test_a_short_name_of_two_tasks_is_asked_about(home: Home):
    for name in ("one", "two"):
        (home.path / f"{name}.py").write_text(
            f"from firexkit import FireX\napp = FireX('{name}')\n@app.task\ndef twin():\n    pass\n"
        )
    both = ("-t", "one.py", "-t", "two.py")
    done = home.firex("run", "twin", *both)

    assert done.returncode == 2
    assert "one.twin" in done.stderr
    assert "two.twin" in done.stderr
    assert home.firex("run", "two.twin", *both).returncode == 0


def test_a_wrong_password(home: Home, broker: Server):
    (home.path / "password").write_text("not this one\n")
    done = home.firex("run", "nop", "--broker", bare(broker.url), "--password-file", "password")

    assert done.returncode == 2
    assert "refuses the password" in done.stderr
    assert "not this one" not in done.stderr
    assert password_in(broker.url) not in done.stderr


def test_no_permission_to_write(home: Home):
    locked = home.path / "locked"
    locked.mkdir()
    is_root = os.geteuid() == 0  # whom no mode keeps from writing
    if is_root:
        mount(locked, "ro")
    else:
        locked.chmod(0o500)
    try:
        done = home.firex("run", "nop", "--runs-dir", str(locked / "runs"))
    finally:
        subprocess.run(["umount", "-l", locked], check=True) if is_root else locked.chmod(0o700)

    assert done.returncode == 2
    assert f"cannot make the run directory {locked}/runs" in done.stderr
    assert "--runs-dir or FIREX_HOME" in done.stderr


def test_a_file_where_runs_should_be(home: Home):
    (home.path / "file").touch()
    done = home.firex("run", "nop", "--runs-dir", "file")

    assert done.returncode == 2
    assert "file" in done.stderr


def test_a_socket_path_that_would_be_too_long(home: Home):
    long = home.path / ("x" * 120)
    long.mkdir()
    done = home.firex("run", "nop", env={"TMPDIR": str(long)})

    assert done.returncode == 1
    assert "set TMPDIR to a directory with a shorter name" in done.stderr
    assert list(long.iterdir()) == []
    assert home.record()["completed"]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/mounts").exists(), reason="needs root to mount a small disk")
class TestFullDisk:
    """A disk of a few kilobytes."""

    @pytest.fixture
    def disk(self, home: Home):
        disk = home.path / "disk"
        disk.mkdir()
        mount(disk, "size=64k")
        yield disk
        subprocess.run(["umount", "-l", disk], check=True)

    def test_full_before_the_run(self, home: Home, disk: Path):
        _fill(disk)
        done = home.firex("run", "nop", "--runs-dir", str(disk / "runs"))

        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    def start(self, home: Home, disk: Path) -> subprocess.Popen[str]:
        """A run on the disk whose tasks are at work."""
        run = home.start("run", "parent", "-t", "work.py", "--seconds", "1", "--runs-dir", str(disk / "runs"))
        eventually((home.path / "notes").exists)
        return run

    def test_full_in_mid_run(self, home: Home, disk: Path):
        """Logs are lost; the work is not, nor is the record, which has the room of files that are not needed now."""
        run = self.start(home, disk)
        _fill(disk)
        output, errors = run.communicate(timeout=60)

        assert run.returncode == 0
        (said,) = errors.splitlines()
        assert "the run's journal is not whole" in said
        assert "count = 2" in output
        assert '"completed": true' in (disk / "runs" / "latest" / "run.json").read_text()
        # The journal had no room there, so it is still where it was written, and found there.
        assert "parent" in home.firex("show", "latest", "--runs-dir", str(disk / "runs")).stdout
        shutil.rmtree(home.path / "tmp" / f"firex-journals-{os.getuid()}")


def test_a_run_directory_that_is_removed_in_mid_run(home: Home):
    """The tasks do their work; that their record can't be kept is said."""
    run = home.start("run", "parent", "-t", "work.py", "--seconds", "1")
    eventually((home.path / "notes").exists)
    directory = home.latest
    shutil.rmtree(directory)
    directory.touch()
    output, errors = run.communicate(timeout=60)

    assert run.returncode == 0
    assert "count = 2" in output
    assert "run.json: Not a directory" in errors
    assert "Traceback" not in errors


def mount(directory: Path, options: str) -> None:
    """Mount a file system in memory; a container may not allow that."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", directory], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
