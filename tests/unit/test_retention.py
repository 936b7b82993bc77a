"""Which runs are removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.retention import DAY, Kept, Limits, remove_rests, superfluous

NOW = 100 * DAY


def kept(days: float, size: int = 10, *, is_safe: bool = True) -> Kept:
    """A run that ended so many days ago."""
    return Kept(RunDirectory(Path(f"/runs/{days:g}")), NOW - days * DAY, size, is_safe)


RUNS = [kept(0.5), kept(1), kept(3, is_safe=False), kept(5, 1000), kept(9)]


@pytest.mark.parametrize(
    ("limits", "removed"),
    [
        (Limits(), []),
        (Limits(days=2), ["5", "9"]),
        (Limits(days=0), ["0.5", "1", "5", "9"]),
        (Limits(runs=2), ["5", "9"]),
        (Limits(runs=0), ["0.5", "1", "5", "9"]),
        (Limits(size=25), ["5", "9"]),
        (Limits(size=40), ["5", "9"]),  # nothing older is kept than what has no room
        (Limits(days=6, runs=2), ["5", "9"]),
        (Limits(runs=9, size=10**6), []),
    ],
)
def test_what_a_limit_does_not_keep_is_removed(limits, removed):
    """But never a run that is alive: it counts, and stays."""
    assert [run.directory.run_id for run in superfluous(RUNS, limits, NOW)] == removed


def test_what_a_removal_left_is_removed(tmp_path):
    (tmp_path / ".removed-run" / "logs").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    remove_rests(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["run"]
