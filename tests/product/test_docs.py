"""The documentation builds, needs no network, and tells of everything."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a browser fetches by itself, not what a reader may click on.
FETCHED = re.compile(r"""<(?:script|img|iframe)[^>]+src=["']?https?:|<link[^>]+href=["']?https?:|url\(["']?https?:""")


@pytest.fixture(scope="module")
def reference():
    """What writes the generated pages."""
    sys.path.insert(0, str(ROOT / "tools"))
    return importlib.import_module("reference")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what was said of it."""
    path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", path]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path, done.stderr


def test_nothing_is_wrong_with_the_pages(site):
    """A strict build has no warning: each page is in the navigation, and each link and anchor is there."""
    _, said = site

    assert "WARNING" not in said


def test_the_site_needs_no_network(site):
    """No page, script or stylesheet makes a browser fetch something from elsewhere."""
    path, _ = site
    texts = ((page, page.read_text()) for kind in ("html", "css") for page in path.rglob(f"*.{kind}"))

    assert {page.name: match.group() for page, text in texts if (match := FETCHED.search(text))} == {}


def test_docstrings_show_no_markup(site):
    """References and examples of docstrings have become links and blocks."""
    path, _ = site
    pages = (path / "reference").rglob("*.html")

    assert [page for page in pages if re.search(r":(?:func|meth|class|mod|data):|::</p>", page.read_text())] == []


def test_every_module_is_told_in_full(reference):
    """Each public module has its place on one page of the reference, which shows what its docstrings say."""
    assert set(reference.pages()) >= set(reference.modules()) - {"firexkit"}


def test_every_name_is_told_in_full(reference, site):
    """Each class, function and task that a public module exports has an anchor in the site."""
    path, _ = site
    anchors = {anchor for page in path.rglob("*.html") for anchor in re.findall(r'id="([\w.]+)"', page.read_text())}
    modules = [importlib.import_module(name) for name in set(reference.modules()) - {"firexkit"}]
    exported = [(module, name) for module in modules for name in reference.exported(module)]
    told = {name for module, name in exported if places(module, name) & anchors or not callable(getattr(module, name))}

    assert sorted({name for _, name in exported} - told) == []


def places(module, name):
    """Where a name may be told: as its module's, where it is from, or in a file of the same name."""
    value = getattr(module, name)
    home, first_name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    return {f"{module.__name__}.{name}", f"{home}.{first_name}", f"{module.__name__}.{name}.{name}"}


def test_the_page_of_commands_is_what_help_says(reference):
    """docs/reference/firex.md is what `make docs` writes today."""
    assert (ROOT / "docs" / "reference" / "firex.md").read_text() == reference.commands_page()
