"""Parameters of real tasks, made from the annotations that a test is about."""

from collections.abc import Callable, Mapping
from typing import Any

from firexkit.runtime.arguments.parameters import Parameter, declared
from unit.support import add_task, new_app


def parameters_of(*functions: Callable[..., Any], **named: Callable[..., Any]) -> Mapping[str, Parameter]:
    """What can be given to the tasks that are made of these functions, called by name or by the function's own."""
    app = new_app()
    tasks = {**{function.__name__: function for function in functions}, **named}
    return declared([add_task(app, function, name) for name, function in tasks.items()])


def wanting(annotation: Any) -> Callable[[Any], Any]:
    """A function with one parameter, x, annotated like this."""

    def greet(x):
        return x

    greet.__annotations__ = {"x": annotation}
    return greet


def x_of(annotation: Any) -> Mapping[str, Parameter]:
    """The parameter x of a task greet, annotated like this."""
    return parameters_of(wanting(annotation))
