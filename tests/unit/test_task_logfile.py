"""The log file of each execution, and the banners in it (5.9)."""

import logging
from pathlib import Path

import pytest
from celery.app.task import Context
from celery.utils.log import get_task_logger

from firexkit.task import FireXTask, banner
from unit.task_support import eager_app, events_of, hearing_class, make_app, request_of, worker_log

HOST = "w@h"
PATHS = (
    "root_logger_file_handler",
    "worker_log_file",
    "file_logging_dirpath",
    "logs_dir_for_worker",
    "task_logging_dirpath",
    "task_logfile",
    "task_log_url",
    "worker_log_url",
)


@pytest.fixture
def log(tmp_path):
    """The worker's log file."""
    with worker_log(tmp_path / "logs" / "workers" / "w.html") as path:
        yield path


def logged_in(task, *args, **fields):
    """The text of the log file that one execution of the task writes."""
    with request_of(task, hostname=HOST, **fields) as request:
        path = Path(task.task_logfile)
        task(*args)
    assert path.name == f"{task.name}_{request.id}.html"
    return path.read_text()


def make_task(function, *, app=None, **options):
    return (app or make_app()).task(function, shared=False, **{"name": "m.logging"} | options)


# ── paths ────────────────────────────────────────────────────────────────────────────────


def test_paths_are_derived_from_the_workers_log_file(log):
    """Beside the worker's log file there is a directory for each worker, with a file for each execution."""
    task = make_task(lambda: None)
    with request_of(task, hostname=HOST, id="i-1"):
        found = {name: str(getattr(task, name)) for name in PATHS[1:]}

    assert found == {
        "worker_log_file": str(log),
        "file_logging_dirpath": str(log.parent),
        "logs_dir_for_worker": str(log.parent.parent),
        "task_logging_dirpath": str(log.parent / HOST),
        "task_logfile": str(log.parent / HOST / "m.logging_i-1.html"),
        "task_log_url": str(log.parent / HOST / "m.logging_i-1.html"),
        "worker_log_url": f"{log}#i-1",
    }


def test_the_handler_of_the_root_logger_is_found(log):
    """The worker's handler is the first watched one of the root logger."""
    task = make_task(lambda: None)

    assert task.root_logger is logging.getLogger()
    assert task.root_logger_file_handler.baseFilename == str(log)


def test_the_paths_of_another_request_are_told(log):
    """A request object says where its log is."""
    task = make_task(lambda: None)
    request = Context({"id": "i-2", "hostname": "v@k", "task": task.name})

    assert str(task.get_task_logging_dirpath_from_request(request)) == str(log.parent / "v@k")
    assert str(task.get_task_logfile_from_request(request)) == str(log.parent / "v@k" / "m.logging_i-2.html")


def test_a_file_is_named_after_the_task_and_its_id():
    """The pieces of a path are told for any task and id."""
    assert FireXTask.get_task_logfilename("m.t", "i-3") == "m.t_i-3.html"
    assert str(FireXTask.get_task_logfile("/logs", "m.t", "i-3")) == "/logs/m.t_i-3.html"


class Viewer:
    """An application that shows logs in a browser."""

    def has_viewer(self):
        return True

    def get_log_entry_url(self, path):
        return f"http://viewer/{path}"


def test_a_viewer_gives_the_logs_an_address(log):
    """With a viewer the url is what it says of the path relative to the logs."""
    task = make_task(lambda: None, app=make_app(install_config=Viewer(), logs_dir=str(log.parent.parent)))
    with request_of(task, hostname=HOST, id="i-4"):
        found = task.task_log_url

    assert found == "http://viewer/workers/w@h/m.logging_i-4.html"


def test_the_started_event_tells_the_file(log):
    """Consumers build their links from log_filepath."""
    hearing, heard = hearing_class()
    make_task(lambda: None, app=eager_app(hearing)).apply(task_id="i-5", throw=True)
    (started,) = events_of(heard, "task-started-info")

    assert Path(started["log_filepath"]).name == "m.logging_i-5.html"
    assert Path(started["log_filepath"]).is_file()


@pytest.mark.parametrize("name", PATHS)
def test_without_a_workers_log_file_there_are_no_paths(name):
    """Without a watched file handler each path is None."""
    task = make_task(lambda: None)
    with request_of(task, hostname=HOST):
        found = getattr(task, name)

    assert found is None


# ── content ──────────────────────────────────────────────────────────────────────────────


def test_what_the_body_logs_is_in_its_file(log):
    """Both loggers' records are written once each, in the worker's format."""

    def body():
        logging.getLogger("some.library").info("from a library")
        get_task_logger("some.task").info("from the task")

    text = logged_in(make_task(body))

    assert text.count("LINE from a library") == 1
    assert text.count("LINE from the task") == 1


def test_what_others_log_is_not_in_the_file(log):
    """Before and after the run records go to the worker's log only."""
    task = make_task(lambda: None)
    logging.getLogger().info("before the run")
    text = logged_in(task)
    logging.getLogger().info("after the run")

    assert ("before the run" in text, "after the run" in text) == (False, False)
    assert "after the run" in log.read_text()


def test_the_file_begins_with_a_header(log):
    """The header names the run, the task without _orig, the worker and its host, and links to the worker's log."""
    app = make_app(uid="FireX-7", link_for_logo="http://logo", resources_dir=str(log.parent / "res"))
    task = make_task(lambda: None, app=app, name="m.headed_orig", check_name_for_override_posfix=False)
    header = logged_in(task).partition("LINE")[0]

    assert [
        text for text in ("<html", "FireX-7", "http://logo", "m.headed", HOST, "../w.html") if text not in header
    ] == []
    assert "m.headed_orig" not in header


def test_a_plain_app_has_a_header_too(log):
    """Without any setting of an application the header is written all the same."""
    assert "m.logging" in logged_in(make_task(lambda: None)).partition("LINE")[0]


def test_a_retry_appends_to_the_same_file(log):
    """A second attempt writes below the first, without a second header."""
    task = make_task(lambda x: logging.getLogger().info("attempt %s", x))
    logged_in(task, 1, id="i-6")
    text = logged_in(task, 2, id="i-6", retries=1)

    assert text.count("<html") == 1
    assert text.index("attempt 1") < text.index("attempt 2")


def test_a_direct_call_has_no_file(log):
    """A task called as a function makes no file."""
    make_task(lambda: None)()

    assert [path for path in log.parent.iterdir() if path != log] == []


def test_a_log_file_that_cannot_be_made_fails_no_task(log):
    """A file where the directory should be is logged, and the task runs."""
    (log.parent / HOST).write_text("in the way")
    task = make_task(lambda x: x, returns="y")
    with request_of(task, hostname=HOST):
        answer = task(1)

    assert answer["y"] == 1


@pytest.mark.parametrize("hostile", ["../../../outside", "a/b", "x" * 300, "<img src=x>", "new\nline"])
def test_a_hostile_id_stays_inside_the_directory(log, hostile):
    """Whatever the id, the task runs, and every file made is below the worker's directory."""
    task = make_task(lambda x: x, returns="y")
    with request_of(task, hostname=HOST, id=hostile):
        answer = task(1)
    made = {path for path in log.parents[2].rglob("*") if path.is_file()}

    assert answer["y"] == 1
    assert {path.parent for path in made - {log}} <= {log.parent / HOST}


# ── banners ──────────────────────────────────────────────────────────────────────────────


def banners(caplog, function, *args, **options):
    """The records of the start and the completion banner of one call."""
    with caplog.at_level(logging.DEBUG):
        task = make_task(function, **options)
        with request_of(task, id="i-8"):
            task(*args)
    return {record.span_class: record for record in caplog.records if hasattr(record, "span_class")}


def body_of(record):
    """The lines of a banner that are not empty, right side stripped."""
    return [line.rstrip() for line in record.getMessage().splitlines() if line.strip()]


def test_the_start_banner_lists_the_arguments(caplog):
    """A row, the title, ARGUMENTS, one numbered line each, and the row again."""
    record = banners(caplog, lambda x, d="D": None, "v")["task_started"]
    row, title, heading, *lines, last = body_of(record)

    assert (row, last) == ("=" * 100, "=" * 100)
    assert (title.strip(), heading.strip()) == ("STARTED: m.logging", "ARGUMENTS")
    assert lines == ["  1. x: 'v'", "  2. d: 'D' (default)"]


def test_the_title_is_centred(caplog):
    """There is as much room on its left as on its right."""
    title = body_of(banners(caplog, lambda: None)["task_started"])[1]
    left = len(title) - len(title.lstrip())

    assert abs(left - (100 - len(title))) <= 1


def test_the_start_banner_carries_the_label(caplog):
    """Log viewers make an anchor of the record's label."""
    assert banners(caplog, lambda: None)["task_started"].label == "i-8"


def test_the_start_banner_tells_a_plugin(caplog):
    """A task that a plugin brought is marked."""
    task = make_task(lambda: None)
    task.from_plugin = True
    with caplog.at_level(logging.DEBUG):
        task()
    record = next(record for record in caplog.records if getattr(record, "span_class", "") == "task_started")

    assert body_of(record)[1].strip() == "STARTED: m.logging (PLUGIN)"


def test_the_completion_banner_lists_the_results(caplog):
    """A row of stars, the title, RETURNS and one numbered line each, without the mark of results."""
    record = banners(caplog, lambda: (1, "two"), returns=("a", "b"))["task_completed"]
    row, title, heading, *lines, last = body_of(record)

    assert (row, last) == ("*" * 100, "*" * 100)
    assert (title.strip(), heading.strip()) == ("COMPLETED: m.logging", "RETURNS")
    assert lines == ["  1. a: 1", "  2. b: 'two'"]


def test_the_completion_banner_of_a_bare_value(caplog):
    """A result without names is one indented line."""
    lines = body_of(banners(caplog, lambda: "bare")["task_completed"])

    assert [line.strip() for line in lines if "bare" in line] == ["'bare'"]
    assert all(line.startswith(" ") for line in lines if "bare" in line)


def test_a_banner_stands_between_rows():
    """The text stands between two rows of the character, the content below it, empty lines around."""
    text = banner("the title", ch="-", length=20, content="  some content")
    first, row, title, *content, last_row, end = text.split("\n")

    assert (first, end) == ("", "")
    assert (row, title.strip(), last_row) == ("-" * 20, "the title", "-" * 20)
    assert [line for line in content if line.strip()] == ["  some content"]


def test_long_lines_of_a_banner_are_wrapped():
    """No line is longer than the length, and no character is lost."""
    content = "".join(f"word{number}" for number in range(60))
    lines = banner("title", length=40, content=content).splitlines()

    assert max(map(len, lines)) <= 40
    assert content in "".join(line.strip() for line in lines)


def test_long_values_in_a_banner_are_wrapped(caplog):
    """The banners of a task are no wider than their rows."""
    record = banners(caplog, lambda x: None, "v" * 500)["task_started"]

    assert max(map(len, body_of(record))) == 100


@pytest.mark.timeout(20)
def test_a_huge_value_is_logged_quickly(caplog):
    """A value of many megabytes does not stop its task."""
    assert "task_started" in banners(caplog, lambda x: None, "v" * 20_000_000)
