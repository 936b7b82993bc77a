"""How long it takes until anything happens: imports, and a run of the command."""

from __future__ import annotations

from benchmarks.workloads.kinds import BOTH, FIREX, Figure, Workload, quantile

WORKLOADS = (
    Workload(
        "import",
        "fresh_imports",
        (Figure("import of firexkit.task", "ms", quantile(0.5)),),
        {"times": 2},
        sides=BOTH,
    ),
    Workload("run-nop", "run_nop", (Figure("firex run nop", "s", quantile(0.5)),), {"times": 1}, sides=FIREX),
)
