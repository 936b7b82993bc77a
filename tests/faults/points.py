"""The crash points, as the sources have them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parents[2] / "src" / "firexkit"


def crash_points() -> list[tuple[str, str]]:
    """The name of each point and where it stands, sorted.

    Raises:
        ValueError: a name is no literal.
    """
    found: list[tuple[str, str]] = []
    for path in sorted(SOURCES.rglob("*.py")):
        source = path.read_text()
        if "crash_point(" in source and path.name != "_crash_points.py":
            found += _in_source(source, str(path.relative_to(SOURCES)))
    return sorted(found)


def _in_source(source: str, file: str) -> list[tuple[str, str]]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _is_point(node)]
    for call in calls:
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Constant):
            raise ValueError(f"{file}:{call.lineno}: the name of a crash point is a literal, so that tests find it")
    return [(str(ast.literal_eval(call.args[0])), f"{file}:{call.lineno}") for call in calls]


def _is_point(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "crash_point"


def group_of(name: str) -> str:
    """Who or what a point is about: what stands before the colon."""
    return name.partition(":")[0]
