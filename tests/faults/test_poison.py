"""A task that kills whatever runs it does so a few times and no more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import tree_value
from faults.rig import ERROR, LIMIT, RIGHT, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_BODIES: Final = 3
WIDTHS: Final = [3]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(4 * LIMIT)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def test_a_task_that_kills_its_process_fails_and_its_neighbours_go_on(world: World) -> None:
    """The error tells the signal and how often it was tried; a tree beside it runs each body once."""
    begun = time.monotonic()
    poisoned = world.client.ask("run", task="poison", arguments={"key": "poison"}, returns="nothing")
    arguments = {"key": "tree", "widths": WIDTHS, "seconds": 2.0}
    tree = world.run("tree", arguments, returns="total", expected=tree_value("tree", WIDTHS))
    outcome = world.outcome(poisoned, None, begun)
    starts = world.starts()
    told = "\n".join(outcome.error)
    print(outcome, tree.report or starts)

    assert outcome.kind == ERROR
    assert "faults.flows.poison" in told
    assert "signal 9" in told or "SIGKILL" in told
    assert f"of {MOST_BODIES}" in told
    assert 1 < starts.pop("poison") <= MOST_BODIES
    assert (tree.kind, tree.broken(mode="retry"), set(starts.values())) == (RIGHT, "", {1})
