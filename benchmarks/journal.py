"""`python -m benchmarks.journal`: what a journal costs. The same runs with one and without, in turn; and a large one.

Tasks a second are taken inside the run's root, from its first child sent to the last one ended. The recorder shares
the machine with the tasks that it records.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASKS = """\
import os, time
from firexkit import FireX
app = FireX("recorded", firexkit_journal=os.environ["RECORDED"] == "yes")

@app.task(bind=True, returns="rate")
def many(self, count: int):
    start = time.perf_counter()
    children = (one.s(number=number, text=f"value {number}") for number in range(count))
    self.enqueue_in_parallel(children, max_parallel_chains=count, raise_exception_on_failure=True)
    return round(count / (time.perf_counter() - start))

@app.task(returns=("doubled", "told"))
def one(number: int, text: str, left: str = "default"):
    return 2 * number, text.upper()
"""
FIREX = str(Path(sys.executable).with_name("firex"))


def rate(home: Path, count: int, *, recorded: bool) -> int:
    """Tasks a second in one run."""
    env = {**os.environ, "FIREX_HOME": str(home), "RECORDED": "yes" if recorded else "no"}
    command = [FIREX, "run", "many", "-t", str(home / "recorded.py"), "--count", str(count)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    found = re.search(r"rate = (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    return int(found[1])


def compare(home: Path, count: int, rounds: int) -> None:
    """Print the median of the rounds' ratios."""
    ratios = []
    for number in range(rounds):
        order = (True, False) if number % 2 else (False, True)
        rates = {recorded: rate(home, count, recorded=recorded) for recorded in order}
        ratios.append(rates[True] / rates[False])
        print(f"round {number + 1}: {rates[False]} tasks/s without, {rates[True]} with: {ratios[-1]:.2f}")
    print(f"throughput with a journal, {count} tasks: {statistics.median(ratios):.2f} of that without (bound 0.90)")


def timed(*words: str, home: Path) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    env = {**os.environ, "FIREX_HOME": str(home)}
    subprocess.run([FIREX, *words], env=env, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(home: Path, count: int) -> None:
    """Print what a large run costs, and how fast it is read."""
    print(f"a run of {count} tasks: {rate(home, count, recorded=True)} tasks/s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process on the submitting side: {peak:.0f} MB (bound 150)")
    run = (home / "runs" / "latest").resolve()
    journal = run / "journal.sqlite"
    with sqlite3.connect(journal) as db:
        ((facts,),) = db.execute("SELECT count(*) FROM fact")
    print(f"journal: {facts} facts, {journal.stat().st_size / 2**20:.1f} MB")
    print(f"firex show: {timed('show', 'latest', home=home):.2f} s (bound 1)")
    print(f"firex runs TEXT: {timed('runs', f'VALUE {count - 1}', home=home):.2f} s, start of the command included")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000, help="tasks of each run that is compared")
    parser.add_argument("--large", type=int, default=5000, help="tasks of the large one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "recorded.py").write_text(TASKS)
        compare(home, asked.count, asked.rounds)
        measure(home, asked.large)


if __name__ == "__main__":
    main()
