"""The README does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from celery.canvas import Signature

import firexkit.chain
import firexkit.result
from firexkit import FireXTask

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
ROOMS = (firexkit, firexkit.result, FireXTask)


def blocks(language):
    """The contents of the README's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def names_in_table():
    """What stands as code in the right column, options left out."""
    rows = re.findall(r"^\| [a-z].* \| (.*) \|$", TEXT, re.MULTILINE)
    return [name for row in rows[1:] for name in re.findall(r"`([\w.]+)`", row)]


@pytest.fixture
def hello(tmp_path):
    """The directory of a reader who saved the first workflow."""
    (tmp_path / "hello.py").write_text(blocks("python")[0])
    return tmp_path


def printed_by(*command, cwd):
    """What a command prints when no broker is configured."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("command", [("hello.py",), (ROOT / "examples" / "local.py", "hello")], ids=["alone", "worker"])
def test_the_first_workflow_prints_what_is_shown(hello, command):
    """In its own process and through a real worker, the first workflow prints the text below it."""
    assert printed_by(*command, cwd=hello) == blocks("text")[0]


def test_the_chain_that_cannot_work_is_refused_as_shown(hello):
    """The error of the incomplete chain is the one that is quoted."""
    script = "import hello\ntry: hello.frame.s().enqueue()\nexcept Exception as error: print(error)"

    assert printed_by("-c", script, cwd=hello) == blocks("text")[1]


def test_the_table_names_only_what_exists():
    """Each name that the table points to is where the README says."""
    lost = []
    for name in names_in_table():
        owner, _, member = name.rpartition(".")
        rooms = {"FireXTask": (FireXTask,), "Signature": (Signature,)}.get(owner, ROOMS)
        lost += [name] if not any(hasattr(room, member) for room in rooms) else []

    assert len(names_in_table()) > 25
    assert lost == []


def test_links_lead_somewhere():
    """Each page that the README and the documents link to is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())]

    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("command", re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE))
def test_make_knows_its_commands(command):
    """Each `make` command of the README is one of the Makefile."""
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
