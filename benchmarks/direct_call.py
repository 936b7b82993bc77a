"""The direct call of a FireXTask with a 20-key bag, against plain Celery's `Task.__call__`, as a ratio.

Rounds of the two alternate in one process, so a machine that slows down slows both; the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

from celery import Celery
from celery.app.task import Task

from firexkit.chain import returns
from firexkit.task import FireXTask

BAG = {f"key_{number}": f"value {number}" for number in range(20)}


def make_tasks() -> dict[str, Any]:
    """The same function as a plain task and as a FireXTask."""
    app = Celery("bench", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(shared=False, base=Task)
    def plain(**bag: Any) -> Any:
        return bag["key_0"]

    @app.task(shared=False, base=FireXTask)
    @returns("shown")
    def firex(key_0: Any, key_1: Any) -> Any:  # noqa: ARG001 - two of the twenty are accepted
        return key_0

    app.finalize()
    return {"plain": app.tasks[plain.name], "firex": app.tasks[firex.name]}


def microseconds(call: Callable[[], Any], times: int) -> float:
    """Mean duration of one call."""
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times * 1e6


def measure(rounds: int, times: int) -> dict[str, float]:
    """Medians of both and of their ratio, round by round."""
    tasks = make_tasks()
    pairs = [
        (microseconds(lambda: tasks["plain"](**BAG), times), microseconds(lambda: tasks["firex"](**BAG), times))
        for _ in range(rounds + 1)
    ][1:]
    return {
        "plain_us": statistics.median(plain for plain, _ in pairs),
        "firex_us": statistics.median(firex for _, firex in pairs),
        "ratio": statistics.median(firex / plain for plain, firex in pairs),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rounds, options.times)
    if options.json:
        print(json.dumps(figures))
        return
    print(
        f"direct call, 20-key bag: plain Celery {figures['plain_us']:.1f} us, "
        f"FireXTask {figures['firex_us']:.1f} us, ratio {figures['ratio']:.2f} (aim: at most 5)"
    )


if __name__ == "__main__":
    main()
