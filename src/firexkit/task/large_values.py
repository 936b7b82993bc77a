"""Large values of a call: where they are read, and which tasks own those that its messages and results bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from firexkit._celery.secret_settings import sealing_for
from firexkit._records import records_of
from firexkit._serialization.keeping import Keeper, Known
from firexkit._serialization.large import Place, Read
from firexkit._serialization.packing import values_of
from firexkit._wire import LARGE_VALUES_SETTING

DEFAULT_LIMIT: Final = 64 * 1024
"""Bytes; what is larger is stored once and fetched when needed, unless the app says otherwise."""


def reader_of(app: Any) -> Read:
    """What reads the large values of an app: they are in its result backend, whatever single tasks may have."""
    return partial(_read, app)


def _read(app: Any, places: Sequence[Place]) -> list[Any]:
    store = records_of(app.backend).values
    with sealing_for(app):
        return values_of(store.read(places) if store is not None else [None] * len(places))


def keeper_for_message(app: Any, options: Mapping[str, Any]) -> Keeper:
    """What stores the large values of a message to a task, by the options of the message."""
    sender = app.current_worker_task
    call = sender.executions.top if hasattr(sender, "executions") and sender.app is app else None
    # A message for later may be read when what was stored beside it has expired.
    stays_whole = bool(options.get("eta") or options.get("countdown"))
    return _keeper(app, options["task_id"], call.known if call is not None else Known(), stays_whole=stays_whole)


def keeper_for_result(task: Any, known: Known) -> Keeper:
    """What stores the large values of a task's result, by the call that returns it."""
    return _keeper(task.app, task.request.id, known, stays_whole=bool(task.request.is_eager))


def _keeper(app: Any, task_id: str, known: Known, *, stays_whole: bool) -> Keeper:
    limit, store = app.conf.get(LARGE_VALUES_SETTING, DEFAULT_LIMIT), records_of(app.backend).values
    return Keeper(None if stays_whole or app.conf.task_always_eager else limit, store, task_id, known)
