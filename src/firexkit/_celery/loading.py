"""An app that takes the tasks of files while they are imported, and other apps that were made there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from celery import _state

from firexkit._functions import undecorate_func
from firexkit._importing import SourceError, explained

FOLLOWED: Final = frozenset(
    {
        "accept_content",
        "broker_read_url",
        "broker_transport_options",
        "broker_url",
        "broker_use_ssl",
        "broker_write_url",
        "result_accept_content",
        "result_backend",
        "result_backend_transport_options",
        "result_serializer",
        "task_default_queue",
        "task_queues",
        "task_routes",
        "task_serializer",
    }
)
"""Settings that say where messages and results are, and how they are written."""


@contextmanager
def taking_tasks(app: Any) -> Iterator[Mapping[str, frozenset[str]]]:
    """Have an app make the tasks of what is imported in the block, each under a name of its own.

    At the end of the block the app is finalized, and has those tasks, too, that other apps share with all apps.

    Yields:
        The options that were given to each task's decorator, by the task's full name.

    Raises:
        SourceError: two functions are tasks of the same full name, or a task can't be made of its function.
    """
    known = set(_state._on_app_finalizers)
    given: dict[str, frozenset[str]] = {}
    app._task_from_fun = _making_each_once(app, app._task_from_fun, given)
    try:
        yield given
        with explained(f"the tasks of app {app.main}"):
            app.finalize()
        # An app that was finalized before is not asked again.
        for share in _state._on_app_finalizers - known:
            share(app)
    finally:
        del app._task_from_fun


def _making_each_once(app: Any, make: Callable[..., Any], given: dict[str, frozenset[str]]) -> Callable[..., Any]:
    def make_once(fun: Any, name: str | None = None, **options: Any) -> Any:
        full_name = name or app.gen_task_name(fun.__name__, fun.__module__)
        if full_name in app._tasks:
            _check_same_function(full_name, app._tasks[full_name].run, fun)
        given.setdefault(full_name, frozenset(options))
        try:
            return make(fun, name=name, **options)
        except Exception as error:
            file, line = place_of(fun)
            raise SourceError(f"task {full_name}", file, line, f"{type(error).__name__}: {error}") from error

    return make_once


def _check_same_function(name: str, known: Any, fun: Any) -> None:
    known, fun = undecorate_func(known), undecorate_func(fun)
    if getattr(known, "__code__", known) is getattr(fun, "__code__", fun):
        return
    file, line = place_of(fun)
    other = ":".join(str(part) for part in place_of(known) if part is not None)
    raise SourceError(f"task {name}", file, line, f"{other} defines a task of that name as well; rename one of them")


def place_of(function: Any) -> tuple[str | None, int | None]:
    """The file and the line where a function is defined, under its decorators; None where nobody knows."""
    code = getattr(undecorate_func(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (None, None)


def follow(other: Any, app: Any) -> None:
    """Make another app send where this one sends, and read results where it reads: now, and whenever that changes."""
    conf = other.conf.finalize()  # until it has been read once, its layers are not there
    conf.maps.insert(0, _Followed(app, prefix=(conf.prefix or "").lower()))


class _Followed(Mapping[str, Any]):
    """The settings of an app that others follow, as they are at the moment.

    Args:
        app: the app.
        prefix: with which the names of settings begin in the configuration of the other app.
    """

    def __init__(self, app: Any, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __getitem__(self, name: str) -> Any:
        setting = name.lower().removeprefix(self._prefix)
        if setting not in FOLLOWED:
            raise KeyError(name)
        return self._app.conf[setting]

    def __iter__(self) -> Iterator[str]:
        return iter(FOLLOWED)

    def __len__(self) -> int:
        return len(FOLLOWED)
