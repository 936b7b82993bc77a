"""Runs of a test in its own process: no server, no worker; what debuggers and coverage see."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from firexkit._celery.apart import current_apps_kept, other_apps, other_backend
from firexkit._serialization.masking import masked
from firexkit.journal.model import Began, Entry, Failed, Retried, Returned
from firexkit.journal.tree import Tree
from firexkit.journal.valuing import Valuer
from firexkit.pytest.asked import app_for, chain_asked_for, with_arguments
from firexkit.pytest.ending import Ending, ending_of
from firexkit.pytest.known_values import KnownValues
from firexkit.pytest.outcome import Run
from firexkit.result import (
    ChainException,
    first_non_chain_interrupted_exception,
    get_results,
    get_task_results,
    get_tasks_inputs_from_result,
    last_causing_chain_interrupted_exception,
    wait_on_async_results,
)
from firexkit.runtime.directory import make_run_directory
from firexkit.task.secrets import names_of
from firexkit.uid import Uid, new_run_id

if TYPE_CHECKING:
    from firexkit._celery.types import Celery
    from firexkit.runtime.directory import RunDirectory

SETTINGS: Final = {
    "broker_url": "memory://",
    "result_backend": "cache+memory://",
    "result_extended": False,  # arguments of tasks that fail would have to be JSON
    "task_always_eager": True,
    "task_store_eager_result": True,
}


class EagerRuns:
    """Runs tasks one after the other in this process.

    Children run when they are sent, and nothing is parallel. The tree has what Celery's signals tell: the states of
    tasks, the arguments and results of those that succeeded.

    Args:
        app: the test's app.

    Attributes:
        made: the runs so far.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._open = ExitStack()
        self.made: list[Run] = []

    def __call__(self, asked: Any, /, **arguments: Any) -> Run:
        """Run tasks to their end, whatever end that is.

        Args:
            asked: a signature or chain, a task, or names of tasks with commas between them.
            **arguments: of the first task, and of all that come after it.

        Raises:
            InvalidChainArgsException: arguments are missing; nothing began.
            LookupError: no task has such a name, or several have.
            TypeError: what was asked for can't be run.
        """
        chain = chain_asked_for(self._app, asked)
        app = app_for(chain, self._app)
        directory = self._new_directory()
        told = _Told()
        with current_apps_kept(), _eager(app), told.listening():
            app.set_current()
            ending = _end_of(with_arguments(chain, arguments, Uid(directory.run_id, str(directory.path))), told)
        run = Run(
            id=directory.run_id,
            ending=ending,
            tree=told.tree,
            values=KnownValues([arguments, *told.bags], {}),
            directory=directory.path,
        )
        self.made.append(run)
        return run

    def _new_directory(self) -> RunDirectory:
        made = self._open.enter_context(tempfile.TemporaryDirectory(prefix="firex-"))
        return make_run_directory(Path(made), new_run_id())

    def close(self) -> None:
        """Remove the directories of the runs."""
        self._open.close()


def _end_of(chain: Any, told: _Told) -> Ending:
    try:
        result = chain.enqueue()
    except Exception as error:
        if not told.failed:
            raise  # before anything began
        # Celery raises what a member of a chain failed with when the next one is to run in this process.
        return Ending(told.results, first_non_chain_interrupted_exception(error), _blamed(error) or told.failed[-1])
    try:
        wait_on_async_results(result)
    except ChainException as error:
        return ending_of(error, result)
    return Ending(get_results(result))


def _blamed(error: BaseException) -> str:
    return str(getattr(last_causing_chain_interrupted_exception(error), "task_id", None) or "")


@contextmanager
def _eager(app: Celery) -> Iterator[None]:
    """In the block, this app, and every other whose tasks may send each other, runs what is sent to it at once."""
    with ExitStack() as stack:
        for each in (app, *other_apps(app)):
            stack.enter_context(other_backend(each))
            stack.enter_context(_with_settings(each))
        yield


@contextmanager
def _with_settings(app: Celery) -> Iterator[None]:
    before = dict(app.conf.changes)
    app.conf.update(SETTINGS)
    # A task has asked for this setting when it was made.
    tasks = [task for task in app.tasks.values() if not task.store_eager_result]
    for task in tasks:
        task.store_eager_result = True
    try:
        yield
    finally:
        for task in tasks:
            del task.store_eager_result
        app.conf.changes.clear()
        app.conf.changes.update(before)


class _Told:
    """What Celery's signals tell of tasks that run in this process."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.bags: list[Mapping[str, Any]] = []
        self.failed: list[str] = []
        self.results: dict[str, Any] = {}
        self._valuer = Valuer()
        self._running: list[Began] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        receivers = (
            (signals.task_prerun, self._begins),
            (signals.task_success, self._returns),
            (signals.task_failure, self._fails),
            (signals.task_retry, self._is_retried),
            (signals.task_postrun, self._ends),
        )
        for signal, receiver in receivers:
            signal.connect(receiver)
        try:
            yield
        finally:
            for signal, receiver in receivers:
                signal.disconnect(receiver)

    def _begins(self, task: Any, task_id: str, **_: Any) -> None:
        attempt = int(task.request.retries or 0) + 1
        parent = self._running[-1].task if self._running else ""
        began = Began(at=time.time(), task=task_id, attempt=attempt, name=task.name, parent=parent)
        self._running.append(began)

    def _returns(self, sender: Any = None, result: Any = None, **_: Any) -> None:
        bag = result if isinstance(result, Mapping) else {}
        self.bags.append(bag)
        returned = get_task_results(bag)
        given = get_tasks_inputs_from_result(bag)
        if len(self._running) == 1:
            self.results.update(returned)
        self._running[-1] = _with_arguments(self._running[-1], self._entries(sender, given))
        self._ends_with(Returned, results=self._entries(sender, returned))

    def _fails(self, exception: BaseException, einfo: Any = None, **_: Any) -> None:
        self.failed.append(self._running[-1].task)
        trace = str(getattr(einfo, "traceback", "") or "")
        self._ends_with(Failed, error=type(exception).__name__, message=str(exception), traceback=trace)

    def _is_retried(self, reason: Any = None, **_: Any) -> None:
        self._ends_with(Retried, reason=str(reason))

    def _ends_with(self, kind: Any, **fields: Any) -> None:
        body = self._running[-1]
        self.tree.add(kind(at=time.time(), task=body.task, attempt=body.attempt, **fields))

    def _ends(self, **_: Any) -> None:
        self.tree.add(self._running.pop())

    def _entries(self, task: Any, values: Mapping[str, Any]) -> tuple[Entry, ...]:
        shown = masked(values, names_of(task))
        return tuple(Entry(name=str(name), value=self._valuer.value("", value).shown) for name, value in shown.items())


def _with_arguments(began: Began, arguments: tuple[Entry, ...]) -> Began:
    return Began(
        at=began.at,
        task=began.task,
        attempt=began.attempt,
        name=began.name,
        parent=began.parent,
        arguments=arguments,
    )
