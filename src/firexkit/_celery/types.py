"""Celery's classes as we use them: Celery carries no types, so those that our public names speak of are told here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Task:
        """A Celery task; members that are not listed are Celery's own."""

        name: str

        def __getattr__(self, name: str) -> Any: ...
        def signature(self, *args: Any, **kwargs: Any) -> Signature: ...
        def apply_async(self, *args: Any, **kwargs: Any) -> AsyncResult: ...
        def retry(self, *args: Any, **kwargs: Any) -> Any: ...
        def send_event(self, *args: Any, **kwargs: Any) -> Any: ...

    class Signature(dict[str, Any]):
        """A Celery signature; members that are not listed are Celery's own."""

        def __getattr__(self, name: str) -> Any: ...

    class AsyncResult:
        """A Celery result; members that are not listed are Celery's own."""

        id: str
        parent: AsyncResult | None

        def __init__(self, id: str, **options: Any) -> None: ...  # noqa: A002 - Celery's name

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def ready(self) -> bool: ...

    class Celery:
        """A Celery app; members that are not listed are Celery's own."""

        main: str
        conf: Any
        tasks: dict[str, Any]

        def __init__(self, main: str | None = None, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def task(self, *args: Any, **options: Any) -> Any: ...
else:
    from celery import Celery
    from celery.app.task import Task
    from celery.canvas import Signature
    from celery.result import AsyncResult

__all__ = ["AsyncResult", "Celery", "Signature", "Task"]
