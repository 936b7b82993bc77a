"""One random fault each in many runs of a tree of 13 tasks; `rig.py` says how to see one again."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import tree_value
from faults.rig import LIMIT, Outcome, World
from faults.runs import CommandRun

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS: Final = ("child", "main", "worker", "broker", "pause")
SEED: Final = int(os.environ.get("FIREXKIT_FAULTS_SEED", "5000"))
RUNS: Final = int(os.environ.get("FIREXKIT_FAULTS_RUNS", "40"))
RUN_MODE: Final = os.environ.get("FIREXKIT_FAULTS_RUN_MODE", "retry")
FIGURES: Final = os.environ.get("FIREXKIT_FAULTS_FIGURES")
"""A file that gets a line of JSON for each run."""
CHUNK: Final = 5
"""Runs in one test: each fault once."""
LATEST: Final = 1.8
"""Seconds after sending in which the fault comes; without it the tree takes two."""
WIDTHS: Final = [3, 3]
ARGUMENTS: Final = {"key": "0", "widths": WIDTHS, "seconds": 1.0}
EXPECTED: Final = tree_value("0", WIDTHS)
OF_COMMAND: Final = 4
"""There is one run by `firex run` for so many in worlds of ours."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(CHUNK * (3 * LIMIT))]


@dataclass(frozen=True)
class Scenario:
    """What a seed chooses."""

    seed: int
    fault: str
    after: float
    choice: float

    @classmethod
    def of(cls, seed: int) -> Scenario:
        """The scenario of a seed."""
        chance = random.Random(seed)
        return cls(seed, FAULTS[seed % len(FAULTS)], round(chance.uniform(0, LATEST), 3), chance.random())

    def strike(self, world: World | CommandRun) -> Callable[[], object]:
        """The fault, for a world."""
        by_name: dict[str, Callable[[], object]] = {
            "child": lambda: world.kill_child(lambda victims: victims[int(self.choice * len(victims))]),
            "main": world.kill_main,
            "worker": world.kill_worker,
            "broker": world.kill_broker,
            "pause": world.pause_broker,
        }
        return by_name[self.fault]


def in_a_world(scenario: Scenario, directory: Path) -> Outcome:
    """One run in a world of its own."""
    directory.mkdir()
    with World(directory, mode=RUN_MODE) as world:
        strike = scenario.strike(world)
        return world.run("tree", ARGUMENTS, returns="total", expected=EXPECTED, strike=strike, after=scenario.after)


def in_a_run(scenario: Scenario, directory: Path) -> Outcome:
    """`firex run`, with its own supervisor and server."""
    with CommandRun(directory, mode=RUN_MODE) as command:
        strike = scenario.strike(command)
        return command.run("tree", ARGUMENTS, returns="total", expected=EXPECTED, strike=strike, after=scenario.after)


def _note(where: str, scenario: Scenario, outcome: Outcome) -> None:
    broken = outcome.broken(mode=RUN_MODE)
    told = {
        **vars(scenario),
        "where": where,
        "kind": outcome.kind,
        "seconds": round(outcome.seconds, 2),
        "broken": broken,
    }
    print(json.dumps(told))
    if FIGURES:
        with Path(FIGURES).open("a") as file:
            file.write(json.dumps(told) + "\n")


@pytest.mark.parametrize("first", range(SEED, SEED + RUNS, CHUNK))
def test_one_fault_costs_time_and_nothing_else(first: int, tmp_path: Path) -> None:
    """Whatever dies, the root ends with its value, and no body runs whose result was accepted."""
    _all_well(first, SEED + RUNS, in_a_world, tmp_path)


@pytest.mark.parametrize("first", range(SEED, SEED + RUNS // OF_COMMAND, CHUNK))
def test_one_fault_in_a_run_of_the_command_costs_time_and_nothing_else(first: int, tmp_path: Path) -> None:
    """The same for `firex run`, which starts its own server and worker again."""
    _all_well(first, SEED + RUNS // OF_COMMAND, in_a_run, tmp_path)


def _all_well(first: int, end: int, run: Callable[[Scenario, Path], Outcome], directory: Path) -> None:
    """Run the scenarios of a chunk; all must be as promised."""
    scenarios = [Scenario.of(seed) for seed in range(first, min(first + CHUNK, end))]
    outcomes = [(scenario, run(scenario, directory / str(scenario.seed))) for scenario in scenarios]
    broken = [(scenario, outcome) for scenario, outcome in outcomes if outcome.broken(mode=RUN_MODE)]
    for scenario, outcome in outcomes:
        _note(run.__name__, scenario, outcome)
    print(f"median {median(outcome.seconds for _, outcome in outcomes):.1f} s")
    for scenario, outcome in broken:
        print(f"═══════ {scenario}\n{outcome.report}")

    assert not [f"{scenario}: {outcome.broken(mode=RUN_MODE)}" for scenario, outcome in broken]
