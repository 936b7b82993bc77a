"""The server of a session of tests, and a directory for each run, inside the server's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from firexkit.runtime.directory import RunDirectory, make_run_directory
from firexkit.runtime.server import Server
from firexkit.uid import new_run_id

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from firexkit._celery.types import Celery

RUNS: Final = "runs"


class Embedded:
    """A private Valkey that ends with the session, whatever ends that, and leaves nothing."""

    def __init__(self) -> None:
        self._server = Server()
        self._runs = self._server.directory / RUNS

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The server's address, with its password."""
        return self._server.url

    def bind(self, app: Celery) -> None:
        """Let an app send here, and read results here."""
        app.conf.update(broker_url=self.url, result_backend=self.url)

    def new_directory(self) -> RunDirectory:
        """The directory of a new run; it goes with the test."""
        return make_run_directory(self._runs, new_run_id())

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of the server, for a block."""
        with self._server.client() as client:
            yield client

    def forget(self) -> None:
        """Leave nothing of earlier runs on the server."""
        with self._server.client() as client:
            client.flushall()

    def clean(self) -> None:
        """Leave nothing of a test: no key, no directory."""
        self.forget()
        shutil.rmtree(self._runs, ignore_errors=True)
