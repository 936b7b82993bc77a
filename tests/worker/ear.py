"""What monitors hear of tasks: a Celery event receiver in a thread, and questions about what it heard."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from worker.rig import wait_until

if TYPE_CHECKING:
    from celery import Celery
    from celery.result import AsyncResult

FENCE = "ear-fence"
UNORDERED = {"task-sent", "task-received", "task-started"}
"""Celery's main process tells these; they may come after what the body tells."""
CELERYS = {*UNORDERED, "task-succeeded", "task-failed", "task-retried", "task-revoked"}
"""With a pool of threads Celery 5.3 and 5.6 lose many of these: their threads share one channel unguarded."""


class Ear:
    """Every event of an app's tasks, from the moment `with` is entered."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._heard: list[dict[str, Any]] = []
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Ear:
        self._thread.start()
        wait_until(self._hears, what="the receiver of events")
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive(), "the receiver of events did not stop"

    def told_by(self, result: AsyncResult, timeout: float = 10) -> list[str]:
        """The types of the events that a task's body told, in order, once the task has ended."""
        wait_until(result.ready, timeout, what=f"end of {result.id}")
        self.catch_up()
        return [event["type"] for event in self.events(result.id) if event["type"] not in CELERYS]

    def whole_story(self, task_id: str, last: str, timeout: float = 10) -> list[str]:
        """The types of a task's events, Celery's included, once the last one has come; for prefork only."""
        wait_until(lambda: self.of_type(last, task_id), timeout, what=f"{last} of {task_id}: {self.events(task_id)}")
        return [event["type"] for event in self.events(task_id) if event["type"] not in UNORDERED]

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """A task's events so far."""
        return [event for event in tuple(self._heard) if event.get("uuid") == task_id]

    def of_type(self, type_: str, task_id: str | None = None) -> list[dict[str, Any]]:
        """The events of one type so far."""
        return [
            event for event in tuple(self._heard) if event["type"] == type_ and task_id in (None, event.get("uuid"))
        ]

    def task_ids(self, name: str) -> list[str]:
        """Ids of the tasks of that short name that have begun, in order, without repetition."""
        begun = self.of_type("task-started-info")
        return list(dict.fromkeys(event["uuid"] for event in begun if event["long_name"].endswith(f".{name}")))

    def catch_up(self) -> None:
        """Come to know of everything that was told before this call."""
        known = len(self.of_type(FENCE))
        with self._app.events.default_dispatcher() as dispatcher:
            dispatcher.send(FENCE)
        wait_until(lambda: len(self.of_type(FENCE)) > known, what="an event told just now", every=0.005)

    def _listen(self) -> None:
        with self._app.connection_for_read() as connection:
            self._receiver = self._app.events.Receiver(connection, handlers={"*": self._heard.append})
            for _ in self._receiver.consume(limit=None, safety_interval=0.1, wakeup=False):
                pass

    def _hears(self) -> bool:
        with self._app.events.default_dispatcher() as dispatcher:
            dispatcher.send(FENCE)
        return bool(self.of_type(FENCE))
