"""Many at once: from a client, and from inside a task."""

from __future__ import annotations

from benchmarks.workloads.kinds import Comparison, Figure, Workload, cost, per

AT_MOST = 15


def collected(tasks: int) -> Workload:
    """No-ops that a client sends and then collects."""
    figures = (
        Figure(f"{tasks:,} sent, then collected, per task", "ms", per("tasks_sent")),
        Figure("worker CPU per task", "ms", cost("cpu_seconds", per="tasks_sent", scale=1000)),
    )
    return Workload(f"collect-{tasks}", "collect", figures[: 2 if tasks == 1000 else 1], {"tasks_sent": tasks})


def fan_out(children: int, at_once: int | None) -> Workload:
    """Children of one task."""
    name = f"fan-out {children:,}" + (f", at most {at_once}" if at_once else " unlimited")
    figures = (
        Figure(f"{name}, per child", "ms", per("children")),
        Figure(f"{name}: broker commands per child", "", cost("commands", per="children")),
        Figure(f"{name}: worker CPU per child", "ms", cost("cpu_seconds", per="children", scale=1000)),
    )
    word = f"fan-out-{children}-at-most-{at_once}" if at_once else f"fan-out-{children}"
    return Workload(
        word, "fan_out", figures[: 3 if children == 1000 else 1], {"children": children, "at_once": at_once}
    )


WORKLOADS = (
    *(collected(tasks) for tasks in (10, 100, 1000)),
    *(fan_out(children, at_once) for at_once in (None, AT_MOST) for children in (100, 1000)),
)
COMPARISONS = (
    Comparison(
        "fan-out unlimited, per child: 1,000 to 100",
        "fan-out 1,000 unlimited, per child",
        "fan-out 100 unlimited, per child",
    ),
    Comparison(
        "fan-out, at most 15, per child: 1,000 to 100",
        "fan-out 1,000, at most 15, per child",
        "fan-out 100, at most 15, per child",
    ),
)
