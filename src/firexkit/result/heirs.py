"""Which tasks leave nothing behind: what nobody can refer to any more may be deleted with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def without_heirs(nodes: Sequence[Any], forgotten: Collection[str]) -> list[str]:
    """Ids of the forgotten tasks below which every task is forgotten, too.

    Large values that came with a task are referred to by what ran below it, the later members of its chain included.
    Values of these tasks can go; those of the others have to wait until they expire.

    Args:
        nodes: results, each before its children.
        forgotten: ids of those that are forgotten.
    """
    gone = set(forgotten)
    for node in reversed(nodes):
        if any(child.id not in gone for child in node.children or ()):
            gone.discard(node.id)
    return [node.id for node in nodes if node.id in gone]
