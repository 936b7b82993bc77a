"""Public names are documented, have a docstring, and live where the documents say."""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pytest

import firexkit

REPO = Path(__file__).parents[2]
FACES = ("firexkit", "firexkit.result", "firexkit.task", "firexkit.chain", "firexkit.argument_conversion")
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(firexkit.__path__, "firexkit.")
    if not any(part.startswith("_") for part in info.name.split("."))
)
DOCUMENTS = "\n".join(path.read_text() for path in [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))])


def public_names():
    """Names that faces export, with the module that exports them."""
    for face in FACES:
        module = importlib.import_module(face)
        yield from ((face, name) for name in module.__all__)


def members(value):
    """Functions, methods, properties and classes of ours that a public class shows."""
    for name, member in vars(value).items():
        found = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(found):
            yield name, found


@pytest.mark.parametrize("module", MODULES)
def test_module_has_a_docstring(module):
    """Each public module says what it is."""
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize(("face", "name"), sorted(set(public_names())))
def test_public_name_is_documented(face, name):
    """Each exported name is in the documents, and if it can have a docstring it has one."""
    value = getattr(importlib.import_module(face), name)

    assert name in DOCUMENTS
    assert inspect.getdoc(value) if inspect.isclass(value) or inspect.isfunction(value) else True


@pytest.mark.parametrize(("face", "name"), sorted(set(public_names())))
def test_members_of_public_classes_have_docstrings(face, name):
    """Each public member of an exported class of ours says what it gives."""
    value = getattr(importlib.import_module(face), name)
    ours = inspect.isclass(value) and value.__module__.startswith("firexkit")

    assert [member for member, found in members(value) if not inspect.getdoc(found)] == [] if ours else True


def test_the_reference_is_what_the_docstrings_say():
    """docs/reference.md is what `make docs` writes today."""
    sys.path.insert(0, str(REPO / "tools"))
    reference = importlib.import_module("reference")

    assert (REPO / "docs" / "reference.md").read_text() == reference.page()
