"""What Celery's signals tell, put on record: a message sent, a body begun, a body ended, a worker ready.

Recording must never break what it records: a backend without records stays silent, one that is away is waited for
a while and then left with a log line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from celery import current_app, signals
from celery.states import SUCCESS

from firexkit import _lazy, _wire
from firexkit._celery import outbox
from firexkit._celery.leases import become_main, live
from firexkit._celery.messages import header_of, is_encoded
from firexkit._celery.patience import is_transient, outages, patience_of, patiently
from firexkit._celery.storing import is_stored
from firexkit._crash_points import crash_point
from firexkit._records import holding_of, records_of
from firexkit.result import patrol
from firexkit.result.data_loss import note_epoch
from firexkit.result.lost import end_revoked, revive
from firexkit.task import beginning
from firexkit.task.hooks import is_users
from firexkit.task.publishing import publishing_app

logger: logging.Logger = logging.getLogger(__name__)


def _quietly(write: Callable[[], None], *, timeout: float) -> None:
    try:
        patiently(write, timeout=timeout)
    except Exception as error:
        if not is_transient(error):
            raise
        logger.warning("A record could not be written: %s", error)


def populate_task_info(
    sender: str | None = None, headers: dict[str, Any] | None = None, declare: Any = (), **_: Any
) -> None:
    """Put on record that a message is about to be sent."""
    if not headers or "id" not in headers:
        return
    app = publishing_app() or current_app
    queue = next((queue.name for queue in declare or () if getattr(queue, "name", None)), "")
    run = str(headers.get("root_id") or headers["id"])
    waiter = str(headers.get(_wire.WAITER_HEADER) or "")
    sent = records_of(app.backend).tasks.sent
    # Publishing will try for itself, and longer, when the broker is away.
    _quietly(lambda: sent(headers["id"], name=str(sender), queue=queue, run=run, waiter=waiter), timeout=0)


def update_task_name(sender: Any = None, task_id: str = "", **_: Any) -> None:
    """Put on record that a body begins, under the name that really runs; it may be refused."""
    request = sender.request
    run = str(request.root_id or task_id)
    holding = None if request.is_eager else holding_of(sender.backend)
    if holding is not None:
        beginning.begin(sender, holding, run)
    if getattr(sender, "takes_chain_depth", False) and not request.is_eager and not is_users(sender, "before_start"):
        outbox.opened(sender.backend)
    if holding is None:
        came_before = request.retries or (request.delivery_info or {}).get("redelivered")
        is_first = is_encoded(request) and not request.eta and not came_before
        started = partial(records_of(sender.backend).tasks.started, task_id, name=sender.name, run=run)
        _quietly(lambda: started(is_first=is_first), timeout=_patience_of(sender))


def mark_task_postrun(task: Any = None, task_id: str = "", state: str | None = None, **_: Any) -> None:
    """Put on record that a body ended."""
    silent = bool(task.request.ignore_result) and state == SUCCESS
    waiter = str(header_of(task.request, _wire.WAITER_HEADER) or "")
    tasks = records_of(task.backend).tasks

    def end() -> None:
        # A result that was stored when the body had ended says so itself.
        if is_stored(task.request):
            tasks.ended(task_id)
        elif beginning.refusal_of(task.request) is None:
            tasks.done(task_id, leaves_no_result=silent, waiter=waiter)
        outbox.dispatched()
        outbox.confirmed(task.backend)
        crash_point("end: after all was told")

    _quietly(end, timeout=_patience_of(task))
    beginning.end(task)


def _patience_of(task: Any) -> float:
    # A caller that runs the task itself waits for nobody.
    return 0 if task.request.is_eager else patience_of(task.app.conf)


def announce_queues(sender: Any = None, **_: Any) -> None:
    """Put on record which queues a worker consumes, so that a task in a queue nobody consumes can be told."""
    note_epoch(sender.app.backend)
    queues = [queue.name for queue in sender.task_consumer.queues]
    _quietly(lambda: records_of(sender.app.backend).cluster.queues_ready(queues), timeout=0)


def hold(sender: Any = None, **_: Any) -> None:
    """Say from now on that this worker lives, and look for tasks that were lost."""
    app = sender.app
    if holding_of(app.backend) is not None:
        patiently(live, app.backend, timeout=None)
        patrol.start(app)


def mend_worker(sender: Any = None, **_: Any) -> None:
    """Let a worker get over the death of its broker; only here, since only workers need Celery's worker modules."""
    try:
        beginning.check_settings(sender.app.conf)
    except ValueError as error:
        raise SystemExit(f"The worker does not start: {error}") from error  # Celery only logs what is no exit
    if holding_of(sender.app.backend) is not None:
        become_main()  # before it forks
    for mend in ("receipts", "recovery", "recall", "reconnecting", "unknown_tasks"):
        _lazy.module(f"firexkit._celery.{mend}").install()
    _lazy.module("firexkit._celery.lost_processes").install(revive)
    _lazy.module("firexkit._celery.orphans").install(end_revoked)


def open_connections(**_: Any) -> None:
    """Let a process of a pool connect while nobody waits for it, not when its first task sends or ends."""
    app = current_app._get_current_object()
    with suppress(*outages()):  # whoever needs them connects then
        outbox.connect(app.backend)
        note_epoch(app.backend)
        with app.producer_or_acquire() as producer:
            producer.maybe_declare(app.amqp.default_exchange)


def connect() -> None:
    """Listen to Celery, for every app in this process."""
    for signal, receiver in (
        (signals.before_task_publish, populate_task_info),
        (signals.task_prerun, update_task_name),
        (signals.task_postrun, mark_task_postrun),
        (signals.worker_init, mend_worker),
        (signals.worker_ready, announce_queues),
        (signals.worker_ready, hold),
        (signals.worker_process_init, open_connections),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"firexkit.{receiver.__name__}")


def get_task_start_time(task_id: str, backend: Any) -> float | None:
    """Unix time, in seconds, of a task's first start; None when unknown."""
    with suppress(Exception):  # documented: None on any problem
        return records_of(backend).tasks.start_time(task_id)
    return None


def get_time_from_task_start(task_id: str, backend: Any) -> float | None:
    """Seconds since a task's first start; None when unknown."""
    start = get_task_start_time(task_id, backend)
    return None if start is None else time.time() - start
