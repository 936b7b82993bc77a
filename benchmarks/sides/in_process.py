"""Timing what needs no broker; imports neither Celery nor firexkit."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from benchmarks.settings import bag

BATCHES = 20
MEGABYTE = "x" * 1_000_000
TIMED = "from time import perf_counter; start = perf_counter(); {}; print((perf_counter() - start) * 1e3)"


def microseconds(call: Callable[[], object], times: int) -> float:
    """Duration of one call: the median of batches, so that what else runs on the machine hardly matters."""
    batch = max(1, times // BATCHES)
    return statistics.median(_batch(call, batch) for _ in range(BATCHES)) / batch * 1e6


def _batch(call: Callable[[], object], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - start


def calls(task: Callable[..., Any], times: int) -> dict[str, float]:
    """A task called as a function, with several bags."""
    two, twenty, many = bag(2), bag(20), bag(200)
    big = {**twenty, "key_0": MEGABYTE}
    return {
        "bare": microseconds(lambda: task(**two), times),
        "bag_20": microseconds(lambda: task(**twenty), times),
        "bag_200": microseconds(lambda: task(**many), times),
        "big": microseconds(lambda: task(**big), times),
    }


def fresh(
    make: Callable[[int], Any], use: Callable[[Any], object], sizes: Iterable[int], times: int
) -> dict[str, float]:
    """Median microseconds to use something newly made, by its size."""
    return {str(size): statistics.median(_used(make(size), use) for _ in range(times)) for size in sizes}


def _used(thing: Any, use: Callable[[Any], object]) -> float:
    start = perf_counter()
    use(thing)
    return (perf_counter() - start) * 1e6


def fresh_imports(statement: str, times: int) -> dict[str, Any]:
    """How long an import takes in a new interpreter, the start of that not counted."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    # The first one may have to compile what it imports.
    seconds = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(times + 1)]
    return {"ms": seconds[1:]}
