"""What was revoked while it waited never starts, whoever is started again meanwhile; what runs hears of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import parent_value
from faults.ledger import running
from faults.rig import ERROR, LIMIT, SLOTS, World
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT: Final = int(os.environ.get("FIREXKIT_FAULTS_REVOKED", "100"))
GATE: Final = "open"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(5 * LIMIT)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def test_what_was_revoked_never_starts(world: World) -> None:
    """All slots are taken; what waits behind is revoked, then worker and broker die, then the slots are free."""
    asked = [world.client.ask("send", task="gated", arguments={"key": f"first{n}", "gate": GATE}) for n in range(SLOTS)]
    wait_until(lambda: len(running(world.ledger())) == SLOTS, LIMIT, what="all slots are taken")
    sent = [world.client.ask("send", task="beside", arguments={"key": f"revoked{n}"}) for n in range(COUNT)]
    ids = [world.client.value(number) for number in sent]
    revoking = [world.client.ask("revoke", task_id=task_id) for task_id in ids]
    [world.client.value(number) for number in revoking]
    world.kill_worker()
    world.kill_broker(0.2)
    (world.directory / GATE).touch()
    last = world.run("parent", {"key": "last"}, returns="total", expected=parent_value("last"))
    begun = time.monotonic()
    waiting = [world.client.ask("wait", task_id=task_id, returns="worth") for task_id in ids[:: max(1, COUNT // 10)]]
    ended = [world.outcome(number, None, begun) for number in waiting]
    started = [key for key in world.starts() if key.startswith("revoked")]
    print(f"{COUNT} revoked, {len(started)} started; {last.kind} after {last.seconds:.1f} s; {len(asked)} before them")

    assert not started
    assert not last.broken(mode="retry"), last.report
    assert {(outcome.kind, "Revoked" in outcome.error[0]) for outcome in ended} == {(ERROR, True)}


def test_a_task_that_runs_hears_that_it_was_revoked(world: World) -> None:
    """And so does whoever waits for it."""
    task_id = world.client.value(world.client.ask("send", task="gated", arguments={"key": "one", "gate": GATE}))
    wait_until(lambda: running(world.ledger()), LIMIT, what="it runs")
    waiting = world.client.ask("wait", task_id=task_id, returns="worth")
    begun = time.monotonic()
    world.client.ask("revoke", task_id=task_id)
    outcome = world.outcome(waiting, None, begun)
    print(f"heard after {outcome.seconds:.2f} s")

    assert (outcome.kind, world.settled()) == (ERROR, [])
    assert "Revoked" in outcome.error[0]
