"""A task on its way to a queue: its published name, its encoded arguments, and the app that sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from celery import current_task
from celery.utils import uuid
from kombu.exceptions import OperationalError

from firexkit._celery import outbox
from firexkit._celery.delivery import one_delivery
from firexkit._celery.messages import published_name, to_send
from firexkit._celery.patience import is_transient, patience_of, patiently
from firexkit._celery.secret_settings import sealing_for
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import Wakeup, addressee
from firexkit._wire import PATIENCE_SETTING, WAITER_HEADER
from firexkit.broker_address import without_password
from firexkit.result.data_loss import note_epoch
from firexkit.task.large_values import keeper_for_message
from firexkit.task.secrets import representations

_publishing: ContextVar[Any] = ContextVar("firexkit_publishing_app", default=None)


class Publication(NamedTuple):
    """What Celery is asked to send."""

    task: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: dict[str, Any]
    wakeup: Wakeup | None

    def send(self, send: Callable[..., AsyncResult]) -> AsyncResult:
        """Let Celery send the message, again while the broker is away; the result tells what was sent, and to whom.

        Args:
            send: Celery's ``apply_async``.

        Raises:
            kombu.exceptions.OperationalError: the broker can't be reached.
        """
        note_epoch(self.task.app.backend)
        with one_delivery(self.options["task_id"]):
            result = self._send_patiently(send) if self._is_patient else self._attempt(send)
        result.firexkit_name = self.task.name
        if self.wakeup is not None:
            self.wakeup.mark(result)
        return result

    def _send_patiently(self, send: Callable[..., AsyncResult]) -> AsyncResult:
        start = monotonic()
        try:
            return patiently(self._attempt, send, timeout=partial(patience_of, self.task.app.conf))
        except Exception as error:
            if not is_transient(error):
                raise
            conf = self.task.app.conf
            broker = without_password(str(conf.broker_write_url or conf.broker_url))
            raise OperationalError(
                f"{self.task.name} was not sent: the broker {broker} did not answer for {monotonic() - start:.0f} s "
                f"({error}). Start it and send the task again; {PATIENCE_SETTING} says how long it is waited for"
            ) from error

    def _attempt(self, send: Callable[..., AsyncResult]) -> AsyncResult:
        # What a task's body sends has arrived before the task waits for anything, or ends.
        with outbox.gathered(self.task.app.backend, posts=self.wakeup is not None and bool(current_task)):
            return send(self.args, self.kwargs, **self.options)

    @property
    def _is_patient(self) -> bool:
        """Whether to try again is ours: neither forbidden, nor planned by the caller, nor would it run the task."""
        conf, options = self.task.app.conf, self.options
        retries = options.get("retry") if options.get("retry") is not None else conf.task_publish_retry
        return bool(retries and not options.get("retry_policy") and not conf.task_always_eager)


def publishing_app() -> Any:
    """The app whose task is being sent now: Celery's signal does not tell. None outside of sending."""
    return _publishing.get()


@contextmanager
def publication(
    task: Any, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[Publication]:
    """Prepare one message; parameters are those of Celery's ``apply_async``."""
    serializer = options.get("serializer") or task.serializer or task.app.conf.task_serializer
    how = {"task": task, "serializer": serializer, "keeper_for": partial(keeper_for_message, task.app)}
    options = {**representations(task, args or (), kwargs or {}), **options}
    with sealing_for(task.app):
        given, named, options = to_send(args or (), kwargs or {}, options, **how)
    wakeup = _addressed(options, task.app.backend)
    options["task_id"] = options.get("task_id") or uuid()
    token = _publishing.set(task.app)
    try:
        yield Publication(_under_published_name(task), given, named, options, wakeup)
    finally:
        _publishing.reset(token)


def _addressed(options: dict[str, Any], backend: Any) -> Wakeup | None:
    """Name in a message whoever is told of the task's end; this thread's wakeup if that is it."""
    headers = options.get("headers") or {}
    if WAITER_HEADER in headers:
        return None
    waiter, wakeup = addressee(backend, [options.get("task_id")])
    if waiter:
        options["headers"] = {**headers, WAITER_HEADER: waiter}
    return wakeup


def _under_published_name(task: Any) -> Any:
    """A plugin is sent under the name of the task it replaces, which workers without the plugin know, too."""
    name = published_name(task)
    if name == task.name:
        return task
    # Another object, because every thread uses the task itself.
    stand_in = object.__new__(type(task))
    vars(stand_in).update(vars(task), name=name)
    return stand_in
