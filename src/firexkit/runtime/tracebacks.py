"""Tracebacks as people read them: without the frames of Celery and of the kit. Pure."""

from __future__ import annotations

import contextlib
import os
import re
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

_FRAME: Final = re.compile(r'  File "(?P<file>[^"]+)", line \d+.*\n(?:(?!  File )    .*\n|  \[Previous.*\n)*')
_PACKAGES: Final = ("celery", "billiard", "kombu")


def own_traceback(text: str) -> str:
    """A traceback without the frames of Celery and of the kit; empty when there are no others: the log has them.

    Args:
        text: as Celery stores it.
    """
    frames = [match.group("file") for match in _FRAME.finditer(text)]
    if all(file.startswith(_MACHINERY) for file in frames):
        return ""
    return _FRAME.sub(lambda match: "" if match.group("file").startswith(_MACHINERY) else match.group(), text)


def _directories() -> tuple[str, ...]:
    # Where they would be imported from: to import Celery takes longer than to show a run.
    specs = [PathFinder.find_spec(name) for name in _PACKAGES]
    files = [Path(spec.origin) for spec in specs if spec is not None and spec.origin]
    return tuple(f"{file.parent}{os.sep}" for file in (*files, Path(__file__).parent))


_MACHINERY: Final = (*_directories(), str(contextlib.__file__))
