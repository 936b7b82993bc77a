"""A task that takes many lease times is held all that time: it starts once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import value_of
from faults.rig import LIMIT, RIGHT, World

if TYPE_CHECKING:
    from pathlib import Path

LEASE: Final = 1.0
SECONDS: Final = 20 * LEASE
SLOTS: Final = 20
COUNT: Final = int(os.environ.get("FIREXKIT_FAULTS_LONG", "20"))
PATIENCE: Final = LIMIT + SECONDS * COUNT / SLOTS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(PATIENCE + 2 * LIMIT)]


def test_a_task_of_twenty_lease_times_starts_once(tmp_path: Path) -> None:
    """Nobody takes it for lost, and no second copy of its message begins."""
    with World(tmp_path, lease=LEASE, slots=SLOTS) as world:
        begun, keys = time.monotonic(), [f"long{number}" for number in range(COUNT)]
        asked = [
            world.client.ask("run", task="beside", arguments={"key": key, "seconds": SECONDS}, returns="worth")
            for key in keys
        ]
        outcomes = [
            world.outcome(number, value_of(key), begun, PATIENCE) for key, number in zip(keys, asked, strict=True)
        ]
        starts = world.starts()
        print(f"{sum(times == 1 for times in starts.values())} of {COUNT} started once")

        assert {outcome.kind for outcome in outcomes} == {RIGHT}, world.report(with_stacks=True)
        assert starts == dict.fromkeys(keys, 1)
        assert world.settled() == []
