"""What is measured: each module is a group of workloads, each workload a verb of the clients and figures of it."""

from __future__ import annotations

from benchmarks.workloads import chains, fan_outs, in_process, latency, lending, memory, starting
from benchmarks.workloads.kinds import Comparison, Figure, Workload

__all__ = ["COMPARISONS", "WORKLOADS", "Comparison", "Figure", "Workload"]

WORKLOADS: tuple[Workload, ...] = (
    *latency.WORKLOADS,
    *fan_outs.WORKLOADS,
    *chains.WORKLOADS,
    *in_process.WORKLOADS,
    *memory.WORKLOADS,
    *starting.WORKLOADS,
    *lending.WORKLOADS,
)
COMPARISONS: tuple[Comparison, ...] = (
    *latency.COMPARISONS,
    *fan_outs.COMPARISONS,
    *chains.COMPARISONS,
    *in_process.COMPARISONS,
)
