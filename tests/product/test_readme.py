"""The README does what it says."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from celery.canvas import Signature

import firexkit.result
from firexkit import FireXTask
from firexkit.broker_address import bare, password_in
from product.blocks import FENCE, blocks_of, follow

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def names_in_table():
    """What stands as code in the right column, options and commands left out."""
    rows = re.findall(r"^\| [a-z].* \| (.*) \|$", README.read_text(), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]


def is_there(name):
    """Whether a name of the table leads to something: in its module or class, or in one of the two for everyday use."""
    owner, _, member = name.rpartition(".")
    if owner.startswith("firexkit."):
        return hasattr(import_module(owner), member)
    owners = {"FireXTask": [FireXTask], "Signature": [Signature]}.get(owner, [firexkit, firexkit.result, FireXTask])
    return any(hasattr(one, member) for one in owners)


def test_the_blocks(tmp_path, broker):
    """The first workflow, typed in word for word, runs and prints what is shown; so do the others."""
    (tmp_path / "broker-password").write_text(password_in(broker.url))

    follow(README, tmp_path, instead={"redis://valkey.example.com": f"'{bare(broker.url)}'"})


def test_the_first_workflow_is_short():
    """At most 15 lines of code."""
    hello = next(block for block in blocks_of(README) if block.title == "hello.py")

    assert len([line for line in hello.text.splitlines() if line]) <= 15


def test_the_table_names_only_what_exists():
    """Each name that the table points to is where the README says."""
    assert len(names_in_table()) > 35
    assert [name for name in names_in_table() if not is_there(name)] == []


def test_links_lead_somewhere():
    """Each page that the README and the documents link to is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts = [(page, FENCE.sub("", page.read_text())) for page in pages]
    links = [(page, link) for page, text in texts for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]

    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("command", re.findall(r"^make (\w+)", README.read_text(), re.MULTILINE))
def test_make_knows_its_commands(command):
    """Each `make` command of the README is one of the Makefile."""
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
