"""Chains: run with a bag of 20 keys and 100 KB, built, and verified."""

from __future__ import annotations

from benchmarks.workloads.kinds import BOTH, FIREX, Comparison, Figure, Workload, answered, cost, per

KEYS = 20
BIG = 100_000
LINKS_BUILT = (10, 50)
LINKS_VERIFIED = (1, 10, 50, 200)


def chain(links: int) -> Workload:
    """A chain that a client builds, sends and waits for."""
    return Workload(
        f"chain-{links}",
        "run_chain",
        (
            Figure(f"chain of {links}, 100 KB, per link", "ms", per("links")),
            Figure(f"chain of {links}, 100 KB: broker KB in per link", "KB", cost("bytes_in", per="links", scale=1e-3)),
        ),
        {"links": links, "keys": KEYS, "big": BIG},
    )


WORKLOADS = (
    chain(10),
    chain(50),
    Workload(
        "building",
        "build_chains",
        tuple(Figure(f"building a chain of {links}", "us", answered(str(links))) for links in LINKS_BUILT),
        {"links": LINKS_BUILT, "times": 10},
        sides=BOTH,
    ),
    Workload(
        "verification",
        "verify_chains",
        tuple(Figure(f"verification, {links} links", "us", answered(str(links))) for links in LINKS_VERIFIED),
        {"links": LINKS_VERIFIED, "times": 10},
        sides=FIREX,
    ),
)
COMPARISONS = (Comparison("verification: 200 links to 50", "verification, 200 links", "verification, 50 links"),)
