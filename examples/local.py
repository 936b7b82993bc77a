"""A private Valkey and a plain Celery worker, for as long as a block needs them.

    .venv/bin/python examples/local.py hello

runs ``hello.py`` of the current directory with both: Celery finds them by the environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from firexkit.result import (
    disable_all_async_results,
    monkey_patch_async_result_to_track_instances,
    teardown_monkey_patch_async_result_to_track_instances,
)
from firexkit.runtime.server import Server, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

END_PATIENCE = 5.0
LOOK_EVERY = 0.5
LOG_LINES_IN_ERRORS = 20
INTERRUPTED = 128 + signal.SIGINT

# The pipe it reads closes when its owner ends, whatever ended it; then all processes of the worker go.
WATCH_OWNER = 'read -r _; kill -KILL "-$1"'


class WorkerError(RuntimeError):
    """The worker ended while it was needed."""


@contextmanager
def local(module: str, directory: Path, *, concurrency: int) -> Iterator[Worker]:
    """A private Valkey, and a worker of an app on it; both end with the block, and with this process if it is killed.

    Nothing waits for the worker to be ready, because the broker keeps what is sent before.

    Args:
        module: the module of the Celery app.
        directory: where the module is.
        concurrency: how many tasks run at a time; those that wait for their children count, too.
    """
    with Server() as server, _results_cut_off_in_the_end():
        # In the environment Celery looks first, in this process and in the worker.
        os.environ["CELERY_BROKER_URL"] = os.environ["CELERY_RESULT_BACKEND"] = server.url
        with Worker(module, directory, concurrency) as worker:
            yield worker


@contextmanager
def _results_cut_off_in_the_end() -> Iterator[None]:
    """A result that is collected after the broker's end would look for it, for 20 seconds."""
    monkey_patch_async_result_to_track_instances()
    try:
        yield
    finally:
        disable_all_async_results()
        teardown_monkey_patch_async_result_to_track_instances()


class Worker:
    """``celery -A MODULE worker`` as a process.

    Attributes:
        log: its log; when the block failed it stays, and a note of the exception names it.
    """

    def __init__(self, module: str, directory: Path, concurrency: int) -> None:
        self.log = Path(tempfile.mkdtemp(prefix="firex-worker-"), "log")
        self._directory = directory
        self._command = [
            *(sys.executable, "-m", "celery", "-A", module, "worker"),
            *("--concurrency", str(concurrency), "--loglevel", "INFO"),
            *("--without-mingle", "--without-gossip"),  # it has no neighbours, and looking for some takes a second
        ]

    def check(self) -> None:
        """Say so if it is gone. Whoever waits for a result asks from time to time: a dead worker sends none.

        Raises:
            WorkerError: it is; tells the end of its log.
        """
        if (code := self._process.poll()) is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_ERRORS:]
            raise WorkerError("\n".join([f"the worker ended with {code}; the end of {self.log}:", *tail]))

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            # Its own session: Ctrl-C in a terminal is for this process, which then ends the worker.
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCH_OWNER, "firex-worker-watcher", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is None or isinstance(error, KeyboardInterrupt):
            shutil.rmtree(self.log.parent)
        else:
            error.add_note(f"The worker's log: {self.log}")

    def _stop(self) -> None:
        """End it without regard for its tasks: nobody waits for them any more."""
        family = _children_of(self._process.pid)
        self._process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_PATIENCE)
        self._watcher.communicate()
        self._process.wait()
        psutil.wait_procs(family, timeout=END_PATIENCE)


def _children_of(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _run_script(module: str, worker: Worker) -> int:
    """The exit code of MODULE.py, run beside its worker."""
    script = subprocess.Popen([sys.executable, f"{module}.py"])
    try:
        while script.poll() is None:
            worker.check()
            with suppress(subprocess.TimeoutExpired):
                script.wait(LOOK_EVERY)
        return script.returncode
    finally:
        script.kill()
        script.wait()


def main() -> int:
    """The command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: local.py MODULE")
    try:
        with local(sys.argv[1], Path.cwd(), concurrency=4) as worker:
            return _run_script(sys.argv[1], worker)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ServerError, WorkerError) as error:
        sys.exit(f"local: {error}")


if __name__ == "__main__":
    sys.exit(main())
