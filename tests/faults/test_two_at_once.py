"""Faults that meet: a process and the broker die together, and a worker that was taken for dead comes back."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import DOOMED, value_of
from faults.ledger import END, running
from faults.rig import LEASE_TIME, LIMIT, World
from worker.rig import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from faults.rig import Outcome

KEY: Final = "one"
LONG: Final = {"key": KEY, "seconds": 2 * LEASE_TIME}

pytestmark = [pytest.mark.faults, pytest.mark.timeout(4 * LIMIT)]


@pytest.mark.parametrize("away", [0.2, 1.0])
def test_a_process_dies_and_nobody_can_be_asked_what_becomes_of_its_task(tmp_path: Path, away: float) -> None:
    """The worker's main process asks when the broker is back."""
    with World(tmp_path) as world:

        def strike() -> None:
            world.kill_child()
            world.kill_broker(away)

        outcome = world.run(
            "beside", {"key": KEY, "seconds": 1.0}, returns="worth", expected=value_of(KEY), strike=strike, after=0.5
        )

        assert not outcome.broken(mode="retry"), outcome.report


def test_how_a_body_ended_that_was_taken_for_lost_does_not_count(tmp_path: Path) -> None:
    """Its worker was stopped for longer than a lease; whoever waits was told so, and that stays true."""
    with World(tmp_path, mode="fail") as world:
        doomed = world.start_doomed(DOOMED, 1)
        task_id = world.client.value(world.client.ask("send", task="beside", arguments=LONG, queue=DOOMED))
        wait_until(lambda: running(world.ledger()), LIMIT, what="the body begins")
        doomed.signal_all(signal.SIGSTOP)
        told = _waited(world, task_id)
        doomed.signal_all(signal.SIGCONT)
        wait_until(lambda: any(line.what == END for line in world.ledger()), LIMIT, what="the body ends")
        left, told_again = world.settled(), _waited(world, task_id)

        assert (told.is_clear, told_again.is_clear, left) == (True, True, []), world.report(with_stacks=False)


def _waited(world: World, task_id: str) -> Outcome:
    return world.outcome(world.client.ask("wait", task_id=task_id, returns="worth"), None, time.monotonic())
