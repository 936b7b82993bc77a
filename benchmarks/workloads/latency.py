"""How long one waits: for a no-op, for a child, for any of several."""

from __future__ import annotations

from benchmarks.workloads.kinds import BOTH, Comparison, Figure, Workload, cost, per, quantile, worst

ROUND_TRIPS = 200
NESTED_TIMES = 5
AT_ONCE = 7
"""Parents that wait at the same time: with their children they take 14 of the 16 slots."""
READY_AFTER = 0.2
"""Seconds until the one of fifteen ends, or somewhat more."""


def wake(seconds: float, times: int) -> Workload:
    """Parents that wait for children of one length."""
    name = f"wake after a {seconds:g} s child"
    return Workload(
        f"wake-{seconds:g}",
        "wakes",
        (Figure(f"{name}, median", "ms", quantile(0.5)), Figure(f"{name}, worst", "ms", worst, over_rounds=max)),
        {"seconds": seconds, "times": times, "together": AT_ONCE if seconds else 1},
        quick={"times": min(times, AT_ONCE)},
    )


def nested(depth: int) -> Workload:
    """Parents that block on parents that block on …"""
    figure = Figure(f"nested {depth} deep, warm, per level", "ms", per("depth"))
    return Workload(f"nested-{depth}", "nested", (figure,), {"depth": depth, "times": NESTED_TIMES})


WORKLOADS = (
    Workload(
        "noop",
        "round_trips",
        (
            Figure("no-op round trip, p50", "ms", quantile(0.5)),
            Figure("no-op round trip, p99", "ms", quantile(0.99)),
            Figure("broker commands per no-op", "", cost("commands", per="times")),
        ),
        {"times": ROUND_TRIPS},
        quick={"times": 50},
    ),
    Workload(
        "noop-delayed",
        "round_trips",
        (
            Figure("no-op by delay and a wait, p50", "ms", quantile(0.5)),
            Figure("no-op by delay and a wait, p99", "ms", quantile(0.99)),
            Figure("broker commands per no-op by delay and a wait", "", cost("commands", per="times")),
        ),
        {"times": ROUND_TRIPS},
        quick={"times": 50},
        sides=BOTH,
        verbs={"firex": "delayed_round_trips"},
    ),
    nested(5),
    nested(10),
    wake(0, 20),
    wake(0.3, 2 * AT_ONCE),
    wake(3, AT_ONCE),
    Workload(
        "any-of-15",
        "any_of",
        (Figure("any of 15, one ready", "ms", quantile(0.5)),),
        {"children": 15, "seconds": READY_AFTER, "times": 5},
        quick={"times": 2},
    ),
)
COMPARISONS = (
    Comparison(
        "wake after 3 s to that after 0.3 s", "wake after a 3 s child, median", "wake after a 0.3 s child, median"
    ),
)
