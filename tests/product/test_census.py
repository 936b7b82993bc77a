"""The census, as its user runs it: what it counts, what it tells, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from worker.rig import runs

CENSUS = Path(__file__).parents[2] / "examples" / "census.py"
MARK = "CENSUS_TEST"
PATIENCE = 60

GOOD = '''\
def told():
    """Tell."""


class Kept:
    async def kept(self):
        try:
            pass
        finally:
            def inner():
                return lambda: None
'''


class Census:
    """One census process; whatever it starts carries its mark in the environment, and its files are in one directory.

    Attributes:
        process: The census.
        directory: Where its temporary files go.
    """

    def __init__(self, path, directory):
        self.directory = Path(directory)
        self._mark = uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, CENSUS, "--path", path],
            env={**os.environ, MARK: self._mark, "TMPDIR": directory},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def processes(self):
        """Those of it that are there, without the dead that only wait for their parent to look."""
        return [process for process in psutil.process_iter() if runs(process) and self._has_mark(process)]

    def _has_mark(self, process):
        try:
            return process.environ().get(MARK) == self._mark
        except psutil.Error:
            return False

    def worker(self):
        """The main process of its worker."""
        return next(child for child in psutil.Process(self.process.pid).children() if "celery" in child.cmdline())

    def under_way(self):
        """Itself, once a file was handed out."""
        assert self.process.stderr.readline().startswith("measuring:")
        return self

    def ended(self):
        """Its exit code, what it printed and what it complained about."""
        printed, complained = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, printed, complained


@pytest.fixture(scope="module")
def census():
    """`census(path)` starts one. The directory's name is short, because a socket goes there."""
    started = []
    with tempfile.TemporaryDirectory(prefix="census-") as directory:

        def census(path):
            started.append(Census(path, tempfile.mkdtemp(dir=directory)))
            return started[-1]

        yield census
        for each in started:
            for process in each.processes():
                process.kill()
            each.process.communicate()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for directory in ("empty", "package/nested", "folder.py"):
        (root / directory).mkdir(parents=True)
    (root / "good.py").write_text(GOOD)
    (root / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nprint('\xe9')\n")
    (root / "package" / "nested" / "deep.py").write_text("def deep(): pass")
    (root / "package" / "null.py").write_text("\0")
    (root / "broken.py").write_text("pass\ndef broken(:\n")
    (root / "undeclared.py").write_bytes(b"print('\xe9')\n")
    (root / "notes.txt").write_text("not Python")
    (root / "linked.py").symlink_to("good.py")
    (root / "linked").symlink_to("package")
    (root / "dangling.py").symlink_to("nowhere")
    return root


@pytest.fixture(scope="module")
def finished(census, tree):
    """A census of the tree that has ended, and what it told."""
    done = census(tree)
    return done, done.ended()


@pytest.fixture
def large_tree(tmp_path):
    """Something to measure for longer than a test takes."""
    (tmp_path / "large.py").write_text(GOOD * 3000)
    for number in range(2000):
        (tmp_path / f"large{number}.py").symlink_to("large.py")
    return tmp_path


def number(name, printed):
    return int(re.search(rf"^{name} +([\d,]+)$", printed, re.MULTILINE)[1].replace(",", ""))


def section(title, printed):
    return re.search(rf"^{title}:\n((?:  .*\n?)*)", printed, re.MULTILINE)[1].splitlines()


def found_below(path):
    entries = subprocess.run(["find", path, "-name", "*.py", "-print0"], stdout=subprocess.PIPE, check=True).stdout
    return entries.count(b"\0")


def test_it_succeeds_though_files_do_not_parse(finished):
    """Files without sense fail their own child; the census ends well and complains about nothing."""
    _, (code, _, complained) = finished

    assert (code, complained) == (0, "")


def test_it_counts_what_find_counts(finished, tree):
    """Links and directories of such a name count, what is behind a linked directory does not."""
    _, (_, printed, _) = finished

    assert number("files", printed) == found_below(tree) == 9
    assert number("parsed", printed) == 4
    assert number("unparsable", printed) == 5


def test_it_measures_what_parses(finished):
    """Lines and functions of every file that parses add up, those of a linked file as often as it is there."""
    _, (_, printed, _) = finished

    assert number("lines", printed) == 2 * len(GOOD.splitlines()) + 2 + 1
    assert number("functions", printed) == 2 * 3 + 1
    assert re.search(r"^with docstring +28\.6%$", printed, re.MULTILINE)


def test_it_ranks(finished):
    """The longest functions, the largest files and packages come first, with their lines."""
    _, (_, printed, _) = finished

    assert section("longest functions", printed)[0].split() == ["6", "kept", "linked.py:6"]
    assert section("largest files", printed)[2].split() == ["2", "latin.py"]
    assert section("largest packages", printed)[1].split() == ["1", "package"]


def test_it_names_files_that_do_not_parse_and_says_why(finished):
    """Each unparsable file stands in the end with the reason that its child failed with."""
    _, (_, printed, _) = finished
    reasons = dict(line.split(maxsplit=1) for line in section("unparsable", printed))

    assert reasons.keys() == {"broken.py", "dangling.py", "folder.py", "package/null.py", "undeclared.py"}
    assert reasons["broken.py"] == "SyntaxError: invalid syntax (line 2)"
    assert reasons["folder.py"] == "FileNotFoundError: not a file"


def test_it_leaves_nothing(finished):
    """After the census no process and no file of it is there."""
    done, _ = finished

    assert done.processes() == []
    assert list(done.directory.iterdir()) == []


def test_the_standard_library_is_counted_whole(census):
    """Of the library it counts what find counts, and each file either parses or is named."""
    library = sysconfig.get_path("stdlib")
    code, printed, _ = census(library).ended()

    assert code == 0
    assert number("files", printed) == found_below(library)
    assert number("parsed", printed) + len(section("unparsable", printed)) == number("files", printed)


@pytest.mark.parametrize("wrong", ["nowhere", "file.py"])
def test_a_path_that_is_no_directory_is_refused(census, tmp_path, wrong):
    """Anything but a directory is an error of usage, told in a sentence."""
    (tmp_path / "file.py").touch()
    code, printed, complained = census(tmp_path / wrong).ended()

    assert (code, printed) == (2, "")
    assert f"{wrong} is not a directory" in complained


def test_ctrl_c_ends_everything(census, large_tree):
    """Ctrl-C in the middle ends the census, its worker and its server, without a traceback."""
    running = census(large_tree).under_way()
    os.killpg(running.process.pid, signal.SIGINT)
    code, printed, complained = running.ended()

    assert (code, printed) == (128 + signal.SIGINT, "")
    assert "Traceback" not in complained
    assert running.processes() == []
    assert list(running.directory.iterdir()) == []


def test_a_killed_census_takes_everything_along(census, large_tree):
    """Killed without a chance to clean up, it still leaves no process."""
    running = census(large_tree).under_way()
    family = running.processes()
    running.process.kill()
    running.ended()
    psutil.wait_procs(family, timeout=PATIENCE)

    assert len(family) > 4
    assert running.processes() == []


def test_a_dead_worker_is_told(census, large_tree):
    """When the worker dies, the census fails, shows the end of the worker's log and says where it is."""
    running = census(large_tree).under_way()
    running.worker().kill()
    code, _, complained = running.ended()

    assert code == 1
    assert "Traceback" not in complained
    assert Path(re.search(r"census: the worker ended with -9; the end of (.*):", complained)[1]).is_file()
    assert running.processes() == []
