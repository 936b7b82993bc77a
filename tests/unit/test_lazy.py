"""What is done with a module as soon as it is imported, and what is shown of modules that nobody imported yet."""

import importlib
import inspect
import subprocess
import sys

import pytest

from firexkit import _lazy


@pytest.fixture
def heavy(tmp_path, monkeypatch):
    """A module of that name that nobody has imported."""
    name = f"heavy_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text("LINES = ['executed']\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_waits_for_the_import(heavy):
    """Nothing happens, and nothing is imported, before somebody imports the module; then it is complete."""
    _lazy.when_imported(heavy, lambda module: module.LINES.append("told"))
    before = heavy in sys.modules

    assert (before, importlib.import_module(heavy).LINES) == (False, ["executed", "told"])


def test_acts_at_once_when_it_is_imported(heavy):
    """Who comes late is told at once."""
    module = importlib.import_module(heavy)
    _lazy.when_imported(heavy, lambda module: module.LINES.append("told"))

    assert module.LINES == ["executed", "told"]


def test_all_who_wait_are_told_in_order(heavy):
    """Several may wait for one module."""
    for word in ("first", "second"):
        _lazy.when_imported(heavy, lambda module, word=word: module.LINES.append(word))

    assert importlib.import_module(heavy).LINES == ["executed", "first", "second"]


def test_a_reloaded_module_is_new(heavy):
    """What was done to a module that is executed again is done again."""
    _lazy.when_imported(heavy, lambda module: module.LINES.append("told"))
    module = importlib.import_module(heavy)

    assert importlib.reload(module).LINES == ["executed", "told"]


def test_the_module_keeps_its_source(heavy):
    """Tracebacks and readers of code find the source as ever."""
    _lazy.when_imported(heavy, lambda module: None)

    assert inspect.getsource(importlib.import_module(heavy)) == "LINES = ['executed']\n"


def test_an_unknown_module_stays_unknown():
    """Waiting for a module does not make it."""
    _lazy.when_imported("no_such_heavy_module", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match="no_such_heavy_module"):
        importlib.import_module("no_such_heavy_module")


def test_nothing_is_an_instance_of_what_nobody_imported(heavy):
    """Asking for a class imports nothing; once somebody has imported its module, it is there."""
    before = _lazy.class_if_imported(heavy, "LINES")

    assert (before, isinstance(1, before), heavy in sys.modules) == ((), False, False)
    assert importlib.import_module(heavy).LINES is _lazy.class_if_imported(heavy, "LINES")


HEAVY = {"jinja2", "pydantic", "rich", "psutil", "fastapi", "importlib.metadata", "asyncio", "sqlite3"}


def modules_after(*imported):
    """What a fresh interpreter has imported then."""
    code = f"import sys, {', '.join(imported)}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_task_imports_nothing_heavy():
    """Beside what Celery imports for a task, a chain, a result and Redis, `firexkit.task` imports no heavy package."""
    celerys = ("celery.app.trace", "celery.canvas", "celery.result", "celery.backends.redis")
    added = modules_after(*celerys, "firexkit.task") - modules_after(*celerys)

    assert not added & HEAVY


def test_the_task_leaves_redis_to_who_uses_it():
    """An app with another broker needs no client of Redis, and one with Redis imports it when it connects."""
    assert not {"redis", "kombu.transport.redis"} & modules_after("firexkit.task")
