r"""Reports: tasks say which of their results belong there, and report generators write them when the run is over.

A task and a generator that writes one line of text for each of its results::

    @report("seconds", text="{:.1f} s".format)
    @app.task(returns="seconds")
    def build(target):
        return 12.34


    class Summary(ReportGenerator):
        def __init__(self):
            self.lines = []

        def add_entry(self, *, value, formatters, task_name, **_):
            as_text = formatters.get("text", str)
            self.lines.append(f"{task_name:<40} {as_text(value)}")

        def post_run_report(self, root_id, *, uid, **_):
            Path(uid.logs_dir, "summary.txt").write_text("\n".join(self.lines))

What conducts the run calls the generators, each made once::

    reports = RunReports()
    errors = reports.pre_run(**arguments)
    ...
    errors += reports.post_run(app, root_id, **arguments)

Both decorators keep what they are told in ``task.report_meta``, a list of dicts with ``key_name`` and either
``priority`` and ``formatters`` or ``loaders``. Whatever takes a task's place copies that list.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple, TypeVar

from celery.states import SUCCESS

from firexkit._celery.patience import patience_of, patiently
from firexkit._celery.promises import is_made_by_each_app, when_made
from firexkit._celery.types import Celery
from firexkit._records import records_of
from firexkit._returns import ReturnsCodingException, is_dynamic_return
from firexkit.result import get_result_logging_name, get_results, get_task_name_from_result
from firexkit.result.tree import state_of
from firexkit.task import FireXTask, get_task_start_time

__all__ = ["ReportError", "ReportGenerator", "RunReports", "report", "report_data", "report_generators"]

logger: logging.Logger = logging.getLogger(__name__)

Formatter = Callable[..., Any]
TaskT = TypeVar("TaskT")

META: Final = "report_meta"


# ── what tasks declare ────────────────────────────────────────────────────────────────────


def report(key_name: str | None = None, priority: int = 0, **formatters: Formatter) -> Callable[[TaskT], TaskT]:
    """Put a result of a task into reports. Written above ``@app.task``; of several, the lowest comes first.

    Args:
        key_name: which of the task's returns; None for all of them, as a dict.
        priority: where it stands in a report: lower ones first, equal ones in the order in which tasks started.
        **formatters: how to show the value, by what a generator looks for: ``html=``, ``text=`` … A generator picks
            those it knows.

    Raises:
        TypeError: it does not stand above ``@app.task``, or not on a FireXTask.
        ReturnsCodingException: the task does not declare to return ``key_name``; raised when the task is made.
    """
    return _attaching({"key_name": key_name, "priority": priority, "formatters": formatters})


def report_data(key_name: str | None = None, **loaders: Formatter) -> Callable[[TaskT], TaskT]:
    """Give a result of a task to report generators as data, before any entry. Written above ``@app.task``.

    Args:
        key_name: which of the task's returns; None for all of them, as a dict.
        **loaders: how to make data of the value, by what a generator looks for. A generator picks those it knows.

    Raises:
        TypeError: it does not stand above ``@app.task``, or not on a FireXTask.
        ReturnsCodingException: the task does not declare to return ``key_name``; raised when the task is made.
    """
    return _attaching({"key_name": key_name, "loaders": loaders})


def _attaching(entry: dict[str, Any]) -> Callable[[TaskT], TaskT]:
    def decorate(task: TaskT) -> TaskT:
        if is_made_by_each_app(task):
            raise TypeError("a report can't be declared above @shared_task; declare the task with @app.task")
        when_made(task, lambda: _attach(task, entry))
        return task

    return decorate


def _attach(task: Any, entry: Mapping[str, Any]) -> None:
    if not isinstance(task, FireXTask):
        raise TypeError(f"a report is declared above @app.task, on a FireXTask, not on {task!r}")
    key, declared = entry["key_name"], task.return_keys
    if key is not None and key not in declared and not any(map(is_dynamic_return, declared)):
        offered = ", ".join(declared) or "nothing"
        raise ReturnsCodingException(f"{task.name}: its report is about {key!r}, but it declares to return {offered}")
    # A new list: a task that this one replaces may have the old one.
    setattr(task, META, [*getattr(task, META, ()), dict(entry)])


# ── what generators do ────────────────────────────────────────────────────────────────────


class ReportGenerator:
    """A report. Derive from it, and every run makes one object of the class, without arguments, and calls it.

    All methods do nothing until you define them. Keywords that a method has no use for can go to ``**_``.
    A class that other reports derive from, and that is none itself, also derives from :class:`abc.ABC` and leaves a
    method abstract.
    """

    def pre_run_report(self, **args: Any) -> None:
        """The run begins.

        Args:
            **args: its arguments, by name.
        """

    def load_data(
        self,
        *,
        key_name: str | None,
        value: Any,
        loaders: Mapping[str, Formatter],
        results: Mapping[str, Any],
        task_name: str,
        task_id: str,
    ) -> None:
        """Take data from one task with ``@report_data`` that succeeded; called before any entry.

        Args:
            key_name: which of the task's returns it is; None for all.
            value: the value, or the dict of all results.
            loaders: of the decorator, by name.
            results: all that the task returned.
            task_name: its full name.
            task_id: its id.
        """

    def add_entry(
        self,
        *,
        key_name: str | None,
        value: Any,
        priority: int,
        formatters: Mapping[str, Formatter],
        results: Mapping[str, Any],
        task_name: str,
        task_id: str,
    ) -> None:
        """Take one entry from one task with ``@report`` that succeeded; called in the order of the report.

        Args:
            key_name: which of the task's returns it is; None for all.
            value: the value, or the dict of all results.
            priority: of the decorator.
            formatters: of the decorator, by name.
            results: all that the task returned.
            task_name: its full name.
            task_id: its id.
        """

    def post_run_report(self, root_id: str, **args: Any) -> None:
        """The run is over, and all entries were added: write the report.

        Args:
            root_id: the id of the run's root task.
            **args: the run's arguments, by name.
        """


def report_generators() -> list[type[ReportGenerator]]:
    """Every class that derives from :class:`ReportGenerator`, directly or not, and is not abstract."""
    kinds = dict.fromkeys(_derived_from(ReportGenerator))
    return [kind for kind in kinds if not inspect.isabstract(kind)]


def _derived_from(kind: type[ReportGenerator]) -> Iterator[type[ReportGenerator]]:
    for derived in kind.__subclasses__():
        yield derived
        yield from _derived_from(derived)


# ── the reports of one run ────────────────────────────────────────────────────────────────


class ReportError(Exception):
    """Something of a report is missing: what, and as ``__cause__`` why."""


class RunReports:
    """The reports of one run: one generator of each kind. Load the run's task files before you make it.

    An error in a generator, or in one entry, never stops the others: it is logged, and returned by the method that
    was called.

    Args:
        *kinds: classes of the generators; by default those of :func:`report_generators`.
    """

    def __init__(self, *kinds: type[ReportGenerator]) -> None:
        self._errors: list[ReportError] = []
        self._generators: list[ReportGenerator] = []
        for kind in kinds or report_generators():
            with self._going_on(f"{kind.__qualname__} could not be made"):
                self._generators.append(kind())

    def pre_run(self, /, **args: Any) -> list[ReportError]:
        """Tell every generator that the run begins.

        Args:
            **args: the run's arguments.

        Returns:
            What went wrong.
        """
        for generator in self._generators:
            with self._going_on(f"{_kind(generator)}.pre_run_report"):
                generator.pre_run_report(**args)
        return self._errors_so_far()

    def post_run(self, app: Celery, root_id: str, /, **args: Any) -> list[ReportError]:
        """Give every generator the data and the entries of the tasks that succeeded, and let it write its report.

        Args:
            app: the run's app; its tasks have the metadata, its backend the results.
            root_id: the id of the run's root task; of a chain, its first member's.
            **args: the run's arguments.

        Returns:
            What went wrong.
        """
        entries = self._entries(app, root_id) if self._generators else []
        data = [entry for entry in entries if entry.is_data]
        shown = sorted((entry for entry in entries if not entry.is_data), key=lambda entry: entry.priority)
        for generator in self._generators:
            for entry in data:
                with self._going_on(f"{_kind(generator)}.load_data of {entry.where}"):
                    generator.load_data(loaders=dict(entry.meta["loaders"]), **entry.facts())
            for entry in shown:
                with self._going_on(f"{_kind(generator)}.add_entry of {entry.where}"):
                    formatters = dict(entry.meta.get("formatters", {}))
                    generator.add_entry(priority=entry.priority, formatters=formatters, **entry.facts())
            with self._going_on(f"{_kind(generator)}.post_run_report"):
                generator.post_run_report(**{**args, "root_id": root_id})
        return self._errors_so_far()

    def _entries(self, app: Celery, root_id: str) -> list[_Entry]:
        """What the tasks that succeeded have for reports, in the order in which they started."""
        ids: list[str] = []
        with self._going_on("Which tasks have reports can't be read"):
            ids = _started_with_reports(app, root_id)
        entries: list[_Entry] = []
        for task_id in ids:
            with self._going_on(f"Task {task_id} is missing in reports"):
                entries.extend(_entries_of(app, task_id))
        return entries

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as cause:
            error = ReportError(f"{what}: {type(cause).__name__}: {cause}")
            error.__cause__ = cause
            logger.error("%s", error, exc_info=error)
            self._errors.append(error)

    def _errors_so_far(self) -> list[ReportError]:
        """What went wrong since somebody asked."""
        errors, self._errors = self._errors, []
        return errors


class _Entry(NamedTuple):
    """What one task that succeeded has for reports: one element of its metadata, and what it returned."""

    meta: Mapping[str, Any]
    results: Mapping[str, Any]
    task_name: str
    task_id: str

    @property
    def is_data(self) -> bool:
        return "loaders" in self.meta

    @property
    def priority(self) -> int:
        return int(self.meta.get("priority", 0))

    @property
    def where(self) -> str:
        return get_result_logging_name(self.task_id, self.task_name)

    def facts(self) -> dict[str, Any]:
        """The keywords that data and entries share; new dicts, so that generators can't get into each other's way."""
        key, results = self.meta.get("key_name"), dict(self.results)
        if key is not None and key not in results:
            raise LookupError(f"it returned no {key!r}")
        value = dict(results) if key is None else results[key]
        identity = {"task_name": self.task_name, "task_id": self.task_id}
        return {"key_name": key, "value": value, "results": results, **identity}


def _started_with_reports(app: Celery, root_id: str) -> list[str]:
    ids: set[str] = patiently(records_of(app.backend).runs.reports, root_id, timeout=partial(patience_of, app.conf))
    starts = {task_id: get_task_start_time(task_id, app.backend) for task_id in ids}
    return sorted(ids, key=lambda task_id: (starts[task_id] or inf, task_id))


def _entries_of(app: Celery, task_id: str) -> list[_Entry]:
    result = app.AsyncResult(task_id)
    if state_of(result) != SUCCESS:
        return []
    name = get_task_name_from_result(result)
    meta = getattr(app.tasks.get(name), META, None)
    if meta is None:
        raise LookupError(
            f"{name or 'its name is unknown, so it'} declares no report here; is its file or plugin loaded?"
        )
    results = get_results(result, extract_from_parents=False)
    return [_Entry(entry, results, name, task_id) for entry in meta]


def _kind(generator: ReportGenerator) -> str:
    return type(generator).__qualname__
