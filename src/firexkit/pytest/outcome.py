"""What came of a run in a test, with asserts that tell what happened instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from firexkit.journal.model import Entry
from firexkit.journal.tree import State, Task, Tree
from firexkit.pytest.ending import Ending
from firexkit.pytest.known_values import KnownValues
from firexkit.pytest.picture import line_of, picture_of, text_of_page
from firexkit.runtime.tracebacks import own_traceback
from firexkit.task.names import short

LOG_LINES: Final = 40
"""Of a log, shown with a failed test."""

Errors: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]


class RunTimeoutError(TimeoutError):
    """A run of a test took too long; the text shows where it was."""


class WorkerEndedError(RuntimeError):
    """The worker of a test's run ended before the run did."""


class Results(dict[str, Any]):
    """What a chain returned, by name; a name that is missing is told with those that are there."""

    def __missing__(self, name: str) -> Any:
        """Say what there is instead."""
        raise KeyError(f"nothing was returned as {name!r}; there is {', '.join(self) or 'nothing'}")


@dataclass(frozen=True)
class RunTask:
    """One task of a run.

    Attributes:
        task: what the journal has of it.
        arguments: what it took, by name.
        results: what it returned, by name.
    """

    task: Task
    arguments: Mapping[str, Any]
    results: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its short name."""
        return short(self.task.name)

    @property
    def id(self) -> str:
        """Its id."""
        return self.task.id

    @property
    def state(self) -> State:
        """What became of it."""
        return self.task.state

    @property
    def error(self) -> str:
        """What it failed with, as text: ``ValueError: too short``; empty if it has not failed."""
        failure = self.task.failure if self.state is State.FAILED else None
        return f"{failure.error}: {failure.message}" if failure is not None else ""

    @property
    def log(self) -> str:
        """What it logged and printed, as text."""
        began = self.task.began
        path = Path(began.log) if began is not None and began.log else None
        return text_of_page(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else ""

    def argument(self, name: str) -> Any:
        """What it took for a parameter.

        Raises:
            AssertionError: it has no parameter of that name.
        """
        __tracebackhide__ = True
        return _of(self.arguments, name, f"{self.name} took no argument")

    def result(self, name: str) -> Any:
        """What it returned by that name.

        Raises:
            AssertionError: it returned nothing of that name.
        """
        __tracebackhide__ = True
        return _of(self.results, name, f"{self.name} ({line_of(self.task)}) returned nothing as")

    def __str__(self) -> str:
        return line_of(self.task)


@dataclass(frozen=True)
class Unended:
    """A run of which nothing came: it took too long, or its worker ended.

    Attributes:
        id: the run's id.
        worker_log: the log of its worker.
    """

    id: str
    worker_log: Path

    def sections(self) -> Iterator[tuple[str, str]]:
        """What pytest shows of it below a test that failed: headings with their texts."""
        if self.worker_log.is_file():
            lines = text_of_page(self.worker_log.read_text(encoding="utf-8", errors="replace")).splitlines()
            yield f"log of the worker of {self.id}", "\n".join(lines[-LOG_LINES:])


@dataclass(frozen=True, repr=False)
class Run:
    """What came of a run.

    Attributes:
        id: the run's id, and that of its first task.
        ending: how its chain ended.
        tree: every task of it.
        values: values as they are in Python.
        directory: its directory, which goes with the test; None if it has none.
        worker_log: the log of its worker; None if it had none.
    """

    id: str
    ending: Ending
    tree: Tree
    values: KnownValues
    directory: Path | None = None
    worker_log: Path | None = None

    @property
    def results(self) -> Mapping[str, Any]:
        """What its chain returned, by name; as far as it came, if it failed."""
        return Results(self.ending.results)

    @property
    def succeeded(self) -> bool:
        """Whether its chain came to its end."""
        return self.error is None

    @property
    def error(self) -> BaseException | None:
        """What the task that failed by itself raised; None if the run succeeded."""
        return self.ending.error

    @property
    def failed_task(self) -> str:
        """The short name of that task; empty if none is to blame."""
        failed = self.tree.get(self.ending.failed_id)
        return short(failed.name) if failed is not None else ""

    @property
    def traceback(self) -> str:
        """Where that task failed, without the frames of Celery and of this kit."""
        failed = self.tree.get(self.ending.failed_id)
        return own_traceback(failed.failure.traceback) if failed is not None and failed.failure is not None else ""

    # ── its tasks ─────────────────────────────────────────────────────────────────────────

    def tasks(self, name: str | None = None) -> list[RunTask]:
        """Its tasks, or those of a name, short or full; parents before children, as they were sent."""
        found = (task for task in self.tree if name is None or name in (task.name, short(task.name)))
        return [RunTask(task, self._values(task.arguments), self._values(task.results)) for task in found]

    def task(self, name: str) -> RunTask:
        """The one task of that name.

        Raises:
            AssertionError: there is none, or there are several.
        """
        __tracebackhide__ = True
        found = self.tasks(name)
        if not found:
            _fail(f"the run has no task called {name}{_did_you_mean(name, self._names())}", self)
        if len(found) > 1:
            _fail(f"the run has {len(found)} tasks called {name}; tasks({name!r}) gives them all", self)
        return found[0]

    def logs(self, name: str) -> str:
        """What the task of that name logged and printed, as text; of several, one after the other.

        Raises:
            AssertionError: there is none.
        """
        __tracebackhide__ = True
        found = self.tasks(name) or [self.task(name)]
        return "\n".join(task.log for task in found)

    def _values(self, entries: Sequence[Entry]) -> dict[str, Any]:
        return {entry.name: self.values.of(entry) for entry in entries}

    def _names(self) -> list[str]:
        return [short(task.name) for task in self.tree]

    def _began(self) -> list[str]:
        started = [(task.started_at, short(task.name)) for task in self.tree if task.started_at is not None]
        return [name for _, name in sorted(started, key=lambda one: one[0] or 0.0)]

    # ── asserts ───────────────────────────────────────────────────────────────────────────

    def assert_succeeded(self) -> None:
        """Check that its chain came to its end.

        Raises:
            AssertionError: it failed; tells which task failed of what, and where.
        """
        __tracebackhide__ = True
        if self.error is not None:
            _fail(f"the run failed: {self._told()}", self)

    def assert_failed(self, task: str | None = None, *, error: Errors | None = None, match: str | None = None) -> None:
        """Check that it failed, and of what.

        Args:
            task: the short name of the task that failed by itself.
            error: the class of what that task raised, or several.
            match: a regular expression that is found in the error's text.

        Raises:
            AssertionError: it succeeded, or failed of something else.
        """
        __tracebackhide__ = True
        if self.error is None:
            _fail("the run succeeded, but was expected to fail", self)
        if task is not None and task != self.failed_task:
            _fail(f"{task} was expected to fail the run, but it failed otherwise: {self._told()}", self)
        if error is not None and not isinstance(self.error, error):
            kinds = error if isinstance(error, tuple) else (error,)
            wanted = " or ".join(kind.__name__ for kind in kinds)
            _fail(f"{wanted} was expected, but the run failed otherwise: {self._told()}", self)
        if match is not None and not re.search(match, str(self.error)):
            _fail(f"{match!r} is not found in what the run failed with: {self._told()}", self)

    def assert_ran(self, *names: str) -> None:
        """Check that tasks of these names began, in this order; others may have begun between them.

        Args:
            *names: short names.

        Raises:
            AssertionError: one of them has not begun, or not after those before it.
        """
        __tracebackhide__ = True
        began = self._began()
        left = iter(began)
        for number, name in enumerate(names):
            if name not in left:  # which goes on behind the one that was found before
                where = f" after {names[number - 1]}" if number and name in began else ""
                hint = "" if where else _did_you_mean(name, began)
                _fail(f"{name} did not run{where}{hint}; these began: {', '.join(began) or 'none'}", self)

    def assert_not_ran(self, *names: str) -> None:
        """Check that no task of these names began.

        Args:
            *names: short names.

        Raises:
            AssertionError: one did.
        """
        __tracebackhide__ = True
        if ran := [name for name in names if name in self._began()]:
            _fail(f"{' and '.join(ran)} ran", self)

    # ── what is shown ─────────────────────────────────────────────────────────────────────

    def _told(self) -> str:
        who = f"{self.failed_task} failed with " if self.failed_task else ""
        return f"{who}{type(self.error).__name__}: {self.error}"

    def sections(self) -> Iterator[tuple[str, str]]:
        """What pytest shows of it below a test that failed: headings with their texts."""
        yield f"run {self.id}", str(self)
        failed = [task for task in self.tasks() if task.id == self.ending.failed_id]
        for task in failed:
            yield f"log of {task.name}", "\n".join(task.log.splitlines()[-LOG_LINES:])
        if not failed and self.worker_log is not None:
            yield from Unended(self.id, self.worker_log).sections()

    def __repr__(self) -> str:
        # pytest shows it in asserts: no values, which may be secret or long.
        return f"<Run {self.id} {'succeeded' if self.error is None else f'failed: {self._told()}'}>"

    def __str__(self) -> str:
        ending = "succeeded" if self.error is None else f"failed: {self._told()}"
        return f"{self.id} {ending}\n{picture_of(self.tree)}\n{self.traceback}".rstrip()


def _of(values: Mapping[str, Any], name: str, nothing: str) -> Any:
    __tracebackhide__ = True
    if name not in values:
        raise AssertionError(f"{nothing} {name!r}; there is {', '.join(values) or 'nothing'}")
    return values[name]


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, set(names), n=1)
    return f", did you mean {close[0]}?" if close else ""


def _fail(what: str, run: Run) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError(f"{what}\n{run}")
