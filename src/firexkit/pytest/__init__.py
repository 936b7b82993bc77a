"""Test workflows with pytest: fixtures that run tasks on a private Valkey and a real worker, or in the test's process.

pytest loads this plugin in every session of the environment, so whatever is heavy is imported by the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pytest

from firexkit import _lazy

if TYPE_CHECKING:
    from firexkit.app import FireX
    from firexkit.pytest.eager import EagerRuns
    from firexkit.pytest.embedded import Embedded
    from firexkit.pytest.outcome import Run as Run
    from firexkit.pytest.outcome import RunTask as RunTask
    from firexkit.pytest.outcome import RunTimeoutError as RunTimeoutError
    from firexkit.pytest.outcome import WorkerEndedError as WorkerEndedError
    from firexkit.pytest.running import WorkerRuns
else:
    _HOME = "firexkit.pytest.outcome"
    _NAMES = ("Run", "RunTask", "RunTimeoutError", "WorkerEndedError")
    __getattr__ = _lazy.reexport(__name__, dict.fromkeys(_NAMES, _HOME))

__all__ = [
    "Run",
    "RunTask",
    "RunTimeoutError",
    "WorkerEndedError",
    "firex_app",
    "firex_eager",
    "firex_run",
]

MARKER: Final = "firex(tasks=..., plugins=...): files and modules with the tasks and plugins of firex_app"
TIMEOUT: Final = "firex_timeout"
_told: Final = pytest.StashKey[list[list[Any]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting ``firex_timeout``."""
    parser.addini(TIMEOUT, "seconds that a run of firex_run may take, unless it says so itself", default="30")


def pytest_configure(config: pytest.Config) -> None:
    """The marker ``firex``."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test shows its runs, and what their workers logged."""
    report = yield
    if report.failed and report.when == "call":
        told = item.stash.get(_told, [])
        for run in chain.from_iterable(told):
            # An assert of ours has told the run already.
            report.sections.extend(one for one in run.sections() if one[1] not in report.longreprtext)
    return report


@pytest.fixture(scope="session")
def _firex_embedded() -> Iterator[Embedded]:
    with _lazy.module("firexkit.pytest.embedded").Embedded() as embedded:
        yield embedded


@pytest.fixture(scope="session")
def _firex_apps() -> Any:
    return _lazy.module("firexkit.pytest.apps").Apps()


@pytest.fixture
def _firex_tasks(request: pytest.FixtureRequest, _firex_apps: Any) -> Iterator[FireX]:
    with _firex_apps.for_test(request.node) as app:
        yield app


@pytest.fixture
def firex_app(_firex_tasks: FireX, _firex_embedded: Embedded) -> FireX:
    """An app on a private Valkey, for this test.

    It has the tasks and plugins that the project's ``[tool.firex]`` names, those of the marker
    ``firex(tasks=..., plugins=...)``, and those that the test defines with ``@firex_app.task``.
    """
    _firex_embedded.bind(_firex_tasks)
    return _firex_tasks


@pytest.fixture
def firex_run(request: pytest.FixtureRequest, firex_app: FireX, _firex_embedded: Embedded) -> Iterator[WorkerRuns]:
    """Runs tasks as ``firex run`` does, on a worker that is forked from the test, and tells what came of it.

    ``firex_run(greet.s() | frame.s(), guest="ada")``, ``firex_run("greet,frame", guest="ada")``
    """
    runs = _lazy.module("firexkit.pytest.running").WorkerRuns(firex_app, _firex_embedded, _timeout(request.config))
    request.node.stash.setdefault(_told, []).append(runs.made)
    yield runs
    _firex_embedded.clean()


@pytest.fixture
def firex_eager(request: pytest.FixtureRequest, _firex_tasks: FireX) -> Iterator[EagerRuns]:
    """Runs tasks as ``firex_run`` does, but in the test's process and without any server."""
    runs: EagerRuns = _lazy.module("firexkit.pytest.eager").EagerRuns(_firex_tasks)
    request.node.stash.setdefault(_told, []).append(runs.made)
    yield runs
    runs.close()


def _timeout(config: pytest.Config) -> float:
    text = str(config.getini(TIMEOUT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise pytest.UsageError(f"{TIMEOUT} is a number of seconds above 0, not {text!r}")
    return seconds
