"""Runs of a test on a worker of their own: send, wait, and keep what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from firexkit import _wire
from firexkit._celery.apart import current_apps_kept
from firexkit._celery.wakeup import being_told
from firexkit.journal import stream
from firexkit.journal.model import decoded
from firexkit.journal.tree import State, Tree
from firexkit.pytest.asked import app_for, chain_asked_for, members_of, with_arguments
from firexkit.pytest.ending import Ending, ending_of
from firexkit.pytest.known_values import KnownValues
from firexkit.pytest.outcome import Run, RunTimeoutError, Unended
from firexkit.pytest.picture import body_in, picture_of
from firexkit.pytest.worker import RunWorker
from firexkit.result import (
    ChainException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    disable_all_async_results,
    get_results,
    is_async_result_monkey_patched_to_track,
    monkey_patch_async_result_to_track_instances,
    teardown_monkey_patch_async_result_to_track_instances,
    wait_on_async_results,
)
from firexkit.uid import Uid

if TYPE_CHECKING:
    from firexkit._celery.types import AsyncResult, Celery
    from firexkit.pytest.embedded import Embedded
    from firexkit.runtime.directory import RunDirectory

CONCURRENCY: Final = 4
"""Tasks at a time; those that wait for others lend their slots."""
LOOK_EVERY: Final = 0.2
"""Seconds between two looks whether the worker lives."""
LIVENESS_EVERY: Final = 60.0
LAST_FACTS_PATIENCE: Final = 0.5
"""Seconds to wait for facts of tasks whose results are there already."""
ENTRIES_AT_ONCE: Final = 1000


class WorkerRuns:
    """Runs tasks on a worker that is forked for each run, so that it has what is defined and patched by then.

    Each run finds the server empty, as if it had one of its own.

    Args:
        app: the test's app.
        embedded: the session's server.
        timeout: seconds that a run may take unless it says so itself.

    Attributes:
        made: the runs so far, also those that came to no end.
    """

    def __init__(self, app: Celery, embedded: Embedded, timeout: float) -> None:
        self._app = app
        self._embedded = embedded
        self._timeout = timeout
        self.made: list[Run | Unended] = []

    def __call__(
        self, asked: Any, /, *, timeout: float | None = None, concurrency: int = CONCURRENCY, **arguments: Any
    ) -> Run:
        """Run tasks to their end, whatever end that is.

        Args:
            asked: a signature or chain, a task, or names of tasks with commas between them.
            timeout: seconds that it may take; None for what the setting ``firex_timeout`` says.
            concurrency: tasks at a time.
            **arguments: of the first task, and of all that come after it.

        Raises:
            RunTimeoutError: it takes longer; tells where its tasks are.
            WorkerEndedError: its worker ended before it did.
            InvalidChainArgsException: arguments are missing; nothing began.
            LookupError: no task has such a name, or several have.
            TypeError: what was asked for can't be run.
        """
        __tracebackhide__ = True
        patience = self._timeout if timeout is None else timeout
        if not patience > 0 or concurrency < 1:
            raise ValueError(f"a timeout above 0 and a concurrency of at least 1 are needed: {patience}, {concurrency}")
        chain = chain_asked_for(self._app, asked)
        app = app_for(chain, self._app)
        directory = self._embedded.new_directory()
        with current_apps_kept(), _results_cut_off_in_the_end():
            app.set_current()
            self._embedded.bind(app)
            app.conf.update({_wire.JOURNAL_SETTING: True})
            self._embedded.forget()
            sent = with_arguments(chain, arguments, Uid(directory.run_id, str(directory.path)))
            run = self._run(app, sent, directory, patience, concurrency, arguments)
        self.made.append(run)
        return run

    def _run(
        self,
        app: Celery,
        chain: Any,
        directory: RunDirectory,
        patience: float,
        concurrency: int,
        arguments: Mapping[str, Any],
    ) -> Run:
        __tracebackhide__ = True
        worker = RunWorker(app, directory, queues_of(app, chain), concurrency)
        tasks_run = True
        try:
            with being_told():
                result = chain.enqueue()
            worker.wait_until_ready()
            ending = self._end_of(result, worker, patience)
            if ending is None:
                raise RunTimeoutError(self._where(worker, directory.run_id, patience))
            tree, whole = self._journal(directory.run_id, result)
            values = KnownValues([arguments, *_bags(app, tree)], whole)
            tasks_run = not all(task.has_ended for task in tree)
        except Exception:
            self.made.append(Unended(directory.run_id, worker.log))
            raise
        finally:
            worker.end(tasks_run=tasks_run)
        return Run(
            id=directory.run_id,
            ending=ending,
            tree=tree,
            values=values,
            directory=directory.path,
            worker_log=worker.log,
        )

    def _end_of(self, result: AsyncResult, worker: RunWorker, patience: float) -> Ending | None:
        __tracebackhide__ = True
        try:
            wait_on_async_results(
                result,
                max_wait=patience,
                callbacks=[WaitLoopCallBack(worker.check, LOOK_EVERY, {})],
                check_task_worker_frequency=LIVENESS_EVERY,
            )
        except WaitOnChainTimeoutError:
            return None
        except ChainException as error:
            return ending_of(error, result)
        return Ending(get_results(result))

    def _where(self, worker: RunWorker, run_id: str, patience: float) -> str:
        bodies = "\n".join(f"a process is in\n{body}" for dump in worker.stacks() if (body := body_in(dump)))
        tree, _ = self._read(run_id)
        return f"the run has not ended within {patience:g} s\n{picture_of(tree)}\n{bodies}".rstrip()

    # ── what happened ─────────────────────────────────────────────────────────────────────

    def _journal(self, run_id: str, result: AsyncResult) -> tuple[Tree, dict[str, bytes]]:
        """The tree, with the ends of the tasks whose results are there, and whole values by their digests."""
        ended = [member.id for member in _members(result) if member.ready()]
        deadline = time.monotonic() + LAST_FACTS_PATIENCE
        tree, whole = self._read(run_id)
        while not all(_has_ended(tree, task_id) for task_id in ended) and time.monotonic() < deadline:
            time.sleep(0.01)
            tree, whole = self._read(run_id)
        return tree, whole

    def _read(self, run_id: str) -> tuple[Tree, dict[str, bytes]]:
        tree, whole, last = Tree(), dict[str, bytes](), "0"
        with self._embedded.client() as client:
            while (portion := stream.read(client, run_id, last, most=ENTRIES_AT_ONCE)).last != last:
                last = portion.last
                whole.update(portion.values)
                for _, fact in portion.facts:
                    tree.add(decoded(fact))
        return tree, whole


def queues_of(app: Celery, chain: Any) -> tuple[str, ...]:
    """The queues that a chain's tasks, and all others, are sent to: the app's own first."""
    asked_for: Iterable[Any] = (
        *(member.options.get("queue") for member in members_of(chain)),
        *(getattr(task, "queue", None) for task in app.tasks.values()),
    )
    own = str(app.conf.task_default_queue)
    return tuple(dict.fromkeys([own, *(queue for queue in asked_for if isinstance(queue, str))]))


def _bags(app: Celery, tree: Tree) -> Iterator[Mapping[str, Any]]:
    """What tasks that succeeded took and returned."""
    for task in tree:
        if task.state is State.SUCCEEDED:
            result = app.AsyncResult(task.id)
            yield get_results(result, return_keys_only=False, extract_from_parents=False)


def _has_ended(tree: Tree, task_id: str) -> bool:
    task = tree.get(task_id)
    return task is not None and task.has_ended


def _members(result: AsyncResult | None) -> Sequence[Any]:
    members: list[Any] = []
    while result is not None:
        members.append(result)
        result = result.parent
    return members


@contextmanager
def _results_cut_off_in_the_end() -> Iterator[None]:
    """A result that is collected after the server's end would look for it."""
    if is_async_result_monkey_patched_to_track():  # by the test, whose business it is
        yield
        return
    monkey_patch_async_result_to_track_instances()
    try:
        yield
    finally:
        disable_all_async_results()
        teardown_monkey_patch_async_result_to_track_instances()
