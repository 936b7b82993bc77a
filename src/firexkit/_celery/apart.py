"""Apps of tests, kept apart: which app is the current one, where an app keeps results, what a fork may not share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

from celery import _state


@contextmanager
def current_apps_kept() -> Iterator[None]:
    """Whatever the block makes the current app or the default one, afterwards they are those from before."""
    current, default = _state._tls.current_app, _state.default_app
    try:
        yield
    finally:
        _state._tls.current_app = current
        _state.default_app = default


def other_apps(app: Any) -> list[Any]:
    """Every other app of this process."""
    return [other for other in _state._get_active_apps() if other is not app]


@contextmanager
def other_backend(app: Any) -> Iterator[None]:
    """In the block, an app makes its result backend anew, by its settings; then it has the one from before."""
    before = app._backend_cache, app._local
    app._backend_cache, app._local = None, local()
    try:
        yield
    finally:
        app._backend_cache, app._local = before


def disconnect_in_fork(app: Any) -> None:
    """In a fork, forget the connections of the process that forked; they stay open there."""
    app._after_fork()
    app._backend_cache, app._local = None, local()
