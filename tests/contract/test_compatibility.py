"""docs/compatibility.md is complete, and every test it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PAGE = (REPO / "docs" / "compatibility.md").read_text()
ROWS = re.findall(r"^\| (Q?M?\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE)
EXPECTED = {
    "register": [str(number) for number in range(1, 39)],
    "quirks": [f"Q{number}" for number in range(1, 28)],
    "checklist": [str(number) for number in range(1, 37)],
    "musts": [f"M{number}" for number in range(1, 27)],
}


@cache
def functions_in(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_no_row_is_left_out():
    """The register, the quirks, the checklist and the musts are there as a whole, in this order."""
    assert [row for row, _ in ROWS] == [row for rows in EXPECTED.values() for row in rows]


@pytest.mark.parametrize(("row", "cell"), ROWS, ids=[f"{row}-{place}" for place, (row, _) in enumerate(ROWS)])
def test_each_row_names_tests_that_exist(row, cell):
    """A row's tests can be found where the page says."""
    named = re.findall(r"`([^`]+)::(\w+)`", cell)

    assert named
    assert [name for path, name in named if name not in functions_in(REPO / path)] == []
