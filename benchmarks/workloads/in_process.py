"""Tasks called as functions, with no broker: what the task class itself costs."""

from __future__ import annotations

from benchmarks.workloads.kinds import BOTH, Comparison, Figure, Workload, answered

CALLS = (
    ("bare", "direct call, two arguments"),
    ("bag_20", "direct call, 20-key bag"),
    ("bag_200", "direct call, 200-key bag"),
    ("big", "direct call, 20-key bag, 1 MB argument"),
)

WORKLOADS = (
    Workload(
        "direct-call",
        "direct_calls",
        tuple(Figure(name, "us", answered(key)) for key, name in CALLS),
        {"times": 1000},
        quick={"times": 200},
        sides=BOTH,
    ),
)
COMPARISONS = (Comparison("direct call: with a 1 MB argument to without", CALLS[3][1], CALLS[1][1]),)
