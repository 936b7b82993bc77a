"""What tests of loading share: files to import, and a process that forgets them afterwards."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

from celery import _state
from celery.app import builtins  # noqa: F401 - its tasks are among those that stay

from firexkit._importing import is_users_code
from firexkit.app import FireX

_numbers = count(1)

Write = Callable[..., Path]


@contextmanager
def forgetting_imports() -> Iterator[None]:
    """What is imported of the user's and shared in the block is gone after it."""
    path, modules = list(sys.path), set(sys.modules)
    shared, default, current = set(_state._on_app_finalizers), _state.default_app, _state._tls.current_app
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if is_users_code(str(getattr(sys.modules[name], "__file__", None))):
                # Emptied: shared tasks that wait to be collected ask whatever app is current then.
                vars(sys.modules.pop(name)).clear()
        _state._on_app_finalizers.clear()
        _state._on_app_finalizers.update(shared)
        _state.default_app, _state._tls.current_app = default, current


def writer(directory: Path) -> Write:
    """A function that writes text to a file in the directory, by default to one of a new name, and returns its path."""

    def write(text: str, name: str | None = None) -> Path:
        file = directory / (name or f"source_{next(_numbers)}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    return write


def run_app(**conf: Any) -> FireX:
    """A run's app on an in-memory broker, with a queue of its own."""
    app = FireX("run", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update({"task_default_queue": f"queue_{next(_numbers)}"} | conf)
    return app
