"""What a run is made of: the tasks of its files, of installed packages and of this kit, and the project's settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from celery import Celery
from celery.app.task import Task
from celery.local import PromiseProxy

from firexkit import tasks as built_in
from firexkit._celery.loading import follow, taking_tasks
from firexkit._importing import SourceError, import_source, names_file
from firexkit._wire import TASKS_GROUP
from firexkit.app import FireX, one_app

PROJECT_FILE: Final = "pyproject.toml"
TABLE: Final = "tool.firex"
CELERYS_OWN: Final = "celery."


# ── tasks ─────────────────────────────────────────────────────────────────────────────────


class Loaded(NamedTuple):
    """What a call loaded.

    Attributes:
        modules: the kit's own tasks, those of installed packages, then the sources in order.
        tasks: the full names of the tasks that the app has since.
        other_apps: Celery apps, beside the run's, that the modules work with.
    """

    modules: list[ModuleType]
    tasks: list[str]
    other_apps: list[Any]


def load_tasks(app: FireX, sources: Iterable[str | Path]) -> Loaded:
    """Give an app the tasks of this kit, of installed packages (entry points ``firex.tasks``), and of some sources.

    A source that makes a ``FireX`` app gets the run's. One that makes a plain ``celery.Celery`` app keeps it, and:

    - the run's app has each of its tasks too, as a FireXTask of the same name, unless it is declared with
      ``shared=False`` or a ``base``. These are what ``firex`` starts and what the worker runs, so a task that is
      plain in the file takes its arguments from the bag, and a value that it returns needs a name (``returns=``);
    - the other app sends to the run's broker and queue and finds results there, whatever it was made with, so that
      its tasks can send each other by ``delay`` or as children. An app that connected while it was imported keeps
      that connection;
    - its other settings stay its own: the worker is the run's, and so are its limits and acknowledgements;
    - what was declared about a task above ``@app.task`` (a report, a receiver of signals) is about the other app's
      task only, and a task of plain Celery (not a FireXTask) sends plain Celery messages. ``FireX`` instead of
      ``Celery`` in the file helps with both.

    Args:
        app: the run's app; it is finalized afterwards.
        sources: files and modules.

    Raises:
        SourceError: a source can't be imported, two functions are tasks of the same full name, or a task can't be
            made of its function.
    """
    known = set(app.tasks) if app.finalized else set()
    with one_app(app), taking_tasks(app):
        modules = [built_in, *installed_tasks(), *map(import_source, sources)]
        app.set_current()  # another app that a source made took its place
    others = other_apps(modules, app)
    for other in others:
        follow(other, app)
    new = sorted(name for name in app.tasks if name not in known and not name.startswith(CELERYS_OWN))
    return Loaded(modules, new, others)


def installed_tasks() -> list[ModuleType]:
    """The modules that installed packages offer as entry points ``firex.tasks``, imported.

    Raises:
        SourceError: one can't be imported; tells the distribution.
    """
    return [_imported(entry) for entry in sorted(entry_points(group=TASKS_GROUP), key=lambda entry: entry.value)]


def _imported(entry: EntryPoint) -> ModuleType:
    try:
        return import_source(entry.module)
    except SourceError as error:
        distribution = entry.dist.name if entry.dist else "?"
        what = f"{entry.module} (entry point {entry.name} of the installed distribution {distribution})"
        raise SourceError(what, error.file, error.line, error.reason) from error


def other_apps(modules: Iterable[ModuleType], app: FireX) -> list[Any]:
    """The Celery apps that modules have in their globals, or whose tasks they have there.

    Args:
        modules: the modules.
        app: the run's app, which is not among them.
    """
    found = {id(other): other for module in modules for value in vars(module).values() if (other := _app_of(value))}
    return [other for other in found.values() if other is not app]


def _app_of(value: Any) -> Any:
    # By type: isinstance would ask a proxy of Celery's what it stands for now, often the run's app.
    if issubclass(type(value), Celery):
        return value
    return getattr(value, "app", None) if issubclass(type(value), (Task, PromiseProxy)) else None


# ── settings ──────────────────────────────────────────────────────────────────────────────


class ProjectSettings(NamedTuple):
    """What ``[tool.firex]`` in a project's ``pyproject.toml`` says; empty without such a table.

    Attributes:
        file: the file.
        tasks: files and modules that define tasks.
        plugins: files and modules that replace tasks.
        converters: files and modules that register converters of arguments.
    """

    file: Path | None = None
    tasks: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    converters: tuple[str, ...] = ()


KEYS: Final = ProjectSettings._fields[1:]


def project_settings(directory: str | Path) -> ProjectSettings:
    """The settings of the project that a directory belongs to, files as absolute paths.

    They are those of the nearest ``pyproject.toml``, from the directory upwards, that has a table ``[tool.firex]``.
    A file that can't be read, or is no TOML and does not speak of that table, is not the project's.

    Args:
        directory: where to begin.

    Raises:
        SourceError: the file speaks of the table but is no TOML, or a setting is unknown or of another type.
    """
    start = Path(directory).resolve()
    for parent in (start, *start.parents):
        file = parent / PROJECT_FILE
        if (table := _table(file)) is not None:
            return _settings(file, table)
    return ProjectSettings()


def _table(file: Path) -> Any:
    """What a file has at ``tool.firex``; None for nothing."""
    try:
        text = file.read_bytes()
    except OSError:
        return None
    try:
        tool = tomllib.loads(text.decode()).get("tool", {})
    except ValueError as error:
        if TABLE.encode() not in text:
            return None
        raise SourceError(f"[{TABLE}]", str(file), None, f"it is no TOML: {error}") from error
    return tool.get("firex") if isinstance(tool, dict) else None


def _settings(file: Path, table: Any) -> ProjectSettings:
    if problem := wrong_settings(table):
        raise SourceError(f"[{TABLE}]", str(file), None, problem)
    given = {key: tuple(_absolute(source, file.parent) for source in sources) for key, sources in table.items()}
    return ProjectSettings(file, **given)


def wrong_settings(table: Any) -> str | None:
    """What is wrong with what a project says in ``[tool.firex]``; None for nothing."""
    if not isinstance(table, Mapping):
        return f"it must be a table with {', '.join(KEYS)}, not {table!r}"
    for key, value in table.items():
        if key not in KEYS:
            return f"{key} is no setting; there are {', '.join(KEYS)}"
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            return f'{key} must be a list of files and modules, as in {key} = ["flow.py"], not {value!r}'
    return None


def _absolute(source: str, directory: Path) -> str:
    return str(directory / Path(source).expanduser()) if names_file(source, directory) else source
