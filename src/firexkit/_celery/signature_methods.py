"""Methods of ours on Celery's signatures: one table, installed once, never overwriting what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from firexkit._celery.types import Signature


def install(methods: Mapping[str, Callable[..., Any]]) -> None:
    """Add methods to every signature, chain and group.

    Args:
        methods: functions by method name; the first parameter is the signature.
    """
    for name, method in methods.items():
        if not hasattr(Signature, name):
            setattr(Signature, name, method)
