"""Hold the house to its measures: lines per file and function, methods per class, Celery's insides in one room.

Run by `make check`; prints what is too large and where, and exits 1.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "firexkit"
FILE_LINES, FACE_LINES = 400, 700
FUNCTION_LINES, MEDIAN_LINES = 40, 6
METHODS = 25
FACE = SOURCE / "task" / "base.py"
DOOR = SOURCE / "_celery"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, its docstring not counted."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - statements[0].lineno + 1 if statements else 1


def complaints_about(path: Path, sizes: list[int]) -> Iterator[str]:
    """What is wrong in one file; the sizes of its functions are added to ``sizes``."""
    text = path.read_text()
    lines, allowed = len(text.splitlines()), FACE_LINES if path == FACE else FILE_LINES
    if lines > allowed:
        yield f"{lines} lines; at most {allowed}: a file is one idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS):
            sizes.append(body_lines(node))
            if sizes[-1] > FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {sizes[-1]} lines; at most {FUNCTION_LINES}"
        if isinstance(node, ast.ClassDef) and path != FACE:
            methods = sum(isinstance(member, FUNCTIONS) for member in node.body)
            if methods > METHODS:
                yield f"line {node.lineno}: {node.name} has {methods} methods; at most {METHODS}"
    if DOOR not in path.parents:
        yield from celery_insides(text)


def celery_insides(text: str) -> Iterator[str]:
    """Uses of Celery names that start with an underscore, and assignments to Celery's classes."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(r"\b(from celery[\w.]* import .*\b_\w+|celery[\w.]*\._[a-z])", line):
            yield f"line {number}: Celery's insides are touched in _celery/ only: {line.strip()}"
        if re.match(r"\s*(Task|AsyncResult|Backend|Signature|Celery)\.\w+ = ", line):
            yield f"line {number}: Celery's classes are changed in _celery/ only: {line.strip()}"


def main() -> int:
    """Measure every file of the package."""
    sizes: list[int] = []
    found = [
        f"{path.relative_to(SOURCE.parent)}: {complaint}"
        for path in sorted(SOURCE.rglob("*.py"))
        for complaint in complaints_about(path, sizes)
    ]
    if (median := statistics.median(sizes)) > MEDIAN_LINES:
        found.append(f"the median function has {median} lines; at most {MEDIAN_LINES}")
    print("\n".join(found) or f"sizes: {len(sizes)} functions, median {median:g} lines, longest {max(sizes)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
