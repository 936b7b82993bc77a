"""The private Valkey and the workers of the worker room; `rig.py` says how they behave."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import pytest
from celery import _state
from celery.result import AsyncResult

from firexkit.result import disable_async_result
from firexkit.runtime.server import Server
from worker.rig import BACKEND, BROKER, KEYS_OF_WORKERS, SharedWorkers, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS_USED = pytest.StashKey[list[Worker]]()
_server = Server()
# Here and not in a fixture: test modules import their app when they are collected.
os.environ[BROKER] = os.environ[BACKEND] = _server.url


def pytest_unconfigure() -> None:
    """A server whose tests were only collected still has its directory."""
    _server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test shows what its workers logged meanwhile."""
    report = yield
    if report.failed:
        for worker in item.stash.get(WORKERS_USED, []):
            report.sections.append((f"log of worker {worker.name}", worker.log_tail()))
    return report


@pytest.fixture(scope="session")
def _running_server() -> Iterator[Server]:
    with _server as server:
        yield server
        # Celery's results speak to their backend even when they are collected.
        for thing in gc.get_objects():
            if issubclass(type(thing), AsyncResult):
                disable_async_result(thing)


@pytest.fixture
def server(_running_server: Server) -> Iterator[Server]:
    """The Valkey behind FIREXKIT_TEST_BROKER, with nothing in it but what living workers hold."""
    yield _running_server
    with _running_server.client() as client:
        leftover = [key for key in client.scan_iter(count=1000) if not key.startswith(KEYS_OF_WORKERS)]
        if leftover:
            client.unlink(*leftover)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A Valkey for this test alone, to kill and to start again; give its url to `start_worker`."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def _shared_workers(_running_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedWorkers]:
    workers = SharedWorkers(tmp_path_factory.mktemp("workers"))
    yield workers
    workers.close()


@pytest.fixture
def _used(request: pytest.FixtureRequest) -> list[Worker]:
    return request.node.stash.setdefault(WORKERS_USED, [])


@pytest.fixture
def worker_for(server: Server, _shared_workers: SharedWorkers, _used: list[Worker]) -> Iterator[Callable[..., Worker]]:
    """`worker_for("worker.apps.name", pool="prefork", concurrency=8)`: a worker shared with other tests.

    The app of its module is the current one until the test ends.
    """
    before = _state._tls.current_app

    def worker_for(app_module: str, *, pool: str = "prefork", concurrency: int = 8, **options: Any) -> Worker:
        worker = _shared_workers.get(app_module, pool=pool, concurrency=concurrency, **options)
        worker.mark_log()
        worker.app.set_current()
        _used.append(worker)
        return worker

    yield worker_for
    _state._tls.current_app = before


@pytest.fixture
def start_worker(server: Server, tmp_path: Any, _used: list[Worker]) -> Iterator[Callable[..., Worker]]:
    """`start_worker("worker.apps.name", pool=…, concurrency=…)`: a worker for this test alone, to kill or to stop."""

    def start_worker(app_module: str, **options: Any) -> Worker:
        worker = Worker(app_module, tmp_path, **options)
        _used.append(worker)
        return worker.start()

    started_before = len(_used)
    yield start_worker
    for worker in _used[started_before:]:
        worker.kill()
