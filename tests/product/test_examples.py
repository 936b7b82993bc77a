"""The examples do what their docstrings say, typed as they stand there."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sysconfig
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from celery import Celery

from product.firex import Home
from worker.ear import Ear

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIBRARY = sysconfig.get_path("stdlib")
LONG = 600
RELEASE = ("run", "byte_compile,run_tests,package,write_notes", "-t", "examples/build.py")

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


def documented():
    """Commands of the docstrings, each with the lines below it."""
    for file in sorted(EXAMPLES.rglob("*.py")):
        lines = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("    $ "):
                shown = [text for text in lines[number + 1 :] if not text.startswith("    $ ")]
                end = next((n for n, text in enumerate(shown) if not text.startswith("      ")), len(shown))
                yield pytest.param(line.removeprefix("    $ "), shown[:end], id=f"{file.stem}-{number + 1}")


SHOWN = [example for example in documented() if example.values[1]]


@pytest.fixture
def desk(home):
    """The home of somebody who types commands in a clone of the repository."""
    return at_the_root(home)


def at_the_root(home):
    for name in ("examples", "src"):
        (home.path / name).symlink_to(ROOT / name)
    return home


def found_below(path):
    entries = subprocess.run(["find", path, "-name", "*.py", "-print0"], stdout=subprocess.PIPE, check=True).stdout
    return entries.count(b"\0")


# ── what docstrings show ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_what_is_typed_shows_what_stands_below_it(desk, command, shown):
    """Each line below a command comes out of it, in that order."""
    done = desk.firex(*shlex.split(command)[1:])
    lines = iter(map(str.strip, (done.stdout + done.stderr).splitlines()))

    assert [line.strip() for line in shown if line.strip() not in lines] == []


def test_docstrings_show_much():
    """The test above has something to do, in every example that shows results."""
    assert {example.id.rpartition("-")[0] for example in SHOWN} == {"greetings", "loud", "build"}


@pytest.mark.parametrize("example", ["greetings", "census", "build"])
def test_every_argument_is_explained(desk, example):
    """Whatever tasks of an example take has a description behind its type and its default."""
    done = desk.firex("list", "--arguments", "--json", "-t", f"examples/{example}.py")

    assert [name for name, told in json.loads(done.stdout).items() if ": " not in told] == []


# ── greetings ─────────────────────────────────────────────────────────────────────────────


def test_a_chain_without_its_argument_starts_nothing(desk):
    """The frame needs a greeting, and says so."""
    done = desk.firex("run", "frame", "-t", "examples/greetings.py")

    assert (done.returncode, done.stdout) == (2, "")
    assert 'greeting: required by "frame"' in done.stderr


def test_a_converter_refuses(desk):
    """A guest without a name is refused by the converter of the task."""
    done = desk.firex("run", "greet", "-t", "examples/greetings.py", "--guest", " ")

    assert done.returncode == 1
    assert "somebody without a name can't be greeted" in done.stderr


def test_a_plugin_takes_a_tasks_place(desk):
    """The plugin's task is asked in place of the original, which it asks in turn."""
    plugin = ("--plugins", "examples/plugins/loud.py")
    done = desk.firex("run", "greet", "-t", "examples/greetings.py", *plugin, "--guest", "ada")

    assert desk.record()["results"]["chain_results"] == {"greeting": "HELLO, ADA!"}
    assert (done.stdout.count("▶ greet (plugin)"), done.stdout.count("▶ greet running")) == (1, 1)


# ── what is shown while a run goes on ─────────────────────────────────────────────────────


def shown_by(desk, server, *words):
    """Values of the flame data that the tasks of a run sent, by key."""
    app = Celery(broker=server.url, backend=server.url, set_as_current=False)
    with Ear(app) as ear:
        done = desk.firex(*words, env={"FIREX_BROKER": server.url})
        ear.catch_up()
    app.close()

    assert done.returncode == 0
    sent = [event["flame_data"] for event in ear.of_type("task-send-flame")]
    return {key: entry["value"] for data in sent for key, entry in data.items()}


def test_a_frame_is_shown(desk, broker):
    """Who watches sees the banner as HTML, with nothing in it that was not meant to be HTML."""
    words = ("run", "greet,frame", "-t", "examples/greetings.py", "--guest", "<b>", "--edge", "&")

    assert shown_by(desk, broker, *words) == {"banner": "<h2>&amp; Hello, &lt;B&gt;! &amp;</h2>"}


def test_a_party_is_folded(desk, broker):
    """The children of the party are to be folded away."""
    shown = shown_by(desk, broker, "run", "party", "-t", "examples/greetings.py", "--guests", "Ada")

    assert [operation["targets"] for operation in shown["_default_display"]] == [["descendants"]]


def test_a_census_is_shown(desk, broker):
    """Who watches sees tables; what a file's name has in it is text."""
    (desk.path / "mine").mkdir()
    (desk.path / "mine" / "<script>.py").write_text("(")
    shown = shown_by(desk, broker, "run", "census", "-t", "examples/census.py", "--path", "mine")

    assert "<tr><td>files</td><td>1</td></tr>" in shown["*"]
    assert "<td>&lt;script&gt;.py</td>" in shown["*"]
    assert "<script>" not in shown["*"]
    assert shown["progress"] == "0 of 1 files"


# ── census ────────────────────────────────────────────────────────────────────────────────


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
    (root / "two\nlines.py").write_text("")
    (root / "notes.txt").write_text("not Python")
    (root / "linked.py").symlink_to("good.py")
    (root / "linked").symlink_to("package")
    (root / "dangling.py").symlink_to("nowhere")
    (root / "gr\udcfcn.py").write_text("def (")
    return root


@pytest.fixture(scope="module")
def finished(tree, tmp_path_factory):
    """A census of the tree that has ended, and where."""
    home = at_the_root(Home(tmp_path_factory.mktemp("census") / "home"))
    return home.firex("run", "census", "-t", "examples/census.py", "--path", str(tree)), home


@pytest.fixture(scope="module")
def results(finished):
    return finished[1].record()["results"]["chain_results"]


def test_it_succeeds_though_files_do_not_parse(finished):
    """Files without sense fail their own child; the census ends well and complains about nothing."""
    done, _ = finished

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("✘ measure_file failed") == 6


def test_it_counts_what_find_counts(results, tree):
    """Links and directories of such a name count, what is behind a linked directory does not."""
    assert results["files"] == found_below(tree) == 11
    assert (results["parsed"], len(results["unparsable"])) == (5, 6)


def test_it_measures_what_parses(results):
    """Lines and functions of every file that parses add up, those of a linked file as often as it is there."""
    assert results["lines"] == 2 * len(GOOD.splitlines()) + 2 + 1
    assert (results["functions"], results["documented"]) == (2 * 3 + 1, 2)


def test_it_ranks(results):
    """The longest functions, the largest files and packages come first, with their lines."""
    assert results["longest_functions"][0] == [6, "kept  linked.py:6"]
    assert results["largest_files"][2] == [2, "latin.py"]
    assert results["largest_packages"][1] == [1, "package"]


def test_it_names_files_that_do_not_parse_and_says_why(results):
    """Each unparsable file is returned with the reason that its child failed with."""
    unparsable = results["unparsable"]
    broken = {"broken.py", "dangling.py", "folder.py", "gr\udcfcn.py", "package/null.py", "undeclared.py"}

    assert unparsable.keys() == broken
    assert unparsable["broken.py"] == "SyntaxError: invalid syntax (line 2)"
    assert unparsable["folder.py"] == "FileNotFoundError: not a file"


def test_its_report_is_printed_and_kept(finished):
    """The terminal shows a table, the run's directory keeps it; odd names are in one line, with escapes."""
    done, home = finished
    report = (home.latest / "census.txt").read_text()
    rows = {cells[0]: cells[-1] for line in report.splitlines() if (cells := re.split("  +", line.strip()))}

    assert report in done.stdout
    assert (rows["files"], rows["with docstring"]) == ("11", "28.6%")
    assert rows["broken.py"] == "SyntaxError: invalid syntax (line 2)"
    assert {"gr\\udcfcn.py", "two\\nlines.py"} <= rows.keys()


def test_the_standard_library_is_counted_whole(desk):
    """Of the library it counts what find counts, and each file either parses or is named."""
    running = desk.start("run", "census", "-t", "examples/census.py")
    printed, _ = running.communicate(timeout=LONG)
    results = desk.record()["results"]["chain_results"]

    assert running.returncode == 0
    assert results["files"] == found_below(LIBRARY)
    assert results["parsed"] + len(results["unparsable"]) == results["files"]
    assert f"  files = {results['files']}\n" in printed


@pytest.mark.parametrize("wrong", ["nowhere", "file.py"])
def test_a_path_that_is_no_directory_is_refused(desk, wrong):
    """Anything but a directory is an error of usage, told in a sentence, and nothing starts."""
    (desk.path / "file.py").touch()
    done = desk.firex("run", "census", "-t", "examples/census.py", "--path", wrong)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"firex: path: {wrong} is not a directory\n" in done.stderr


# ── build ─────────────────────────────────────────────────────────────────────────────────


def test_a_release_is_what_its_notes_say(desk):
    """The archive has the project, the notes have its checksum, and the project itself is as before."""
    before = sorted((EXAMPLES / "project").rglob("*"))
    desk.firex(*RELEASE, "--version", "2.1")
    results = desk.record()["results"]["chain_results"]
    archive = desk.latest / "project-2.1.tar.gz"
    with tarfile.open(archive) as tar:
        packed = tar.getnames()

    assert (results["modules"], results["tests_run"]) == (6, 3)
    assert {"project-2.1/words/casing.py", "project-2.1/tests/test_casing.py"} <= set(packed)
    assert sha256(archive.read_bytes()).hexdigest() in (desk.latest / "NOTES.txt").read_text()
    assert sorted((EXAMPLES / "project").rglob("*")) == before


def test_a_failing_test_ends_the_release(desk):
    """The failing test comes first, what it took down after it; the others ended well; the exit code is the task's."""
    done = desk.firex(*RELEASE, "--tests", "tests/*.py")
    first, *others = done.stderr.splitlines()

    assert done.returncode == desk.record()["returncode"] == 3
    assert first.startswith("build.run_test_file failed: FireXReturnCodeException: tests/bug_apostrophe.py fails")
    assert "Never began: package, write_notes" in others
    assert done.stdout.count("✔ run_test_file succeeded") == 2
    assert not list(desk.latest.glob("*.tar.gz"))


def test_another_tree_can_be_released(desk):
    """`--tree` names the project; one that does not parse is not released."""
    (desk.path / "mine").mkdir()
    (desk.path / "mine" / "broken.py").write_text("def (")
    done = desk.firex(*RELEASE, "--tree", "mine")

    assert done.returncode == 1
    assert "build.byte_compile failed: FireXCalledProcessError" in done.stderr
    assert "SyntaxError: invalid syntax" in done.stderr
