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


def plain(value):
    return value


def echo(value):
    # A tuple would be taken for several returns.
    return (value,)


def marks(self):
    """What the message says of an encoding: in its headers, and where Celery puts headers it does not know."""
    names = [*(self.request.headers or {}), *vars(self.request)]
    return [name for name in names if "encoded" in name]


def parent(self, value):
    child = self.app.tasks[self.name.replace("parent", "echo")]
    return self.enqueue_child_and_get_results(child.s(value=value) | child.s(), return_keys="echoed")


def fail(value):
    raise CustomError(value)


TASKS = {
    plain: {"base": Task},
    echo: {"returns": "echoed"},
    marks: {"bind": True, "returns": "marks"},
    parent: {"bind": True, "returns": "result"},
    fail: {},
}


def serialized_app(name, serializer):
    """An app whose messages and results are written by that serializer, and its tasks."""
    app = make_app(name, task_cls="firexkit.task:FireXTask")
    app.conf.update(task_serializer=serializer, result_serializer=serializer, accept_content=[serializer, "json"])
    tasks = {
        function.__name__: app.task(name=f"{name}.{function.__name__}", **options)(function)
        for function, options in TASKS.items()
    }
    return app, SimpleNamespace(**tasks)
