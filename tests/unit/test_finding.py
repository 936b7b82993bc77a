"""Which runs, and which of their tasks, somebody looks for."""

from __future__ import annotations

import pytest

from firexkit.journal.tree import Tree
from firexkit.runtime.finding import Asked, fits, is_same, record_fits
from firexkit.runtime.record import RunRecord
from unit.journal_support import began, entry, task_of

TASK = task_of(Tree([began("t", "ci.build", 1.0, entry("size", "3"), entry("board", '"x1"'))]), "t")
RECORD = RunRecord("id", "/", ["build"], {"size": 3, "board": "x1"}, "host", "/", ["firex", "run"], 1.0)


@pytest.mark.parametrize(
    ("asked", "is_it"),
    [
        (Asked(), True),
        (Asked(task="build"), True),
        (Asked(task="ci.build"), True),
        (Asked(task="buil"), False),
        (Asked(arguments={"size": "3"}), True),
        (Asked(arguments={"board": "x1", "size": "3"}), True),
        (Asked(arguments={"board": "x2", "size": "3"}), False),
        (Asked(arguments={"other": "3"}), False),
    ],
)
def test_a_task_is_the_one_by_its_name_and_arguments(asked, is_it):
    assert fits(TASK, asked) is is_it


@pytest.mark.parametrize(
    ("asked", "is_it"),
    [
        (Asked(words=("BUILD",)), True),
        (Asked(words=("build", "deploy")), False),
        (Asked(task="ci.build"), True),
        (Asked(arguments={"board": "x1", "size": "3"}), True),
        (Asked(arguments={"size": "4"}), False),
    ],
)
def test_a_run_without_a_journal_is_looked_for_in_its_record(asked, is_it):
    assert record_fits(RECORD, asked) is is_it


@pytest.mark.parametrize(
    ("told", "written", "same"),
    [('"x1"', "x1", True), ('"x1"', '"x1"', True), ("3", "3", True), ("[1,2]", "[1, 2]", True), ("3", "4", False)],
)
def test_a_value_needs_no_quotes(told, written, same):
    assert is_same(told, written) is same
