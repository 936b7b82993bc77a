"""What a recorder tells on, as facts come to it: spans, and which logs have still to come.

It keeps the tree of the run, but none of its values, texts and pages: the journal has those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from firexkit.journal.logs import awaited_of
from firexkit.journal.model import AnyFact, Began, Fact, Failed, Returned, Shown, Unknown
from firexkit.journal.tree import Tree

if TYPE_CHECKING:
    from firexkit.journal.spans import Spans

_LEFT_OUT: Final[Mapping[type[Fact], Mapping[str, Any]]] = {
    Began: {"arguments": (), "passing": ()},
    Returned: {"results": ()},
    Failed: {"message": "", "traceback": ""},
}


def without_values(fact: Fact) -> Fact:
    """A fact without values and texts: whoever keeps those of many runs needs little room."""
    return replace(fact, **_LEFT_OUT.get(type(fact), {}))


class Retelling:
    """One run, told on.

    Args:
        spans: where to tell its tasks; None for nowhere.
    """

    def __init__(self, spans: Spans | None = None) -> None:
        self._spans = spans
        self._tree = Tree()

    def tell(self, facts: Iterable[AnyFact | Unknown]) -> None:
        """Tell on what has been recorded; first of all, what was recorded by one before. What came twice does no harm.

        Args:
            facts: those that are new.
        """
        touched: dict[str, None] = {}
        for fact in facts:
            if not isinstance(fact, (Unknown, Shown)):
                self._tree.add(without_values(fact))
                touched[fact.task] = None
        for task in filter(None, map(self._tree.get, touched)):
            if self._spans is not None:
                self._spans.tell(self._tree, task)

    def awaited_logs(self, logs: Path) -> dict[str, float]:
        """The logs that are to come from other machines, for :meth:`~firexkit.journal.logs.Receiver.receive_rest`.

        Args:
            logs: the directory of the run's logs.
        """
        return awaited_of(self._tree, logs)

    def close(self) -> None:
        """The run is over: send what is left."""
        if self._spans is not None:
            self._spans.close()
