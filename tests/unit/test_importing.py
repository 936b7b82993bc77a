"""Files and modules that a user names: what they are imported as, and what is said of those that can't be."""

import os
import pickle
import sys
from pathlib import Path

import pytest

from firexkit._importing import SourceError, import_source, is_users_code, names_file
from unit.sources_support import forgetting_imports, writer


@pytest.fixture(autouse=True)
def _clean():
    with forgetting_imports():
        yield


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


def refused(source):
    """The error that an import ends with, after which the process is as before."""
    before = set(sys.modules), list(sys.path)
    with pytest.raises(SourceError) as caught:
        import_source(source)
    assert (set(sys.modules), list(sys.path)) == before
    return caught.value


# ── names ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "is_file"),
    [
        ("flow.py", True),
        ("flows/build", True),
        ("./flow", True),
        (Path("flow"), True),
        ("flows.build", False),
        ("flow", False),
        ("", False),
        ("a\0b", False),
    ],
)
def test_a_source_is_a_file_or_a_module(source, is_file):
    """A path has a separator or ends in .py; whatever else is a dotted name."""
    assert names_file(source) is is_file


def test_a_file_that_is_there_is_a_file(tmp_path):
    """A name without separator and ending is a file if there is one."""
    (tmp_path / "flow").touch()

    assert names_file("flow", tmp_path)
    assert not names_file("flow.build", tmp_path)


def test_a_file_alone_has_its_stem_for_a_name(write):
    """A file in no package is imported under its stem, and its directory is in front of the path."""
    file = write("answer = 42")
    module = import_source(str(file))

    assert (module.__name__, module.answer, module.__file__) == (file.stem, 42, str(file))
    assert sys.path[0] == str(file.parent)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my-own flow.py", "my_own_flow"),
        ("2nd.build.py", "_2nd_build"),
        ("größe.py", "größe"),
        ("top/sub/leaf_1.py", "top.sub.leaf_1"),
        ("top/sub/__init__.py", "top.sub"),
    ],
)
def test_the_name_of_a_file(write, file, name):
    """A file has its dotted name in its packages, else its stem made an identifier."""
    for package in ("top", "top/sub"):
        write("", f"{package}/__init__.py")
    module = import_source(write("", file))

    assert module.__name__ == name
    assert sys.modules[name] is module


def test_siblings_find_each_other(write):
    """Files in one directory import each other, and what was imported by a sibling is not imported again."""
    sibling = write("thing = object()")
    module = import_source(write(f"import {sibling.stem}\nthing = {sibling.stem}.thing"))

    assert import_source(sibling).thing is module.thing
    assert sys.path.count(str(sibling.parent)) == 1


def test_a_package_is_relative_to_its_parent(write):
    """A file in a package may import relatively and absolutely."""
    write("colour = 'red'", "shop/__init__.py")
    write("from .. import colour", "shop/paint/__init__.py")
    write("size = 3", "shop/paint/sizes.py")
    module = import_source(write("from .sizes import size\nfrom shop import colour", "shop/paint/walls.py"))

    assert (module.__name__, module.size, module.colour) == ("shop.paint.walls", 3, "red")


@pytest.mark.parametrize("way", ["relative", "linked", "dotted", "path object"])
def test_a_file_is_imported_once(write, tmp_path, monkeypatch, way):
    """However a file is named, it is one module."""
    file = write("thing = object()")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.py"
    link.symlink_to(file)
    monkeypatch.chdir(tmp_path)
    first = import_source(file)

    ways = {"relative": f"./{file.name}", "linked": link, "dotted": file.stem, "path object": Path(file.name)}
    assert import_source(ways[way]) is first


def test_a_file_imported_under_another_name_is_not_imported_again(write, tmp_path, monkeypatch):
    """What somebody imported from a folder without __init__ stays the only one."""
    write("thing = object()", "folder_of_flows/flow.py")
    monkeypatch.syspath_prepend(tmp_path)
    first = import_source("folder_of_flows.flow")

    assert import_source(tmp_path / "folder_of_flows" / "flow.py") is first


def test_a_dotted_name(write, tmp_path, monkeypatch):
    """A dotted name is imported as Python does."""
    assert import_source("json.decoder") is sys.modules["json.decoder"]


# ── names that are taken ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file", ["queue.py", "this.py", "logging/flow.py", "__main__.py", "yaml_free/celery.py"])
def test_a_taken_name_is_refused(write, file):
    """A file must not stand for a module of Python's, nor for one that is there already."""
    if "/" in file and "celery" not in file:
        write("", f"{Path(file).parent}/__init__.py")
    error = refused(write("", file))

    assert "rename" in error.reason
    assert error.file.endswith(file)


def test_two_files_of_one_stem(write):
    """Of two files of the same stem the second is refused, with the place of the first."""
    first = write("", "one/alike.py")
    import_source(first)
    error = refused(write("", "two/alike.py"))

    assert str(first) in error.reason
    assert "rename one of the two" in error.reason


def test_two_packages_of_one_name(write):
    """A package of the same name somewhere else is told as well."""
    for place in ("one", "two"):
        write("", f"{place}/shop/__init__.py")
    import_source(write("", "one/shop/walls.py"))
    error = refused(write("", "two/shop/doors.py"))

    assert "'shop'" in error.reason
    assert "one/shop/__init__.py" in error.reason


def test_a_package_that_is_found_elsewhere_first(write, tmp_path, monkeypatch):
    """A file is not mistaken for one of the same dotted name that Python finds before it."""
    for place in ("one", "two"):
        write("", f"{place}/shop/__init__.py")
        write("", f"{place}/shop/walls.py")
    monkeypatch.syspath_prepend(tmp_path / "two")
    monkeypatch.syspath_prepend(tmp_path / "one")
    error = refused(tmp_path / "two" / "shop" / "walls.py")

    assert "one/shop/walls.py first" in error.reason


# ── what can't be imported ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("missing.py", "there is no such file"),
        ("text.txt", "does not end in .py"),
        ("folder/", "is a directory"),
        ("folder.py", "is a directory"),
        ("text.txt/flow.py", "there is no such file"),
        ("pipe.py", "no regular file"),
        (f"{'x' * 300}.py", "can't be read"),
        ("nul\0.py", "can't be read"),
        ("loop.py", "can't be read"),
    ],
)
def test_what_is_no_python_file(write, tmp_path, source, reason):
    """The error tells what the file is instead."""
    write("", "text.txt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    error = refused(f"{tmp_path}/{source}")

    assert reason in error.reason
    assert (error.what, error.line) == (f"{tmp_path}/{source}", None)


def test_a_file_that_may_not_be_read(write):
    """Missing permission is told."""
    file = write("")
    file.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        error = refused(file)
    finally:
        os.seteuid(user)

    assert error.reason == "it can't be read: Permission denied"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("no_such_module_anywhere", "No module named 'no_such_module_anywhere'; is it installed?"),
        ("json.no_such_part", "No module named 'json.no_such_part'; is it installed?"),
        ("my-flow", "neither a Python file (.py) nor a module's dotted name"),
        ("", "neither a Python file (.py) nor a module's dotted name"),
        (".relative", "neither a Python file (.py) nor a module's dotted name"),
    ],
)
def test_what_is_no_module(source, reason):
    """The error tells that there is no such module."""
    error = refused(source)

    assert reason in error.reason
    assert (error.file, error.line) == (None, None)


def test_a_file_that_was_named_as_a_module(write, tmp_path, monkeypatch):
    """Who forgets the ending is asked about the file."""
    write("", "flows/build.py")
    monkeypatch.chdir(tmp_path)

    assert "did you mean the file flows/build.py?" in refused("flows.build").reason


def test_a_syntax_error(write):
    """File, line and text are told."""
    error = refused(file := write("x = 1\ndef f(:\n    pass\n"))

    assert (error.file, error.line) == (str(file), 2)
    assert error.reason == "SyntaxError: invalid syntax: def f(:"
    assert str(error) == f"cannot load {file}: {file}:2: SyntaxError: invalid syntax: def f(:"


def test_a_syntax_error_in_a_sibling(write):
    """It is told where it is, not where it was imported."""
    sibling = write("x = 1\n  y = 2\n")
    error = refused(write(f"import {sibling.stem}"))

    assert (error.file, error.line, error.reason) == (str(sibling), 2, "IndentationError: unexpected indent: y = 2")


def test_bytes_that_are_no_text(write):
    """A file in another encoding, or with zeros in it, is told as such."""
    file = write("")
    file.write_bytes(b"name = '\xff'\n")
    assert "can't decode" in refused(file).reason or "Non-UTF-8" in refused(file).reason

    file.write_bytes(b"x = 1\0")
    assert (refused(file).file, "null bytes" in refused(file).reason) == (str(file), True)


def test_an_error_at_import(write):
    """Type and text of the error are told, with the line in the file."""
    error = refused(file := write("import json\n\njson.loads('{')"))

    assert (error.file, error.line) == (str(file), 3)
    assert error.reason.startswith("JSONDecodeError: Expecting property name")
    assert type(error.__cause__).__name__ == "JSONDecodeError"


def test_an_error_in_what_a_file_imports(write):
    """The last line of the user's code is told, whichever file it is in."""
    sibling = write("def fail():\n    raise LookupError\n")
    error = refused(write(f"import {sibling.stem}\n{sibling.stem}.fail()"))

    assert (error.file, error.line, error.reason) == (str(sibling), 2, "LookupError")


def test_an_error_in_a_package(write):
    """An error in the package's own file is told as well."""
    package = write("1 / 0", "broken_shop/__init__.py")
    error = refused(write("", "broken_shop/walls.py"))

    assert (error.file, error.line, error.reason) == (str(package), 1, "ZeroDivisionError: division by zero")


def test_a_missing_module(write):
    """Which file and which line asked for it is told."""
    error = refused(file := write("x = 1\nimport no_such_pigments\n"))

    assert (error.file, error.line) == (str(file), 2)
    assert error.reason == "ModuleNotFoundError: No module named 'no_such_pigments'"


def test_an_error_in_an_installed_package(write, tmp_path, monkeypatch):
    """An error below an installed package's import is told at the user's line, unless the package was asked for."""
    installed = write("x = 1\nraise RuntimeError('old')", "site-packages/pigments_inc.py")
    monkeypatch.syspath_prepend(installed.parent)
    file = write("\n\nimport pigments_inc")

    assert (refused(file).file, refused(file).line) == (str(file), 3)
    assert (refused("pigments_inc").file, refused("pigments_inc").line) == (str(installed), 2)


@pytest.mark.parametrize("code", ["import sys\nsys.exit(2)", "raise SystemExit", "import sys\nsys.exit('usage: …')"])
def test_a_script_without_a_guard(write, code):
    """A file that ends the program is told what to do about it."""
    error = refused(write(code))

    assert "SystemExit" in error.reason
    assert "if __name__ == '__main__'" in error.reason


def test_an_interrupt_is_none_of_our_business(write):
    """Control-C ends the import, not by our error, and leaves nothing behind."""
    file = write("raise KeyboardInterrupt")
    before = set(sys.modules), list(sys.path)
    with pytest.raises(KeyboardInterrupt):
        import_source(file)

    assert (set(sys.modules), list(sys.path)) == before


def test_a_failed_import_is_tried_anew(write):
    """What a file had imported of the user's before it failed is gone, too; libraries stay."""
    sibling = write("thing = object()")
    file = write(f"import colorsys\nimport {sibling.stem}\nraise ValueError")
    with pytest.raises(SourceError):
        import_source(file)

    assert {file.stem, sibling.stem} & set(sys.modules) == set()
    assert "colorsys" in sys.modules
    file.write_text("fine = True  # another length, for Python's cache")
    assert import_source(file).fine


def test_an_error_of_ours_passes(write):
    """A source that imports another one the same way tells the inner error."""
    inner = write("1 / 0")
    error = refused(write(f"from firexkit._importing import import_source\nimport_source({str(inner)!r})"))

    assert (error.what, error.file) == (str(inner), str(inner))


def test_the_error_travels():
    """The error can be pickled."""
    error = SourceError("flow.py", "/flow.py", 3, "broken")

    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "cannot load flow.py: /flow.py:3: broken"


def test_code_of_the_user():
    """Python's files, installed ones, the kit's and those that are none are not the user's."""
    foreign = (os.__file__, "<frozen importlib._bootstrap>", "/x/site-packages/y.py", sys.modules["firexkit"].__file__)

    assert not any(map(is_users_code, foreign))
    assert is_users_code(__file__)
