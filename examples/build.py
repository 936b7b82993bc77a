"""A release of a Python project: byte-compiled, tested, packaged, with notes about it.

    $ firex run byte_compile,run_tests,package,write_notes -t examples/build.py
      modules = 6
      tests_run = 3

It releases the small project beside this file; ``--tree DIR`` names another. What is made, byte code included, goes
into the run's directory, never into the project. The test files run in parallel, each as a task of its own.

The project has a known bug and a test for it, which ``--tests`` includes. Then the run fails: it says first which test
failed and why, then what that took down and what never began, and its exit code is 3::

    $ firex run byte_compile,run_tests,package,write_notes -t examples/build.py --tests "tests/*.py"
      build.run_test_file failed: FireXReturnCodeException: tests/bug_apostrophe.py fails (exit code 3)
      AssertionError: "Don'T Panic" != "Don't Panic"
      and with it failed: run_tests
      Never began: package, write_notes
"""

from __future__ import annotations

import re
import sys
import tarfile
from hashlib import sha256
from html import escape
from pathlib import Path

from firexkit import FireX, FireXReturnCodeException, FireXTask, get_results, returns
from firexkit.firex_exceptions import FireXCalledProcessError
from firexkit.process import check_output, environment
from firexkit.uid import Uid

PROJECT = Path(__file__).parent / "project"
TESTS_FAILED = 3

app = FireX("build")


@app.task
@returns("modules")
def byte_compile(uid: Uid, tree: Path = PROJECT) -> int:
    """Compile every module, so that nothing is released that does not even parse.

    Args:
        uid: the run.
        tree: the project's directory.
    """
    check_output([sys.executable, "-m", "compileall", "-q", "."], cwd=tree, env=variables(uid))
    return sum(1 for _ in tree.rglob("*.py"))


@app.task(bind=True)
@returns("tests_run")
def run_tests(self: FireXTask, uid: Uid, tree: Path = PROJECT, tests: str = "test_*.py") -> int:
    """Run all test files in parallel; fails when one fails, but not before the others have ended.

    Args:
        self: the task, which sends a child for each file.
        uid: the run.
        tree: the project's directory.
        tests: which files have tests, written as for a shell.
    """
    children = self.enqueue_in_parallel(
        [run_test_file.s(uid=uid, tree=tree, file=file.relative_to(tree)) for file in sorted(tree.rglob(tests))],
        raise_exception_on_failure=True,
    )
    return sum(get_results(child)["tests_in_file"] for child in children)


@app.task
@returns("tests_in_file")
def run_test_file(uid: Uid, tree: Path, file: Path) -> int:
    """Run the tests of one file.

    Args:
        uid: the run.
        tree: the project's directory.
        file: the file, relative to the project.
    """
    discover = ["discover", "--start-directory", file.parent, "--pattern", file.name]
    try:
        told = check_output([sys.executable, "-m", "unittest", *discover], cwd=tree, env=variables(uid))
    except FireXCalledProcessError as error:
        raise FireXReturnCodeException(TESTS_FAILED, f"{file} fails") from error
    return int(re.findall(r"^Ran (\d+) test", told, re.MULTILINE)[-1])


@app.task
@returns("archive")
def package(uid: Uid, tree: Path = PROJECT, version: str = "1.0") -> Path:
    """Pack the project into an archive.

    Args:
        uid: the run.
        tree: the project's directory.
        version: what the release is called.
    """
    name = f"{tree.resolve().name}-{version}"
    archive = Path(uid.logs_dir, f"{name}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tree, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    return archive


@app.task(bind=True)
@returns("notes")
def write_notes(self: FireXTask, archive: Path, modules: int, tests_run: int) -> Path:
    """Write down what was released, beside the archive; who watches the run sees it, too.

    Args:
        self: the task.
        archive: what was released.
        modules: how many modules are in it.
        tests_run: how many tests it passed.
    """
    checksum = sha256(archive.read_bytes()).hexdigest()
    text = f"{archive.name}: {modules} modules, {tests_run} tests passed\nsha256 {checksum}\n"
    self.send_firex_html(notes=f"<pre>{escape(text)}</pre>")
    notes = archive.with_name("NOTES.txt")
    notes.write_text(text, encoding="utf-8")
    return notes


def variables(uid: Uid) -> dict[str, str]:
    """The environment of what runs on the project: byte code goes into the run's directory."""
    return environment() | {"PYTHONPYCACHEPREFIX": str(Path(uid.logs_dir, "bytecode"))}
