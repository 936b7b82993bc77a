"""A worker dies and stays away: whoever waits for its tasks, in whatever way, gets a clear error soon."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import DOOMED, WAYS, value_of
from faults.ledger import running
from faults.rig import LIMIT, RIGHT, World
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.rig import Outcome

USUALLY: Final = 10.0
AT_MOST: Final = 20.0
ROOT: Final = "root"
CACHED: Final = "cached"
"""The one way that gets a value: a cached call whose first body is lost has another, which its gate lets through."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(5 * LIMIT)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, mode="fail", slots=len(WAYS)) as world:
        yield world


def test_a_dead_worker_is_a_clear_error_for_all_who_wait(world: World) -> None:
    """Blocking, for any, in parallel, for room, once, cached, in a chain, and as a client: it tells task and worker."""
    doomed = world.start_doomed(DOOMED, 2 * len(WAYS))
    asked = _asked(world)
    wait_until(lambda: _running_below(world) == len(WAYS) + 2, LIMIT, what="all bodies in the worker that dies")
    doomed.kill_all_at_once()
    (world.directory / "opened at death").touch()
    begun = time.monotonic()
    cached = value_of("cached.child0")
    outcomes = {way: world.outcome(number, cached, begun, AT_MOST) for way, number in asked.items()}
    for way, outcome in outcomes.items():
        print(f"{way}: {outcome.kind} after {outcome.seconds:.1f} s {outcome.error or outcome.value}")
    broken = [way for way, outcome in outcomes.items() if not _is_fine(way, outcome)]
    if broken:
        print(world.report(with_stacks=True))

    assert not broken
    assert median(outcome.seconds for outcome in outcomes.values()) <= USUALLY


def _asked(world: World) -> dict[str, int]:
    """What the client is to answer, by way of waiting."""
    arguments = {"key": ROOT, "gate": "never"}
    root = world.client.value(world.client.ask("send", task="gated", arguments=arguments, queue=DOOMED))
    below = {
        way: world.client.ask("run", task="waits", arguments={"key": way, "way": way}, returns="worth") for way in WAYS
    }
    return {**below, ROOT: world.client.ask("wait", task_id=root, returns="worth")}


def _running_below(world: World) -> int:
    """Bodies that run in the worker that dies: one for each way, another in parallel, the root's."""
    return sum("child" in line.key or line.key == ROOT for line in running(world.ledger()))


def _is_fine(way: str, outcome: Outcome) -> bool:
    return outcome.kind == RIGHT if way == CACHED else outcome.is_clear
