"""Plain Celery's client: the verbs of the workloads, with `delay`, `chain` and `get`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from celery import chain

from benchmarks.settings import HELD, bag, spread
from benchmarks.sides import holding, in_process
from benchmarks.sides import plain_tasks as tasks
from benchmarks.sides.answering import milliseconds, serve, verb

START_PATIENCE = 60
CELERY_PIECES = (
    "celery, celery.app.base, celery.app.task, celery.canvas, celery.result, celery.backends.redis, kombu, redis"
)


@verb
def ready(processes: int) -> dict[str, Any]:
    """Once the worker answers, and each of its processes has sent and waited."""
    tasks.nop.delay().get(timeout=START_PATIENCE)
    for _ in range(2):
        for sent in [tasks.warm_up.delay(0.2) for _ in range(processes - 1)]:
            sent.get(timeout=START_PATIENCE)
    return {}


@verb
def settle() -> dict[str, Any]:
    """Read what the results of the last workload left in this client's subscription."""
    tasks.nop.delay().get()
    return {}


@verb
def round_trips(times: int) -> dict[str, Any]:
    """No-ops, one after the other."""
    return {"ms": [milliseconds(lambda: tasks.nop.delay().get()) for _ in range(times)]}


@verb
def collect(tasks_sent: int) -> dict[str, Any]:
    """No-ops, all sent and then all collected."""
    start = perf_counter()
    results = [tasks.nop.delay() for _ in range(tasks_sent)]
    for result in results:
        result.get()
    return {"ms": (perf_counter() - start) * 1e3}


@verb
def nested(depth: int, times: int) -> dict[str, Any]:
    """Parents that block on a child that blocks on a child …"""
    return {"ms": [tasks.nest.delay(depth).get() * 1e3 for _ in range(times)]}


@verb
def fan_out(children: int, at_once: int | None) -> dict[str, Any]:
    """Children of one task."""
    return {"ms": tasks.fan_out.delay(children, at_once).get() * 1e3}


@verb
def run_chain(links: int, keys: int, big: int) -> dict[str, Any]:
    """A chain: built, sent, waited for and its last bag read."""
    values = bag(keys, big)
    start = perf_counter()
    sent = chain(tasks.link.s(values), *[tasks.link.s() for _ in range(links - 1)]).apply_async()
    last = sent.get()
    took = perf_counter() - start
    assert last["note"] == "value 0"
    return {"ms": took * 1e3}


@verb
def wakes(seconds: float, times: int, together: int) -> dict[str, Any]:
    """Parents that wait for a child each, that many at a time."""
    woken: list[float] = []
    lengths = spread(seconds, times)
    for first in range(0, len(lengths), together):
        sent = [tasks.wake.delay(length) for length in lengths[first : first + together]]
        woken.extend(result.get() * 1e3 for result in sent)
    return {"ms": woken}


@verb
def any_of(children: int, seconds: float, times: int) -> dict[str, Any]:
    """Parents, one after the other, that wait for the first of their children; it takes that long."""
    return {"ms": [tasks.any_of.delay(HELD, children, length).get() * 1e3 for length in spread(seconds, times)]}


@verb
def build_chains(links: list[int], times: int) -> dict[str, Any]:
    """Chains, from signatures."""
    return in_process.fresh(lambda size: [tasks.link.s() for _ in range(size)], lambda made: chain(*made), links, times)


@verb
def direct_calls(times: int) -> dict[str, Any]:
    """A task called as a function."""
    return in_process.calls(tasks.show, times)


@verb
def forget_children(children: int, foreign_keys: int) -> dict[str, Any]:
    """A task that forgets the results of its children; its own is forgotten here."""
    with holding.foreign_keys(foreign_keys):
        sent = tasks.forget_children.delay(children)
        took = sent.get()
        sent.forget()
    return {"ms": took * 1e3}


@verb
def fresh_imports(times: int) -> dict[str, Any]:
    """What a program imports that sends tasks through Redis and waits for them."""
    return in_process.fresh_imports(f"import {CELERY_PIECES}", times)


if __name__ == "__main__":
    serve(imports_firexkit=False)
