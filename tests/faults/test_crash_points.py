"""A process dies at each point in the code that has a name; the promises hold all the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from faults.flows import parent_value, revoked_value
from faults.points import crash_points, group_of
from faults.rig import LIMIT, Outcome, World

if TYPE_CHECKING:
    from pathlib import Path

    from faults.ledger import Line

HITS: Final = range(1, int(os.environ.get("FIREXKIT_FAULTS_HITS", "1")) + 1)
"""Which hits of a point are deadly, one in each run."""
POINTS: Final = [name for name, _ in crash_points()]
KEY: Final = "flow"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(4 * LIMIT)]


class Flow(NamedTuple):
    """What runs while a process dies at a point, and a fault before that where the point needs one."""

    task: str
    arguments: dict[str, Any]
    returns: str
    expected: Any
    strike: Callable[[World], object] | None = None
    after: float = 0.0


def _equal(answers: list[Any]) -> bool:
    return len(answers) == CALLERS and len(set(map(str, answers))) == 1


def _of(key: str) -> Callable[[list[Line]], Line]:
    """The body at a place in the flow if it runs, else the one that began last."""
    return lambda victims: next((one for one in victims if one.key.endswith(key)), victims[-1])


CALLERS: Final = 3
FOUR_TASKS: Final = Flow("parent", {}, "total", parent_value(KEY))
SLOW: Final = FOUR_TASKS._replace(arguments={"seconds": 1.0}, after=0.5)
ONE_LOST: Final = SLOW._replace(strike=lambda world: world.kill_child(_of("beside")))
PARENT_LOST: Final = SLOW._replace(strike=lambda world: world.kill_child(_of(KEY)))
MAIN_LOST: Final = SLOW._replace(strike=lambda world: world.kill_main())
WORKER_LOST: Final = SLOW._replace(strike=lambda world: world.kill_worker())
BROKER_LOST: Final = SLOW._replace(strike=lambda world: world.kill_broker(0.5))
FLOWS: Final = {
    "once": Flow("several", {"how": "once", "callers": CALLERS}, "answers", _equal),
    "cache": Flow("several", {"how": "cache", "callers": CALLERS}, "answers", _equal),
    "retry": Flow("flaky", {}, "worth", lambda value: value == parent_value(KEY)),
    "revoke": Flow("revoker", {"gate": ""}, "revoked", revoked_value()),
    "lost": ONE_LOST,
    "rerun": PARENT_LOST,
    "recover": MAIN_LOST,
    "judge": WORKER_LOST,
    "patrol": WORKER_LOST,
    "settle": BROKER_LOST,
}
"""By the group of a point; four tasks for all others."""


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_at_a_point_costs_time_and_nothing_else(point: str, hit: int, tmp_path: Path) -> None:
    """The flow ends with its value, no body runs whose result was accepted, and nothing is left."""
    outcome, hits = run(FLOWS.get(group_of(point), FOUR_TASKS), point, hit, tmp_path)
    broken = outcome.broken(mode="retry")
    print(f"{point}@{hit}: {outcome.kind} after {outcome.seconds:.1f} s, {hits} hits")
    if broken:
        print(outcome.report)

    assert hits >= hit or hit > 1, f"nobody came to the point {point!r}: its group needs another flow (FLOWS)"
    assert not broken, f"killed at {point!r}, hit {hit}"


def run(flow: Flow, point: str, hit: int, directory: Path) -> tuple[Outcome, int]:
    """The outcome of a flow in a world whose processes die at a point, and how often one came there."""
    token = directory / "token"
    env = {"FIREXKIT_CRASH_POINT": f"{point}@{hit}", "FIREXKIT_CRASH_TOKEN": str(token)}
    with World(directory, env=env) as world:
        strike = flow.strike
        outcome = world.run(
            flow.task,
            {"key": KEY, **flow.arguments},
            returns=flow.returns,
            expected=flow.expected,
            strike=(lambda: strike(world)) if strike else None,
            after=flow.after,
        )
    return outcome, token.stat().st_size if token.exists() else 0
