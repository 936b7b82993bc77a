"""What an execution tells of its start, its results and its failure: to monitors and to the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from firexkit import _wire
from firexkit._announce import is_heard
from firexkit._serialization import convert_to_serializable
from firexkit._serialization.masking import masked
from firexkit._serialization.packing import exceeds
from firexkit._serialization.text import beginning
from firexkit.result import ChainInterruptedException, ChainRevokedException, last_causing_chain_interrupted_exception
from firexkit.task.banner import completion_banner, start_banner
from firexkit.task.secrets import names_of

logger: logging.Logger = logging.getLogger(__name__)

LONGEST_IN_EVENT: Final = 64 * 1024
"""Bytes of one value; who needs all of it asks for the result."""

Extra = Mapping[str, Any] | None


def tell_start(task: Any, extra_events: Extra) -> None:
    """Tell monitors what a task starts with, and remember it if it makes a report."""
    if task.has_report_meta():
        task.add_task_result_with_report_to_db()
    task.send_event(_wire.EVENT_STARTED_INFO, **{**_start_facts(task), **(extra_events or {})})
    task.send_firex_data(task.abog)


def _start_facts(task: Any) -> dict[str, Any]:
    request, names = task.request, names_of(task)
    return {
        _wire.BOUND_ARGS: _readable(masked(task.bound_args, names)),
        _wire.DEFAULT_BOUND_ARGS: _readable(masked(task.default_bound_args, names)),
        _wire.CALLED_AS_ORIG: task.called_as_orig,
        _wire.LONG_NAME: task.name_without_orig,
        _wire.LOG_FILEPATH: task.task_log_url,
        _wire.FROM_PLUGIN: task.from_plugin,
        _wire.CODE_FILEPATH: task.code_filepath,
        _wire.RETRIES: request.retries,
        _wire.CHAIN_DEPTH: task.bag.get(_wire.CHAIN_DEPTH, 0),
        # A root task that is retried is its own parent in Celery's eyes.
        _wire.TASK_PARENT_ID: request.parent_id if request.parent_id != request.id else None,
    }


def tell_results(task: Any, results: Any, extra_events: Extra) -> None:
    """Tell monitors what a task returned."""
    if not is_heard(task):
        return
    shown = _readable(_without_secrets(task, results))
    task.send_event(_wire.EVENT_RESULTS, **{_wire.RESULT: shown, **(extra_events or {})})
    task.send_firex_data(task.abog)


def _without_secrets(task: Any, results: Any) -> Any:
    return masked(results, names_of(task)) if isinstance(results, Mapping) else results


def _readable(values: Any) -> Any:
    """Values as monitors get them: of large ones the beginning, as text."""
    if not exceeds(values, LONGEST_IN_EVENT):
        return convert_to_serializable(values)
    if isinstance(values, Mapping):
        return {str(name): _readable_value(value) for name, value in values.items()}
    return beginning(values, LONGEST_IN_EVENT)


def _readable_value(value: Any) -> Any:
    if exceeds(value, LONGEST_IN_EVENT):
        return beginning(value, LONGEST_IN_EVENT)
    return convert_to_serializable(value)


def log_start(task: Any, bound: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Log what a task starts with. Nothing is rendered that nobody reads."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    names = names_of(task)
    shown = masked(bound, names), masked(defaults, names)
    text = start_banner(task.name, *shown, from_plugin=task.from_plugin)
    logger.debug("%s", text, extra={"label": task.task_label, "span_class": "task_started"})
    if not task.request.called_directly:
        limit = task.request_soft_time_limit
        origin = "the task" if limit is None else "the request"
        logger.debug("Soft time limit of %s: %s", origin, task.soft_time_limit if limit is None else limit)


def log_completion(task: Any, results: Any) -> None:
    """Log what a task returned."""
    if logger.isEnabledFor(logging.DEBUG):
        text = completion_banner(task.name, _without_secrets(task, results))
        logger.debug("%s", text, extra={"span_class": "task_completed"})


def report_failure(task: Any, error: Exception, logging_extra: Extra) -> None:
    """Log a failure, and tell monitors which task it comes from when that is another one."""
    if isinstance(error, ChainInterruptedException | ChainRevokedException):
        cause_id = getattr(last_causing_chain_interrupted_exception(error), "task_id", None)
        if cause_id:
            task.send_event(_wire.EVENT_EXCEPTION_CAUSE, **{_wire.EXCEPTION_CAUSE_UUID: cause_id})
    extra = {"span_class": "exception", **(logging_extra or {})}
    logger.error("%s: %s", type(error).__name__, error, exc_info=error, extra=extra)
