"""Each command of a flow of four tasks, once lost on its way to the server, once done and its reply lost."""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import parent_value
from faults.proxy import Command, Loss, Proxy
from faults.rig import RIGHT, Outcome, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED: Final = int(os.environ.get("FIREXKIT_FAULTS_SEED", "5000"))
ALL: Final = "FIREXKIT_FAULTS_ALL" in os.environ
"""Every command, and not a sample."""
ONLY: Final = os.environ.get("FIREXKIT_FAULTS_COMMANDS")
"""Those commands only in whose text, as reports have it, this is found; to see one again."""
SAMPLE: Final = 40
PARTS: Final = 5
"""Tests that share the commands."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600 if ALL else 600)]


class Stage:
    """A world that flows share, and another one when a flow has broken a promise in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)
        self._world: World | None = None

    @property
    def world(self) -> World:
        """The world, which has run a flow: the first one of each process opens connections."""
        if self._world is None:
            directory = self._directory / f"world-{next(self._numbers)}"
            directory.mkdir()
            self._world = World(directory, proxy=Proxy).__enter__()
            outcome = self.flow()
            assert outcome.kind == RIGHT, outcome.report
        return self._world

    def flow(self) -> Outcome:
        """Four tasks."""
        key = f"flow{next(self._numbers)}"
        return self.world.run("parent", {"key": key}, returns="total", expected=parent_value(key))

    def commands(self) -> list[Command]:
        """Those of one flow."""
        proxy = self.world.proxy
        assert proxy is not None
        proxy.record()
        assert self.flow().kind == RIGHT
        return proxy.recorded()

    def struck(self, command: Command, loss: Loss) -> str:
        """Which promise is broken when a command is lost; empty when none is."""
        proxy = self.world.proxy
        assert proxy is not None
        proxy.lose(command, loss)
        outcome = self.flow()
        was_lost = proxy.has_lost
        proxy.record()
        broken = outcome.broken(mode="retry")
        print(
            f"{loss.value} of {command}{'' if was_lost else ' (did not come)'}: {broken or f'{outcome.seconds:.1f} s'}"
        )
        if broken:
            print(outcome.report)
            self.close()
        return f"{loss.value} of {command}: {broken}" if broken else ""

    def close(self) -> None:
        """End the world."""
        if self._world is not None:
            self._world.close()
            self._world = None


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def chosen(stage: Stage) -> list[Command]:
    """The commands that are struck: all, or a sample that the seed chooses."""
    commands = stage.commands()
    print(f"{len(commands)} commands in the flow, seed {SEED}")
    if ONLY:
        return [command for command in commands if ONLY in str(command)]
    return commands if ALL else random.Random(SEED).sample(commands, min(SAMPLE, len(commands)))


@pytest.mark.parametrize("loss", list(Loss), ids=lambda loss: loss.value)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_lost_command_costs_time_and_nothing_else(stage: Stage, chosen: list[Command], part: int, loss: Loss) -> None:
    """The flow ends with its value, and no body runs whose result was accepted."""
    broken = [stage.struck(command, loss) for command in chosen[part::PARTS]]

    assert not [*filter(None, broken)], f"seed {SEED}"
