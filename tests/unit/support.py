"""Apps, bags and published messages as plain values, for the tests of this room."""

from collections.abc import Callable, Mapping
from contextlib import closing
from inspect import Parameter, signature
from typing import Any, NamedTuple
from uuid import uuid4

from celery import Celery

from firexkit.bag_of_goodies import BagOfGoodies

RK = "__task_return_keys"


def new_app(*, eager: bool = False) -> Celery:
    """A Celery app of its own: in-memory broker and backend, a queue that no other app shares."""
    app = Celery(
        "t", broker="memory://", backend="cache+memory://", task_cls="firexkit.task:FireXTask", set_as_current=False
    )
    app.conf.update(task_always_eager=eager, task_eager_propagates=eager, task_default_queue=f"unit-{uuid4()}")
    return app


def add_task(app: Celery, function: Callable[..., Any], name: str = "function", **options: Any) -> Any:
    """The function, a lambda included, as the task `m.<name>` of the app."""
    if function.__name__ == "<lambda>":
        # Celery compiles source text in which the function's name stands.
        function.__name__ = "function"
    return app.task(function, name=f"m.{name}", shared=False, **options)


class Published(NamedTuple):
    """One message as its receiver reads it."""

    args: list[Any]
    kwargs: dict[str, Any]
    followers: list[dict[str, Any]]
    headers: dict[str, Any]
    properties: dict[str, Any]


def published(app: Celery) -> Published:
    """The oldest message in the app's queue; its followers stand in the order in which they will run."""
    with app.connection() as connection, closing(connection.SimpleQueue(app.conf.task_default_queue)) as queue:
        message = queue.get(timeout=1)
        message.ack()
    args, kwargs, embed = message.payload
    return Published(args, kwargs, list(reversed(embed["chain"] or [])), message.headers, message.properties)


def bag_of(function: Callable[..., Any], *args: Any, previous: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
    """The bag of a call to the function, after a task that returned `previous` if that is given."""
    if previous is not None:
        args = (previous, *args)
    return BagOfGoodies(signature(function), args, kwargs, previous is not None)


def received(bag: BagOfGoodies) -> dict[str, Any]:
    """What the function gets from the bag, by name: defaults filled in, `**kw` spread out."""
    args, kwargs = bag.split_for_signature()
    bound = bag.sig.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    spread = [p.name for p in bag.sig.parameters.values() if p.kind is Parameter.VAR_KEYWORD]
    named = {name: value for name, value in bound.arguments.items() if name not in spread}
    return {**named, **{key: value for name in spread for key, value in bound.arguments[name].items()}}
