"""Log pages: each record a ``span`` of an HTML page, with nothing in it that a browser would obey."""

from __future__ import annotations

import logging
import re
from html import escape
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from celery import current_task

from firexkit import firexkit_common
from firexkit.resources import get_firex_css_filepath, get_firex_logo_filepath
from firexkit.runtime.directory import RunDirectory, write_private
from firexkit.task.logfile import PatientFileHandler

FORMAT: Final = "[%(asctime)s %(levelname)s%(task)s] %(message)s"
_NO_CLASS: Final = re.compile(r"[^A-Za-z0-9_ -]")


class PageFormatter(logging.Formatter):
    """A log record as HTML. The attributes ``span_class`` and ``label`` of a record become class and anchor."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """The record in a span: the text escaped, whoever wrote it."""
        record.task = _running_task()
        classes = _NO_CLASS.sub("", f"{record.levelname.lower()} {getattr(record, 'span_class', '')}").strip()
        label = getattr(record, "label", None)
        anchor = f' id="{escape(str(label))}"' if label else ""
        return f'<span class="{classes}"{anchor}>{escape(super().format(record), quote=False)}</span>'


def _running_task() -> str:
    if not current_task:
        return ""
    return f" {current_task.name}[{current_task.request.id}]"


def begin_worker_log(path: Path, worker: str, directory: RunDirectory | None) -> None:
    """Begin the page of a worker's log, unless an earlier life of the worker began it."""
    if path.exists():
        return
    here = str(path.parent)
    resources = str(directory.resources) if directory else None
    header = firexkit_common.JINJA_ENV.get_template("log_template.html").render(
        header_main_title=worker,
        firex_id=directory.run_id if directory else "",
        link_for_logo="../" if directory else "",
        firex_stylesheet=get_firex_css_filepath(resources, here) if resources else "",
        logo=get_firex_logo_filepath(resources, here) if resources else "",
        worker_log=True,
    )
    write_private(path, header.encode())


def write_pages(logger: logging.Logger | None = None, **_ignored: Any) -> None:
    """Let the log file of a worker be a page; a receiver of Celery's signals after it has set up its loggers."""
    for handler in [*logger.handlers] if logger else ():
        if logger and isinstance(handler, WatchedFileHandler):
            page = PatientFileHandler(handler.baseFilename, encoding="utf-8")
            page.setFormatter(PageFormatter())
            logger.addHandler(page)
            logger.removeHandler(handler)
            handler.close()
