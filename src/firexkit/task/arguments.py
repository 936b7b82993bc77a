"""Views on the arguments of a running task."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from firexkit._serialization.large import LateDict, entries_of
from firexkit._wire import ABOG_WRITTEN_TO, EVENT_INSTRUMENTATION, INSTRUMENTATION_STACK

logger: logging.Logger = logging.getLogger(__name__)


class DictWillNotAllowWrites(dict[str, Any]):
    """The bag with defaults, as ``abog`` gives it. Writes still work; each one is told as deprecated.

    Args:
        _instrumentation_context: the task to tell monitors of writes; None for nobody.
        **kwargs: the entries.
    """

    def __init__(self, _instrumentation_context: Any = None, **kwargs: Any) -> None:
        super().__init__(kwargs)
        self._task = _instrumentation_context

    @classmethod
    def of(cls, entries: Mapping[str, Any], task: Any) -> DictWillNotAllowWrites:
        """The entries of a mapping, whatever their names; large values are fetched when they are read."""
        view = _LateView(task) if isinstance(entries, LateDict) else cls(task)
        dict.update(view, entries_of(entries))
        return view

    def _warn(self) -> None:
        stack = traceback.format_stack()[:-2]
        logger.warning("Writing to abog is deprecated: it is a new dict each time\n%s", "".join(stack))
        if self._task is not None:
            self._task.send_event(EVENT_INSTRUMENTATION, **{INSTRUMENTATION_STACK: stack, ABOG_WRITTEN_TO: True})

    def __setitem__(self, key: str, value: Any) -> None:
        self._warn()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._warn()
        super().__delitem__(key)

    def __ior__(self, other: Any) -> DictWillNotAllowWrites:  # type: ignore[override,misc]  # narrower than dict's
        self._warn()
        super().update(other)
        return self

    def pop(self, *args: Any, **kwargs: Any) -> Any:
        """Take an entry out.

        Args:
            *args: the key and, if wanted, a default.
            **kwargs: none; documented.
        """
        self._warn()
        return super().pop(*args, **kwargs)

    def popitem(self) -> tuple[str, Any]:
        """Take the last entry out."""
        self._warn()
        return super().popitem()

    def clear(self) -> None:
        """Take all entries out."""
        self._warn()
        super().clear()

    def setdefault(self, *args: Any, **kwargs: Any) -> Any:
        """The entry of a key, put in if it is not there.

        Args:
            *args: the key and the value.
            **kwargs: none; documented.
        """
        self._warn()
        return super().setdefault(*args, **kwargs)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Put entries in."""
        self._warn()
        super().update(*args, **kwargs)


class _LateView(LateDict, DictWillNotAllowWrites):
    """As its bases: it fetches, and it warns."""
