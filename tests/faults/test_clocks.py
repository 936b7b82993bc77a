"""Somebody sets the wall clock of a worker's machine, by an hour, while it works: nobody is taken for dead or alive."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from faults.flows import revoked_value, tree_value
from faults.rig import LEASE_TIME, LIMIT, Outcome, World, python_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR: Final = 3600.0
WIDTHS: Final = [2, 2]
LONG: Final = 2 * LEASE_TIME
"""Seconds of a leaf: its lease is renewed on both sides of the jump."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(6 * LIMIT)]


@pytest.fixture
def clock(tmp_path: Path) -> Callable[[float], None]:
    """Set the worker's clock so many seconds off; the world must be told of the file."""
    file = tmp_path / "clock"

    def set_off(seconds: float) -> None:
        with file.open("r+b" if file.exists() else "wb") as opened:
            opened.write(struct.pack("d", seconds))

    set_off(0.0)
    return set_off


@pytest.fixture
def world(tmp_path: Path, clock: Callable[[float], None]) -> Iterator[World]:
    env = {"PYTHONPATH": python_path(Path(__file__).parent / "clock"), "FIREXKIT_FAULTS_CLOCK": str(tmp_path / "clock")}
    with World(tmp_path, env=env) as world:
        yield world


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_a_clock_that_is_set_costs_nothing(world: World, clock: Callable[[float], None], shift: float) -> None:
    """No body starts twice when it jumps; then a child that dies is found, and a revocation is heard."""
    jump = _run_tree(world, "jump", strike=lambda: clock(shift), seconds=LONG)
    starts = world.starts()
    killed = _run_tree(world, "killed", strike=world.kill_child, seconds=1.0)
    revoked = world.run("revoker", {"key": "revoke", "gate": ""}, returns="revoked", expected=revoked_value())
    broken = {name: one.broken(mode="retry") for name, one in (("jump", jump), ("killed", killed), ("revoke", revoked))}
    print(broken, *(one.report for one in (jump, killed, revoked)))

    assert not any(broken.values()), broken
    assert set(starts.values()) == {1}


def _run_tree(world: World, key: str, *, strike: Callable[[], object], seconds: float) -> Outcome:
    arguments = {"key": key, "widths": WIDTHS, "seconds": seconds}
    expected = tree_value(key, WIDTHS)
    return world.run("tree", arguments, returns="total", expected=expected, strike=strike, after=0.5)
