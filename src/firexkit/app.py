"""FireX: a Celery app whose defaults are ours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final

from celery.signals import worker_init

from firexkit import _wire
from firexkit._announce import listen
from firexkit._celery.types import Celery
from firexkit.broker_address import with_password
from firexkit.task import FireXTask

__all__ = ["FireX", "lend_slots", "one_app"]

DAY: Final = 24 * 3600.0

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "accept_content": ["json"],
        "broker_connection_retry_on_startup": True,
        # Redis hands a message out again when it was not acknowledged for so long; a late one is not before the end.
        "broker_transport_options": {"visibility_timeout": int(30 * DAY)},
        "result_backend_always_retry": True,  # else a result is lost when the broker is away for a moment
        "result_expires": 7 * DAY,
        "result_extended": True,
        "result_serializer": "json",
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "task_serializer": "json",
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        _wire.LEND_SETTING: True,
    }
)
"""Defaults only: what an application sets itself wins."""

LENDING_STEP: Final = "firexkit._celery.lending_step:LendingStep"

OF_THE_RUN: Final = frozenset(
    {"broker", "backend", "broker_url", "broker_read_url", "broker_write_url", "result_backend"}
)
"""Options that a task file's app gives and that the run decides."""


class FireX(Celery):
    """A Celery app for workflows: its tasks are FireXTasks, and its defaults suit tasks that wait for others.

    Arguments are checked when they are bound, not when they are sent; messages are JSON; late acknowledgement; one
    message fetched per slot; results expire after a week; a message is never handed out again while its task runs.
    Without ``broker``, the environment's ``FIREX_BROKER`` serves as broker and as result backend.

    Within a run there is one app: a task file that ``firex`` loads gets the run's app when it makes its own.

    Args:
        main: the app's name.
        **options: those of Celery's app, and settings by their lower-case names.
    """

    def __new__(cls, main: str | None = None, **options: Any) -> FireX:  # noqa: ARG004 - for __init__
        """The run's app while a run loads its task files, else a new one."""
        return _joined[-1] if _joined else super().__new__(cls)

    def __init__(self, main: str | None = None, **options: Any) -> None:
        if self in _joined:
            self.conf.update({name: value for name, value in options.items() if name not in OF_THE_RUN})
            return
        broker = broker_of_environment()
        if broker and not options.get("broker"):
            options = {"backend": broker, **options, "broker": broker}
        super().__init__(main, **{"task_cls": FireXTask, "strict_typing": False, **options})
        self.add_defaults(dict(DEFAULTS))
        self.steps["worker"].add(LENDING_STEP)


_joined: Final[list[FireX]] = []


@contextmanager
def one_app(app: FireX) -> Iterator[None]:
    """Make this app that of every task file that is imported in the block, and Celery's current one from now on."""
    app.set_default()
    app.set_current()
    _joined.append(app)
    try:
        yield
    finally:
        _joined.remove(app)


def lend_slots(app: Celery, *, most_processes: int | None = None) -> None:
    """Let the workers of a plain Celery app run another task while one waits; those of a FireX app do so anyway.

    Args:
        app: the app; call this before its worker starts, where the app is made, say.
        most_processes: the most processes or threads that the pool of a worker may have; None for as many as there is
            memory for.
    """
    app.steps["worker"].add(LENDING_STEP)
    app.conf.update({_wire.LEND_SETTING: True, _wire.MOST_PROCESSES_SETTING: most_processes})


def broker_of_environment() -> str | None:
    """The address in ``FIREX_BROKER``, with the password in the file that ``FIREX_PASSWORD_FILE`` names, if any."""
    address = os.environ.get(_wire.BROKER_VARIABLE)
    return with_password(address, os.environ.get(_wire.PASSWORD_FILE_VARIABLE)) if address else None


def _attach_listeners(sender: Any = None, **_ignored: Any) -> None:
    """Let installed packages hear the facts of this worker's tasks (entry points ``firexkit.listeners``)."""
    if isinstance(getattr(sender, "app", None), FireX):
        for entry in entry_points(group=_wire.LISTENERS_GROUP):
            listen(entry.load())


worker_init.connect(_attach_listeners, weak=False)
