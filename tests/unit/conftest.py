"""Celery gives every app the tasks that others share; a unit test's app shall not have those of the worker room."""

from __future__ import annotations

import inspect

import pytest
from celery import _state


@pytest.fixture(autouse=True)
def _no_tasks_of_the_worker_room(monkeypatch: pytest.MonkeyPatch) -> None:
    finalizers = {one for one in _state._on_app_finalizers if not _is_of_the_worker_room(one)}
    monkeypatch.setattr(_state, "_on_app_finalizers", finalizers)


def _is_of_the_worker_room(finalizer: object) -> bool:
    shared = inspect.getclosurevars(finalizer).nonlocals.get("fun")
    return str(getattr(shared, "__module__", "")).startswith("worker.")
