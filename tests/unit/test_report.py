"""Reports: what tasks declare, which generators there are, and what one run makes of both."""

import logging
from abc import ABC, abstractmethod

import pytest
from celery import Task
from kombu.utils.uuid import uuid

from firexkit._records import records_of
from firexkit.report import ReportError, ReportGenerator, RunReports, report, report_data, report_generators
from firexkit.task import FireXTask, ReturnsCodingException
from firexkit.tasks import nop
from unit.task_support import eager_app, make_app


@pytest.fixture
def app():
    return eager_app()


@pytest.fixture
def build(app):
    """Tasks of one run: `build(returns, value, *decorators)` declares one and puts it into the run."""
    steps = []

    def build(returns, value, *decorators):
        def body(**_):
            return value() if callable(value) else value

        task = app.task(body, shared=False, name=f"m.task{len(steps)}", returns=returns)
        for decorate in decorators:
            task = decorate(task)
        steps.append(task)
        return task

    build.steps = steps
    return build


def ran(app, build):
    """The id of a run in which each task that was built has run, put on record as a worker does it."""
    run = uuid()
    for step in build.steps:
        task_id = step.apply(throw=False).id
        app.backend.set(task_id, step.name)
        if step.has_report_meta():
            records_of(app.backend).runs.add_report(task_id, run)
    return run


class Heard(ReportGenerator):
    """Remembers every call; tests that want to know give it to RunReports."""

    def __init__(self):
        self.calls = heard

    def pre_run_report(self, **args):
        self.calls.append(("pre", args))

    def load_data(self, *, loaders, value, task_name, **_):
        self.calls.append(("data", task_name, {name: load(value) for name, load in loaders.items()}))

    def add_entry(self, *, key_name, value, formatters, task_name, **_):
        self.calls.append(("entry", task_name, key_name, formatters.get("text", lambda value: value)(value)))

    def post_run_report(self, root_id, **args):
        self.calls.append(("post", root_id, args))


heard = []


@pytest.fixture(autouse=True)
def nothing_heard():
    heard.clear()


# ── what tasks declare ───────────────────────────────────────────────────────────────────


def test_metadata_is_an_attribute_of_the_task(build):
    """Each decorator leaves a dict in report_meta; that of the lowest comes first."""
    task = build(("y", "z"), (1, 2), report_data("z", rows=len), report("y", 3, html=str), report())

    assert task.has_report_meta()
    assert task.report_meta == [
        {"key_name": "z", "loaders": {"rows": len}},
        {"key_name": "y", "priority": 3, "formatters": {"html": str}},
        {"key_name": None, "priority": 0, "formatters": {}},
    ]


def test_a_task_is_not_made_before_its_time():
    """Settings that an app gets after a task was declared are those of the task, with a report as without."""
    app = make_app()
    task = report("y")(app.task(lambda: 1, shared=False, name="m.late", returns="y"))
    app.conf.task_acks_late = True

    assert task.acks_late
    assert task.report_meta[0]["key_name"] == "y"


def test_a_task_of_a_finalized_app_can_have_a_report():
    """It makes no difference whether the app makes the task at once."""
    app = make_app()
    app.finalize()

    assert report("y")(app.task(lambda: 1, shared=False, name="m.at_once", returns="y")).has_report_meta()


def test_a_report_is_about_a_declared_return(build):
    """A key that the task does not return is an error that names the task and what it does return."""
    task = build(("y", "z"), (1, 2), report("other"))

    with pytest.raises(ReturnsCodingException, match=r"m\.task0: .*'other'.* y, z"):
        task.name  # noqa: B018 - makes the task


def test_dynamic_returns_may_have_any_key(build):
    """Nobody can say before what a task with dynamic returns will return."""
    assert build(FireXTask.DYNAMIC_RETURN, {"y": 1}, report("y")).has_report_meta()


def test_what_another_task_has_is_left_alone(build):
    """A task that got its metadata from the one that it replaces can have more, and the replaced one stays as it is."""
    old, new = build("y", 1, report("y")), build("y", 2)
    new.report_meta = old.report_meta
    report(None, 5)(new)

    assert (len(old.report_meta), len(new.report_meta)) == (1, 2)


def test_reports_stand_above_the_task_of_an_app():
    """Below it, or above a task that each app makes for itself, nobody would find the metadata."""
    with pytest.raises(TypeError, match=r"above @app\.task.* not on <function"):
        report()(lambda x: x)
    with pytest.raises(TypeError, match=r"above @shared_task; declare the task with @app\.task"):
        report()(nop)


def test_only_a_firex_task_is_remembered():
    """A plain task with a report would be forgotten in silence."""
    app = make_app()
    app.finalize()

    with pytest.raises(TypeError, match="FireXTask"):
        report()(app.task(lambda: 1, shared=False, name="m.plain", base=Task))


# ── which generators there are ───────────────────────────────────────────────────────────


def test_every_class_that_derives_is_a_generator():
    """Directly or not, once each; a class that leaves a method abstract is none."""

    class Base(ReportGenerator, ABC):
        @abstractmethod
        def post_run_report(self, root_id, **args): ...

    class First(Base):
        def post_run_report(self, root_id, **args): ...

    class Second(First): ...

    class Both(Second, First): ...

    ours = [kind for kind in report_generators() if issubclass(kind, Base)]

    assert ours == [First, Second, Both]


# ── a run ────────────────────────────────────────────────────────────────────────────────


def test_a_run_from_its_begin_to_its_reports(app, build):
    """Data first, then entries in the order of priority and start; then the end."""
    build("y", 1, report("y", priority=2))
    build("y", 2, report("y", text="{:03}".format))
    build(("y", "z"), (3, 4), report_data("z", double=lambda z: z * 2), report())
    build("y", 9)
    reports, root = RunReports(Heard), None
    errors = reports.pre_run(colour="red")
    root = ran(app, build)
    errors += reports.post_run(app, root, colour="red")

    assert errors == []
    assert heard == [
        ("pre", {"colour": "red"}),
        ("data", "m.task2", {"double": 8}),
        ("entry", "m.task1", "y", "002"),
        ("entry", "m.task2", None, {"y": 3, "z": 4}),
        ("entry", "m.task0", "y", 1),
        ("post", root, {"colour": "red"}),
    ]


def test_a_failed_task_has_no_entry(app, build):
    """Only what succeeded is reported."""
    build("y", lambda: 1 // 0, report("y"))
    root = ran(app, build)

    assert RunReports(Heard).post_run(app, root) == []
    assert heard == [("post", root, {})]


def test_the_reports_of_another_run_are_left_out(app, build):
    """Runs that share a backend do not share reports."""
    build("y", 1, report("y"))
    ran(app, build)

    assert RunReports(Heard).post_run(app, "another") == []
    assert heard == [("post", "another", {})]


def test_a_run_may_have_arguments_of_any_name(app):
    """Names of our own parameters are free for the run's arguments."""
    reports = RunReports(Heard)
    errors = reports.pre_run(app=2, root_id=3) + reports.post_run(app, "r", app=2, root_id=3)

    assert errors == []
    assert heard == [("pre", {"app": 2, "root_id": 3}), ("post", "r", {"app": 2})]


def test_generators_do_not_get_into_each_others_way(app, build):
    """What one does to what it was given, no other sees."""

    class Greedy(ReportGenerator):
        def add_entry(self, *, formatters, results, value, **_):
            for taken in (formatters, results, value):
                taken.clear()

    build("y", 1, report(text=str))

    assert RunReports(Greedy, Heard).post_run(app, ran(app, build)) == []
    assert heard[0] == ("entry", "m.task0", None, "{'y': 1}")


# ── what goes wrong ──────────────────────────────────────────────────────────────────────


def test_a_generator_that_cannot_be_made_stops_nothing():
    """The others are called, and the error is returned once, with its cause."""

    class Unmakeable:  # not derived, so that no other run in this process makes one
        def __init__(self):
            raise OSError("no disk")

    reports = RunReports(Unmakeable, Heard)
    (error,) = reports.pre_run()

    assert isinstance(error, ReportError)
    assert (type(error.__cause__), heard) == (OSError, [("pre", {})])
    assert "Unmakeable could not be made: OSError: no disk" in str(error)
    assert reports.pre_run() == []


def test_errors_of_a_generator_stop_neither_it_nor_others(app, build, caplog):
    """Each step that fails is an error that says where; every other step is done. All are logged with traceback."""

    class Broken:  # not derived, so that no other run in this process makes one
        def pre_run_report(self, **args):
            raise ValueError("pre")

        def add_entry(self, *, value, **_):
            raise ValueError(f"entry {value}")

        def post_run_report(self, root_id, **args):
            raise ValueError("post")

    build("y", 1, report("y"))
    build("y", 2, report("y"))
    reports = RunReports(Broken, Heard)
    with caplog.at_level(logging.ERROR, "firexkit.report"):
        errors = reports.pre_run() + reports.post_run(app, ran(app, build))

    assert [str(error.__cause__) for error in errors] == ["pre", "entry 1", "entry 2", "post"]
    assert "Broken.add_entry of m.task0[" in str(errors[1])
    assert [call[0] for call in heard] == ["pre", "entry", "entry", "post"]
    assert [bool(record.exc_info) for record in caplog.records] == [True] * 4


def test_an_entry_that_a_formatter_breaks_is_missing_alone(app, build):
    """The other entries of the same task are there."""
    build("y", 1, report("y", text=lambda value: value.no_such_name), report())
    (error,) = RunReports(Heard).post_run(app, ran(app, build))

    assert isinstance(error.__cause__, AttributeError)
    assert [call[2] for call in heard if call[0] == "entry"] == [None]


def test_a_dynamic_return_that_did_not_come_is_an_error(app, build):
    """The entry is missing, and the error names the key."""
    build(FireXTask.DYNAMIC_RETURN, {"y": 1}, report("z"))
    (error,) = RunReports(Heard).post_run(app, ran(app, build))

    assert "returned no 'z'" in str(error)
    assert [call[0] for call in heard] == ["post"]


def test_a_task_that_is_unknown_here_is_an_error(app, build):
    """A worker knew a task's report, and the process that makes the reports does not."""
    task = build("y", 1, report("y"))
    build("y", 2, report("y"))
    root = ran(app, build)
    del task.report_meta
    (error,) = RunReports(Heard).post_run(app, root)

    assert "m.task0 declares no report here" in str(error)
    assert [call[0] for call in heard] == ["entry", "post"]
