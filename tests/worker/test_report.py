"""Reports of what tasks did in a worker, made by the process that conducts the run."""

import pytest

from firexkit.report import ReportError, ReportGenerator, RunReports
from worker.apps import reports as tasks

APP = "worker.apps.reports"

pytestmark = pytest.mark.timeout(60)


class Table(ReportGenerator):
    """A text file with one line for each result, and whose it is."""

    def __init__(self):
        self.owners = {}
        self.lines = []

    def load_data(self, *, value, loaders, **_):
        if "table" in loaders:
            self.owners = loaders["table"](value)

    def add_entry(self, *, value, formatters, results, task_name, key_name, **_):
        as_text = formatters.get("text", str)
        owner = self.owners.get({7: "printer", 6: "parser"}[results["size"]], "")
        self.lines.append(f"{task_name.rsplit('.', 1)[-1]} | {key_name} | {as_text(value)} | {owner}")

    def post_run_report(self, root_id, *, directory=None, **_):
        if directory is not None:
            directory.joinpath("table.txt").write_text("\n".join([root_id, *self.lines]))


class Broken:
    """Fails in every way; not derived, so that no other run in this process makes one."""

    def pre_run_report(self, **args):
        raise OSError("no disk")

    def load_data(self, **_):
        raise ValueError("data")

    def add_entry(self, *, key_name, value, **_):
        raise ValueError(f"{key_name} {value}")

    def post_run_report(self, root_id, **args):
        raise OSError("no disk")


@pytest.fixture
def root_id(worker_for):
    """The id of a run that has ended."""
    worker_for(APP)
    result = tasks.root.delay()
    result.get(timeout=30)
    return result.id


def test_a_table_of_what_succeeded(root_id, tmp_path):
    """In the order of priority, then as tasks started; what failed is not in it, and a missing entry is told."""
    errors = RunReports(Table).post_run(tasks.app, root_id, directory=tmp_path)

    assert tmp_path.joinpath("table.txt").read_text().splitlines() == [
        root_id,
        "build | size | 7 | Bob",
        "build | size | 6 | Ada",
        "build | seconds | 1.8 s | Bob",
        "build | seconds | 1.5 s | Ada",
    ]
    assert [str(error) for error in errors if "measure" not in str(error)] == []
    assert [str(error.__cause__) for error in errors] == ["it returned no 'size'"]


def test_a_broken_generator_leaves_the_others_alone(root_id, tmp_path, caplog):
    """Its errors are told, each with its cause, and logged; the other's file is there."""
    reports = RunReports(Broken, Table)
    errors = reports.pre_run() + reports.post_run(tasks.app, root_id, directory=tmp_path)
    told = [str(error.__cause__) for error in errors if str(error).startswith("Broken.")]

    assert all(isinstance(error, ReportError) for error in errors)
    assert told == [
        *("no disk", "data"),
        *("size 7", "size 6", "seconds 1.75", "seconds 1.5", "it returned no 'size'"),
        "no disk",
    ]
    assert len(tmp_path.joinpath("table.txt").read_text().splitlines()) == 5
    assert [record.exc_info[1] for record in caplog.records if record.name == "firexkit.report"] == errors


def test_another_run_has_its_own_reports(root_id, tmp_path):
    """On the same broker, what one run reports is not in another's."""
    other = tasks.build.delay("parser")
    other.get(timeout=20)
    errors = RunReports(Table).post_run(tasks.app, other.id, directory=tmp_path)

    assert errors == []
    assert tmp_path.joinpath("table.txt").read_text().splitlines() == [
        other.id,
        "build | size | 6 | ",
        "build | seconds | 1.5 s | ",
    ]
