"""Tasks for an app that chose another serializer than JSON; `pickled.py` and `msgpacked.py` are such apps."""

from types import SimpleNamespace

from celery import Task

from worker.rig import make_app


class Custom:
    """Of a class that no JSON message carries."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Custom and other.x == self.x

    __hash__ = None


class CustomError(Exception):
    """With an argument of that class."""


def serialized_app(name, serializer):
    """An app whose messages and results are written by that serializer, and its tasks."""
    app = make_app(name, task_cls="firexkit.task:FireXTask")
    app.conf.update(task_serializer=serializer, result_serializer=serializer, accept_content=[serializer, "json"])

    def named(function, **options):
        return app.task(name=f"{name}.{function.__name__}", **options)(function)

    def echo(value):
        # A tuple would be taken for several returns.
        return (value,)

    def plain(value):
        return value

    def marks(self):
        return [key for key in self.request.get("headers") or {} if "firex" in key], dict(self.request.headers or {})

    def parent(self, value):
        child = echo_task.s(value=value) | echo_task.s()
        return self.enqueue_child_and_get_results(child, return_keys="echoed")

    def fail(value):
        raise CustomError(value)

    echo_task = named(echo, returns="echoed")
    return app, SimpleNamespace(
        echo=echo_task,
        plain=named(plain, base=Task),
        marks=named(marks, bind=True, returns=("marks", "headers")),
        parent=named(parent, bind=True, returns="result"),
        fail=named(fail),
    )
