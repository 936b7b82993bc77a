"""What is left behind: by tasks that are forgotten, and by waiting."""

from __future__ import annotations

from benchmarks.workloads.kinds import BOTH, FIREX, Figure, Workload, answered, cost, left_behind, per

BUFFERS_SHRINK = 2.5
"""Seconds after which idle connections have given their buffers back and the broker has noticed."""
MEMORY_ROUNDS = 3
"""Memory hardly differs from round to round, and the rests take long."""


def left(name: str, kind: str, unit: str = "", scale: float = 1) -> Figure:
    """How much more of something there is than before."""
    return Figure(name, unit, left_behind(kind, scale=scale), compared=False)


WORKLOADS = (
    Workload(
        "memory",
        "collect",
        (
            Figure("broker memory per task and its result", "B", cost("dataset", per="tasks_sent")),
            Figure("broker keys per task and its result", "", cost("keys", per="tasks_sent")),
        ),
        {"tasks_sent": 1000},
        sides=BOTH,
        rounds=MEMORY_ROUNDS,
        rest=BUFFERS_SHRINK,
    ),
    Workload(
        "forgetting",
        "forget_children",
        (
            Figure("forgetting 1,000 children, per child", "ms", per("children")),
            left("1,000 tasks forgotten: keys more than before", "keys"),
            left("1,000 tasks forgotten: dataset memory more", "dataset", "KB", 1 / 1024),
        ),
        {"children": 1000, "foreign_keys": 0},
        sides=BOTH,
        rounds=MEMORY_ROUNDS,
        rest=BUFFERS_SHRINK,
    ),
    Workload(
        "forgetting-among-others",
        "forget_children",
        (Figure("forgetting among 100,000 foreign keys, per child", "ms", per("children")),),
        {"children": 100, "foreign_keys": 100_000},
        sides=BOTH,
    ),
    Workload(
        "many-waits",
        "wait_often",
        (
            Figure("10,000 waits, each", "ms", per("waits")),
            left("10,000 waits: clients more than before", "clients"),
            left("10,000 waits: channels more than before", "channels"),
            left("10,000 waits: keys more than before", "keys"),
            left("10,000 waits: dataset memory more", "dataset", "KB", 1 / 1024),
            Figure("10,000 waits: the client's memory more", "KB", answered("rss_kb")),
        ),
        {"waits": 10_000},
        quick={"waits": 500},
        sides=FIREX,
        rounds=1,
        rest=BUFFERS_SHRINK,
    ),
)
