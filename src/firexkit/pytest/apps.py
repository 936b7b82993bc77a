"""The app of a test: with the tasks that its project and its marker name, and its own, which go when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from firexkit._celery.apart import current_apps_kept
from firexkit.app import FireX
from firexkit.plugins import load_plugins
from firexkit.runtime.loading import load_tasks, project_settings

MARKER: Final = "firex"
KEYS: Final = ("tasks", "plugins")

Sources = tuple[tuple[str, ...], tuple[str, ...]]


class TestApp(FireX):
    """An app whose tasks are its own once its files are loaded: what a test defines is seen by no other app."""

    __test__ = False  # pytest looks for classes of such names
    is_loaded = False

    def task(self, *args: Any, **options: Any) -> Any:
        """As Celery's decorator."""
        return super().task(*args, **({"shared": False} if self.is_loaded else {}) | options)


class Apps:
    """The apps of a session: one for each choice of plugins, because Python imports a file once, into one app."""

    def __init__(self) -> None:
        self._by_plugins: dict[tuple[str, ...], TestApp] = {}

    @contextmanager
    def for_test(self, test: pytest.Item) -> Iterator[FireX]:
        """The app of a test, which is the current one in the block.

        Args:
            test: the test.

        Raises:
            pytest.UsageError: its marker says something else than files.
            SourceError: a file can't be imported.
        """
        tasks, plugins = sources_of(test)
        with current_apps_kept():
            app = self._loaded(tasks, plugins) if tasks or plugins else TestApp("firex")
            app.set_current()
            registered, settings = dict(app.tasks), dict(app.conf.changes)
            app.is_loaded = True
            try:
                yield app
            finally:
                _put_back(app.tasks, registered)
                _put_back(app.conf.changes, settings)

    def _loaded(self, tasks: tuple[str, ...], plugins: tuple[str, ...]) -> TestApp:
        known = self._by_plugins.get(plugins)
        app = known or TestApp("firex")
        app.is_loaded = False
        load_tasks(app, tasks)  # those that are there already are left alone
        if known is None:
            load_plugins(app, plugins)
        self._by_plugins[plugins] = app
        return app


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in set(now) - set(before):
        del now[name]
    now.update(before)


def sources_of(test: pytest.Item) -> Sources:
    """The files with tasks, and those with plugins, that a test's project and its markers name.

    Raises:
        pytest.UsageError: a marker says something else.
    """
    settings = project_settings(test.path.parent)
    tasks, plugins = list(settings.tasks), list(settings.plugins)
    for marker in reversed(list(test.iter_markers(MARKER))):
        if marker.args or not set(marker.kwargs) <= set(KEYS):
            given = ", ".join([*map(repr, marker.args), *marker.kwargs])
            raise pytest.UsageError(f"{test.nodeid}: the marker firex takes tasks=... and plugins=..., not {given}")
        tasks += _files(marker.kwargs.get("tasks", ()), test.path.parent)
        plugins += _files(marker.kwargs.get("plugins", ()), test.path.parent)
    return tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(plugins))


def _files(given: Any, directory: Path) -> list[str]:
    """Files as absolute paths: a marker's begin where its test is."""
    listed = [given] if isinstance(given, str | Path) else list(given)
    return [str(directory / one) if str(one).endswith(".py") else str(one) for one in listed]
