"""More parents that block than there are slots."""

from __future__ import annotations

from benchmarks.workloads.kinds import FIREX, Figure, Workload, left_behind, per

WORKLOADS = (
    Workload(
        "one-slot",
        "nested",
        (
            Figure("50 blocked parents at 1 slot, per level", "ms", per("depth")),
            Figure("50 blocked parents at 1 slot: pool afterwards", "", left_behind("processes")),
        ),
        {"depth": 50, "times": 1},
        quick={"depth": 10},
        sides=FIREX,
        rounds=1,
        slots=1,
        needs="firexkit._celery.lending",
        shrinks_within=120,
    ),
)
