"""firexkit's client: the verbs of the workloads, with `enqueue` and `|`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import reduce
from operator import or_
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from benchmarks.settings import HELD, bag, spread
from benchmarks.sides import firex_tasks as tasks
from benchmarks.sides import holding, in_process
from benchmarks.sides.answering import milliseconds, serve, verb
from firexkit.chain import InjectArgs, verify_chain_arguments
from firexkit.result import forget_chain_results, get_results, wait_on_async_results

START_PATIENCE = 60


@verb
def ready(processes: int) -> dict[str, Any]:
    """Once the worker answers, and each of its processes has sent and waited."""
    wait_on_async_results(tasks.nop.delay(), max_wait=START_PATIENCE)
    for _ in range(2):
        wait_on_async_results([tasks.warm_up.delay(0.2) for _ in range(processes - 1)], max_wait=START_PATIENCE)
    return {}


@verb
def settle() -> dict[str, Any]:
    """Read what the results of the last workload may have left in this client."""
    tasks.nop.s().enqueue(block=True)
    return {}


@verb
def round_trips(times: int) -> dict[str, Any]:
    """No-ops, one after the other."""
    return {"ms": [milliseconds(lambda: tasks.nop.s().enqueue(block=True)) for _ in range(times)]}


@verb
def delayed_round_trips(times: int) -> dict[str, Any]:
    """The same by Celery's `delay` and the library's wait."""
    return {"ms": [milliseconds(lambda: wait_on_async_results(tasks.nop.delay())) for _ in range(times)]}


@verb
def collect(tasks_sent: int) -> dict[str, Any]:
    """No-ops, all sent and then all collected."""
    start = perf_counter()
    results = [tasks.nop.s().enqueue() for _ in range(tasks_sent)]
    wait_on_async_results(results)
    assert all(result.successful() for result in results)
    return {"ms": (perf_counter() - start) * 1e3}


@verb
def nested(depth: int, times: int) -> dict[str, Any]:
    """Parents that block on a child that blocks on a child …"""
    return {"ms": [1e3 * told(tasks.nest.s(depth)) for _ in range(times)]}


@verb
def fan_out(children: int, at_once: int | None) -> dict[str, Any]:
    """Children of one task."""
    return {"ms": told(tasks.fan_out.s(children, at_once)) * 1e3}


@verb
def run_chain(links: int, keys: int, big: int) -> dict[str, Any]:
    """A chain: built, sent, waited for and its last bag read."""
    values = bag(keys, big)
    start = perf_counter()
    sent = reduce(or_, [tasks.link.s() for _ in range(links)], InjectArgs(**values)).enqueue(block=True)
    last = sent.result
    took = perf_counter() - start
    assert last["note"] == "value 0"
    return {"ms": took * 1e3}


@verb
def wakes(seconds: float, times: int, together: int) -> dict[str, Any]:
    """Parents that wait for a child each, that many at a time."""
    woken: list[float] = []
    lengths = spread(seconds, times)
    for first in range(0, len(lengths), together):
        sent = [tasks.wake.s(length).enqueue() for length in lengths[first : first + together]]
        wait_on_async_results(sent)
        woken.extend(get_results(result, "took")[0] * 1e3 for result in sent)
    return {"ms": woken}


@verb
def any_of(children: int, seconds: float, times: int) -> dict[str, Any]:
    """Parents, one after the other, that wait for the first of their children; it takes that long."""
    return {"ms": [told(tasks.any_of.s(HELD, children, length)) * 1e3 for length in spread(seconds, times)]}


def told(signature: Any) -> float:
    """What a task measured."""
    took: float = get_results(signature.enqueue(block=True), "took")[0]
    return took


@verb
def build_chains(links: list[int], times: int) -> dict[str, Any]:
    """Chains, from signatures."""
    return in_process.fresh(
        lambda size: [tasks.link.s() for _ in range(size)], lambda made: reduce(or_, made), links, times
    )


@verb
def verify_chains(links: list[int], times: int) -> dict[str, Any]:
    """Chains that have not been verified before, with a 20-key bag in front."""
    return in_process.fresh(
        lambda size: reduce(or_, [tasks.link.s() for _ in range(size)], InjectArgs(**bag())),
        verify_chain_arguments,
        links,
        times,
    )


@verb
def direct_calls(times: int) -> dict[str, Any]:
    """A task called as a function."""
    return in_process.calls(tasks.show, times)


@verb
def forget_children(children: int, foreign_keys: int) -> dict[str, Any]:
    """A task that forgets the results of its children; its own is forgotten here."""
    with holding.foreign_keys(foreign_keys):
        sent = tasks.forget_children.s(children).enqueue(block=True)
        took = get_results(sent, "took")[0]
        forget_chain_results(sent)
    return {"ms": took * 1e3}


@verb
def wait_often(waits: int) -> dict[str, Any]:
    """Waits of both kinds in turn, each result forgotten; tells how this process grew after a tenth of them."""
    grown_from = 0
    start = perf_counter()
    for number in range(waits):
        if number == waits // 10:
            grown_from = psutil.Process().memory_info().rss
        result = tasks.nop.delay() if number % 2 else tasks.nop.s().enqueue(block=True)
        wait_on_async_results(result)
        forget_chain_results(result)
    took = perf_counter() - start
    return {"ms": took * 1e3, "rss_kb": (psutil.Process().memory_info().rss - grown_from) / 1024}


@verb
def fresh_imports(times: int) -> dict[str, Any]:
    """The task class and what it needs."""
    return in_process.fresh_imports("import firexkit.task", times)


@verb
def run_nop(times: int) -> dict[str, Any]:
    """Seconds from typing the shortest command to its end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as home:
        command = [str(Path(sys.executable).with_name("firex")), "run", "nop", "--runs-dir", home]
        ran = [
            milliseconds(lambda: subprocess.run(command, check=True, capture_output=True, cwd=home)) / 1e3
            for _ in range(times)
        ]
    return {"ms": ran}


if __name__ == "__main__":
    serve(imports_firexkit=True)
