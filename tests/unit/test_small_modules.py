"""The small documented modules: umask, permissions, imports on demand, command errors, processes, memory."""

import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from firexkit import _lazy, firexkit_common, permissions
from firexkit.firex_exceptions import FireXCalledProcessError, FireXInactivityTimeoutExpired, shorten_long_output
from firexkit.firexkit_common import JINJA_ENV, ModifyUmask
from firexkit.memory_utils import (
    get_process_memory_info,
    human_readable_bytes,
    process_memory_delta,
    tracemalloc_compare,
)
from firexkit.proc_utils import kill_procs_by_name_and_cmdline

# ── umask and permissions ───────────────────────────────────────────────────────────────


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_the_umask_is_set_and_restored():
    """Inside the block the new umask holds; afterwards, also after an error, the old one."""
    with ModifyUmask(0o022):
        with suppress(KeyError), ModifyUmask(0o077):
            inside = current_umask()
            raise KeyError
        after = current_umask()

    assert (inside, after) == (0o077, 0o022)


def test_owner_and_group_share_a_run():
    """Files of a run are open to the owner's group."""
    assert (permissions.DEFAULT_CHMOD_MODE, permissions.DEFAULT_UMASK) == (0o775, 0o002)


# ── imports on demand ────────────────────────────────────────────────────────────────────


def test_heavy_modules_are_not_imported_with_ours():
    """Importing the small modules imports neither jinja2 nor psutil nor pydantic."""
    ours = "firexkit.firexkit_common, firexkit.proc_utils, firexkit.memory_utils"
    code = f"import sys, {ours}; print(*{{'jinja2', 'psutil', 'pydantic'}} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert output.strip() == ""


def test_a_reexported_name_is_the_object_from_its_home():
    """A name shown by one module is the very object of the other."""
    look_up = _lazy.reexport(__name__, {"OrderedDict": "collections"})

    assert look_up("OrderedDict") is _lazy.module("collections").OrderedDict


@pytest.mark.parametrize("look_up", [_lazy.reexport(__name__, {}), firexkit_common.__getattr__])
def test_other_names_are_attribute_errors(look_up):
    """A name nobody promised gives Python's usual error."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        look_up("nothing")


def test_the_template_environment_is_built_once():
    """Everybody gets the same environment."""
    assert firexkit_common.JINJA_ENV is JINJA_ENV


# ── commands that fail ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("output", "limit", "text"),
    [
        ("all of it", 9, "Output:\nall of it"),
        ("all of it", 2, "Output (last 2 of 9 characters):\nit"),
        ("all of it", 0, "Output (last 0 of 9 characters):\n"),
        (b"caf\xc3\xa9", 8000, "Output:\ncafé"),
        ("", 8000, "Output: none"),
        (None, 8000, "Output: none"),
    ],
)
def test_long_output_is_cut_to_its_end(output, limit, text):
    """The reader gets the whole output, or its end and a note of the limit."""
    assert shorten_long_output(output, limit) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FireXCalledProcessError(3, ["ls", "a b"], "gone"), "ls 'a b': exit code 3\nOutput:\ngone"),
        (FireXCalledProcessError(-signal.SIGKILL, "make"), "make: signal SIGKILL\nOutput: none"),
        (FireXCalledProcessError(-250, b"make"), "make: signal 250\nOutput: none"),
        (
            FireXInactivityTimeoutExpired(["make", Path("all")], 2.5, "cc"),
            "make all: no console output for 2.5 seconds\nOutput:\ncc",
        ),
    ],
)
def test_a_failed_command_tells_what_and_how(error, text):
    """The text has the command, how it ended, and its output."""
    assert str(error) == text


@pytest.mark.parametrize(
    "error",
    [
        FireXCalledProcessError(1, ["ls"], "out", "err"),
        FireXCalledProcessError(returncode=1, cmd="ls", output="out"),
        FireXInactivityTimeoutExpired("ls", 5, "out"),
        FireXInactivityTimeoutExpired(cmd="ls", timeout=5),
    ],
    ids=str,
)
def test_a_failed_command_survives_pickle(error):
    """A pickled error comes back as the same class with the same content, however it was built."""
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (copy.args, copy.stderr, str(copy)) == (error.args, error.stderr, str(error))


# ── processes ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sleeper():
    """A process of our own that would wait forever, and a word that only its command line has."""
    marker = f"marker-{uuid4()}"
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", marker])
    yield psutil.Process(process.pid), marker
    process.kill()
    process.wait()


def test_a_process_is_killed_by_name_and_command_line(sleeper):
    """The process with that name and command line is killed and returned."""
    process, marker = sleeper
    killed = kill_procs_by_name_and_cmdline(process.name(), f"{marker}$")

    assert [each.pid for each in killed] == [process.pid]


@pytest.mark.parametrize("pattern", ["arker-", "nothing like it"])
def test_the_command_line_has_to_match_from_the_start_of_an_item(sleeper, pattern):
    """A pattern that matches in the middle of an item, or not at all, kills nothing."""
    process, marker = sleeper
    killed = kill_procs_by_name_and_cmdline(process.name(), marker.replace("marker-", pattern))

    assert killed == []
    assert process.status() != psutil.STATUS_ZOMBIE


def test_q24_processes_without_a_readable_command_line_are_passed_over(monkeypatch):
    """A process whose command line we may not read is no match, and no error."""
    unreadable = psutil.Process(1)
    unreadable.info = {"name": "init", "cmdline": None}
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: [unreadable])

    assert kill_procs_by_name_and_cmdline("init", "nothing like it") == []


@pytest.mark.parametrize("error", [psutil.AccessDenied(7), psutil.NoSuchProcess(7)])
def test_q24_a_process_that_cannot_be_killed_is_left_out(error, monkeypatch):
    """Whom we may not kill, or who is gone, is not in the list, and the others still are."""

    class Foreign:
        pid, info = 7, {"name": "other", "cmdline": []}

        def kill(self):
            if self.pid == 7:
                raise error

    mine = Foreign()
    mine.pid = 8
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: [Foreign(), mine])

    assert kill_procs_by_name_and_cmdline("other") == [mine]


# ── memory ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0KiB"),
        (1_000_000_000, "953.7MiB"),
        (-1536, "-1.5KiB"),
        (1024**9, "1024.0YiB"),
    ],
)
def test_bytes_are_told_with_binary_prefixes(number, text):
    """A reader gets a short number with a unit."""
    assert human_readable_bytes(number) == text


def test_bytes_can_have_another_suffix():
    """The unit is the caller's."""
    assert human_readable_bytes(2048, suffix="B/s") == "2.0KiB/s"


@pytest.mark.parametrize("pid", [None, os.getpid()], ids=["this", "by pid"])
def test_the_memory_of_a_process_is_known(pid):
    """This process, named or not, has resident and virtual memory."""
    info = get_process_memory_info(pid)

    assert 0 < info.rss <= info.vms


def test_the_line_that_took_memory_is_named():
    """Between two snapshots, the line that made a megabyte comes first."""
    tracemalloc.start()
    first = tracemalloc.take_snapshot()
    kept = bytearray(1_000_000)
    lines = tracemalloc_compare(first, tracemalloc.take_snapshot(), top_differences=1)
    tracemalloc.stop()

    assert len(kept) == 1_000_000
    assert len(lines) == 1
    assert "test_small_modules.py" in lines[0]


@pytest.mark.parametrize(("trace", "lines"), [(True, 2), (False, 1)])
def test_a_block_logs_what_memory_it_took(caplog, trace, lines):
    """The log has the change of the whole process, and on demand the lines behind it, also after an error."""
    caplog.set_level("INFO")
    with pytest.raises(KeyError), process_memory_delta("build: ", trace_mem=trace):
        raise KeyError

    assert caplog.messages[-1].startswith("build: memory change: rss ")
    assert len(caplog.messages) >= lines
    assert not tracemalloc.is_tracing()
