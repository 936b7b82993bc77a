"""What is done while the broker is away, paused or loading costs that while, and nothing else."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from faults import ledger
from faults.flows import parent_value, revoked_value, two_levels, value_of
from faults.rig import ERROR, LIMIT, RIGHT, Outcome, World
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUTAGE: Final = float(os.environ.get("FIREXKIT_FAULTS_OUTAGE", "10"))
LOADING: Final = OUTAGE / 2
AFTERWARDS: Final = 15.0
"""Seconds after the broker's return in which all is well again."""
GATE: Final = "open"
VICTIM: Final = "victim"
CALLERS: Final = 3
SLOTS: Final = 16
"""All bodies that wait for the gate at the same time."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(OUTAGE + 4 * LIMIT)]

TROUBLES: Final = {
    "away": lambda world, meanwhile: world.kill_broker(OUTAGE, meanwhile=meanwhile),
    "paused": lambda world, meanwhile: world.pause_broker(OUTAGE, meanwhile=meanwhile),
    "loading": lambda world, meanwhile: world.load_broker(LOADING, meanwhile=meanwhile),
}
BEFORE: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "enqueue": ("sender", {"gate": GATE}, "total"),
    "result": ("gated", {"gate": GATE}, "worth"),
    "wait": ("waiter", {"gate": GATE, "seconds": 1.0}, "total"),
    "revoke": ("revoker", {"gate": GATE}, "revoked"),
    "once": ("several", {"how": "once", "callers": CALLERS, "gate": GATE}, "answers"),
    "cache": ("several", {"how": "cache", "callers": CALLERS, "gate": GATE}, "answers"),
    VICTIM: ("gated", {"gate": "never"}, "worth"),
}
"""What runs when the trouble comes: task, arguments, the name of what it returns; each has its key from here."""
BODIES_BEFORE: Final = 3 + 2 * 2 + 2 * (1 + CALLERS)
ONE_BODY: Final = ("once.answer", "cache.answer")


def _equal(answers: list[Any]) -> bool:
    return len(answers) == CALLERS and len(set(map(str, answers))) == 1


EXPECTED: Final[dict[str, Any]] = {
    "enqueue": two_levels("enqueue", GATE),
    "result": value_of("result"),
    "wait": two_levels("wait", GATE),
    "revoke": revoked_value(),
    "once": _equal,
    "cache": _equal,
    "client": parent_value("client"),
    "client revokes": None,
    VICTIM: None,
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, slots=SLOTS) as world:
        yield world


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_done_inside_an_outage_is_done_after_it(world: World, trouble: str) -> None:
    """Enqueue, result, wait, revoke, once and cache, by tasks and by a client: all end well, no body starts twice."""
    ids = _sent(world)
    asked = {key: world.client.ask("wait", task_id=ids[key], returns=BEFORE[key][2]) for key in BEFORE}
    wait_until(lambda: len(ledger.running(world.ledger())) == BODIES_BEFORE, LIMIT, what="all bodies at the gate")

    def meanwhile() -> None:
        (world.directory / GATE).touch()
        four = {"task": "parent", "arguments": {"key": "client"}, "returns": "total"}
        asked["client"] = world.client.ask("run", **four)
        asked["client revokes"] = world.client.ask("revoke", task_id=ids[VICTIM])

    begun = time.monotonic()
    TROUBLES[trouble](world, meanwhile)
    limit = time.monotonic() - begun + AFTERWARDS
    outcomes = {key: world.outcome(asked[key], EXPECTED[key], begun, limit) for key in EXPECTED}
    broken = _broken(world, outcomes)
    for key, outcome in outcomes.items():
        print(f"{trouble}: {key}: {outcome.kind} after {outcome.seconds:.1f} s {outcome.error or outcome.value}")
    if broken:
        print(world.report(with_stacks=True))

    assert not broken


def _sent(world: World) -> dict[str, str]:
    """The ids of all that runs before the trouble, by key."""
    numbers = {
        key: world.client.ask("send", task=task, arguments={"key": key, **arguments})
        for key, (task, arguments, _) in BEFORE.items()
    }
    return {key: world.client.value(number) for key, number in numbers.items()}


def _broken(world: World, outcomes: dict[str, Outcome]) -> list[str]:
    """What is not as promised, as sentences."""
    left, starts = world.settled(), world.starts()
    return [
        *(f"{key} is {outcome.kind}" for key, outcome in outcomes.items() if not _is_fine(key, outcome)),
        *(f"{key} started {times} times" for key, times in starts.items() if times > 1),
        *(f"{key} did not start" for key in ONE_BODY if key not in starts),
        *ledger.again(world.ledger(), world.accepted.successes),
        *left,
    ]


def _is_fine(key: str, outcome: Outcome) -> bool:
    if key == VICTIM:
        return outcome.kind == ERROR and "Revoked" in outcome.error[0]
    return outcome.kind == RIGHT
