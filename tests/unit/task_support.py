"""What the task tests share: apps without a worker, requests without a broker, and an ear for events."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from celery import Celery
from celery.app.task import Context, Task
from kombu.message import Message
from kombu.utils.uuid import uuid

from firexkit.task import FireXTask

RK = "__task_return_keys"

Event = tuple[str, dict[str, Any]]


class App(Celery):
    """An app whose tasks may be lambdas, which a test has room for; Celery alone wants named functions."""

    def task(self, *functions: Callable[..., Any], **options: Any) -> Any:
        def register(function: Callable[..., Any]) -> Any:
            if function.__name__ == "<lambda>":
                function.__name__ = "anonymous"
            return super(App, self).task(**options)(function)

        return register(*functions) if functions else register


def make_app(task_cls: str | type[Task] = "firexkit.task:FireXTask", **conf: Any) -> Celery:
    """An app of FireX tasks on an in-memory broker, with a queue of its own."""
    app = App("t", broker="memory://", backend="cache+memory://", task_cls=task_cls, set_as_current=False)
    app.conf.update({"task_default_queue": uuid()} | conf)
    return app


def eager_app(task_cls: str | type[Task] = "firexkit.task:FireXTask", **conf: Any) -> Celery:
    """An app that runs what is sent at once, in this process, and stores the results."""
    return make_app(task_cls, task_always_eager=True, task_store_eager_result=True, **conf)


def hearing_class() -> tuple[type[FireXTask], list[Event]]:
    """A task class, and the list of events that its tasks send when not called directly."""
    heard: list[Event] = []

    class Hearing(FireXTask):
        def send_event(self, type_: str, **fields: Any) -> None:
            if not self.request.called_directly:
                heard.append((type_, fields))

    return Hearing, heard


def events_of(heard: list[Event], type_: str) -> list[dict[str, Any]]:
    """The fields of each event of one type, in order."""
    return [fields for name, fields in heard if name == type_]


@contextmanager
def request_of(task: Task, **fields: Any) -> Iterator[Context]:
    """The request a worker would make for one call of the task."""
    request = {"id": uuid(), "called_directly": False, "hostname": "w@h", "retries": 0} | fields
    task.push_request(**request)
    try:
        yield task.request
    finally:
        task.pop_request()


def inside(app: Celery, body: Callable[[Any], Any], /, **arguments: Any) -> Any:
    """What body(task) returns when it is the body of a task that an eager app runs with the arguments."""
    answers: list[Any] = []

    @app.task(bind=True, shared=False, name=f"m.host{uuid()}")
    def host(self: Any, **kw: Any) -> None:
        answers.append(body(self))

    host.apply(kwargs=arguments, throw=True)
    return answers[0]


def next_message(app: Celery, queue: str | None = None) -> Message | None:
    """The next message that waits in a queue of the in-memory broker, by default the app's own."""
    with app.connection_for_read() as connection:
        return app.amqp.queues[queue or app.conf.task_default_queue](connection.default_channel).get(no_ack=True)


@contextmanager
def worker_log(path: Path, line: str = "LINE %(message)s") -> Iterator[Path]:
    """Logging as a worker started with --logfile sets it up."""
    root, tasks = logging.getLogger(), logging.getLogger("celery.task")
    before = root.level, tasks.level, tasks.propagate
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers = [(logger, WatchedFileHandler(path)) for logger in (root, tasks)]
    for logger, handler in handlers:
        handler.setFormatter(logging.Formatter(line))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    tasks.propagate = False
    try:
        yield path
    finally:
        for logger, handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        root.level, tasks.level, tasks.propagate = before
