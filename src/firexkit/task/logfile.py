"""A log file of its own for each task, beside the worker's; nothing at all when the worker has none."""

from __future__ import annotations

import hashlib
import logging
import os.path
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from firexkit import _lazy, firexkit_common, resources
from firexkit._file_names import safe_name

logger: logging.Logger = logging.getLogger(__name__)

CELERY_TASK_LOGGER = "celery.task"
"""Celery's task loggers do not propagate to the root, so a task's file needs a handler on both."""

_NO_FILE: Final = nullcontext()


def worker_handler(of: logging.Logger) -> WatchedFileHandler | None:
    """The handler of a worker that was started with ``--logfile``; None of any other process."""
    return next((handler for handler in of.handlers if isinstance(handler, WatchedFileHandler)), None)


def worker_log_file() -> str | None:
    """The worker's log file."""
    handler = worker_handler(logging.getLogger())
    return handler.baseFilename if handler else None


def directory_of_worker_log() -> str | None:
    """Where the worker logs."""
    path = worker_log_file()
    return str(Path(path).parent) if path else None


def file_name(task_name: str, task_id: str) -> str:
    """The name of a task's file."""
    name = f"{task_name}_{task_id}"
    safe = safe_name(name)
    # What had to be changed could be the name of another task's file; a digest keeps them apart.
    digest = "" if safe == name else "_" + hashlib.sha256(name.encode(errors="replace")).hexdigest()[:16]
    return f"{safe}{digest}.html"


def directory_for(hostname: str | None) -> str | None:
    """Where tasks of one worker log."""
    base = directory_of_worker_log()
    return join(base, safe_name(str(hostname))) if base else None


def path_for(hostname: str | None, task_name: str, task_id: str) -> str | None:
    """The log file of one task."""
    directory = directory_for(hostname)
    return join(directory, file_name(task_name, task_id)) if directory else None


def url_of(path: str | None, conf: Any) -> str | None:
    """Where people read a log: the viewer's address when there is a viewer, else the path."""
    install, base = conf.get("install_config"), conf.get("logs_dir")
    if path is None or install is None or not base or not install.has_viewer():
        return path
    return str(install.get_log_entry_url(os.path.relpath(path, base)))


def attached(task: Any) -> AbstractContextManager[None]:
    """Copy what is logged to the task's file as long as it runs; a problem with the file never fails the task."""
    if task.request.called_directly or worker_handler(logging.getLogger()) is None:
        return _NO_FILE
    return _attached(task)


@contextmanager
def _attached(task: Any) -> Iterator[None]:
    handlers = _attach(task)
    try:
        yield
    finally:
        for owner, handler in handlers:
            owner.removeHandler(handler)
            handler.close()


def _attach(task: Any) -> list[tuple[logging.Logger, logging.Handler]]:
    try:
        task.write_task_log_html_header()
        return list(task.add_task_logfile_handler())
    except Exception as error:  # an overridden hook may raise anything
        logger.warning("%s[%s] has no log file: %s", task.name, task.request.id, error)
        return []


def add_handlers(path: str) -> list[tuple[logging.Logger, logging.Handler]]:
    """Log to ``path`` from every logger that logs to the worker's file, in its format."""
    added: list[tuple[logging.Logger, logging.Handler]] = []
    for owner in (logging.getLogger(), logging.getLogger(CELERY_TASK_LOGGER)):
        model = worker_handler(owner)
        if model is not None:
            added.append((owner, _handler(path, model)))
    for owner, handler in added:
        owner.addHandler(handler)
    return added


class PatientFileHandler(WatchedFileHandler):
    """A log file whose loss, or whose disk's, is no failure of whoever logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, into a new file if the old one is gone, if that is possible."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the file; what could not be written is lost."""
        with suppress(OSError):
            super().close()


def _handler(path: str, model: logging.Handler) -> logging.Handler:
    handler = PatientFileHandler(path, mode="a", encoding="utf-8", delay=True)
    handler.setFormatter(_for_a_page(model.formatter))
    thread = threading.current_thread()
    if thread is not threading.main_thread():
        # In a pool of threads, other tasks log to the same loggers.
        handler.addFilter(lambda record: record.thread == thread.ident)
    return handler


class _Escaped(logging.Formatter):
    """What a formatter makes, as text of an HTML page."""

    def __init__(self, text: logging.Formatter) -> None:
        super().__init__()
        self._text = text

    def format(self, record: logging.LogRecord) -> str:
        """The record as the formatter has it, with nothing in it that a browser would obey."""
        text: str = _lazy.module("html").escape(self._text.format(record), quote=False)
        return text


def _for_a_page(formatter: logging.Formatter | None) -> logging.Formatter:
    """A formatter for the task's page: an application's own makes HTML itself, those of Celery and Python make text."""
    text = formatter or logging.Formatter()
    makes_text = type(text).__module__.partition(".")[0] in ("logging", "celery")
    return _Escaped(text) if makes_text else text


def write_header(path: str, task: Any) -> None:
    """Begin the log page of the task that runs now; a retry finds it begun. It is as private as the worker's log."""
    target, model = Path(path), Path(worker_log_file() or path)
    target.parent.mkdir(mode=_mode_of(model.parent, 0o777), parents=True, exist_ok=True)
    if target.exists():
        return
    target.touch(mode=_mode_of(model, 0o666))
    conf, directory, hostname = task.app.conf, str(target.parent), str(task.request.hostname)
    shared = conf.get("resources_dir")
    header = firexkit_common.JINJA_ENV.get_template("log_template.html").render(
        header_main_title=task.name_without_orig,
        firex_id=conf.get("uid") or "",
        link_for_logo=conf.get("link_for_logo") or "",
        firex_stylesheet=resources.get_firex_css_filepath(shared, directory) if shared else "",
        logo=resources.get_firex_logo_filepath(shared, directory) if shared else "",
        worker_log_url=_relative(task.worker_log_url, directory),
        worker_name=hostname,
        worker_hostname=hostname.partition("@")[2],
    )
    target.write_text(header, encoding="utf-8")


def _mode_of(path: Path, otherwise: int) -> int:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else otherwise


def _relative(url: str | None, directory: str) -> str | None:
    """A path as seen from the page's directory; an address of a viewer as it is."""
    return os.path.relpath(url, directory) if url and Path(url).is_absolute() else url


def parent_of_worker_logs() -> str | None:
    """The directory above the worker's own."""
    directory = directory_of_worker_log()
    return str(Path(directory).parent) if directory else None


def join(directory: str, name: str) -> str:
    """A file in a directory."""
    return str(Path(directory) / name)
