"""A package's face: names defined in its rooms show the face's module, because Celery writes that name on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def adopt(face: str, namespace: Mapping[str, Any], names: Iterable[str]) -> None:
    """Give classes and functions of this library the module name of the face that exports them.

    Args:
        face: ``__name__`` of the package.
        namespace: its ``globals()``.
        names: what it exports.
    """
    for name in names:
        value = namespace[name]
        if getattr(value, "__module__", "").startswith("firexkit."):
            value.__module__ = face
