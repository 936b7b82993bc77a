"""The floor's client: redis-py and nothing else."""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import Any

from benchmarks.settings import HELD, bag, broker, spread
from benchmarks.sides.answering import milliseconds, serve, verb
from benchmarks.sides.holding import client_of
from benchmarks.sides.raw import Waiter


@cache
def own_waiter() -> Waiter:
    """This client's list."""
    return Waiter(client_of(broker()))


def call(name: str, *arguments: Any) -> Any:
    """A task's value."""
    own_waiter().send(name, *arguments)
    return own_waiter().next_value()


@verb
def ready(processes: int) -> dict[str, Any]:  # noqa: ARG001 - they are ready with their first task
    """Once the worker answers."""
    call("nop")
    return {}


@verb
def settle() -> dict[str, Any]:
    """Nothing is left here."""
    return {}


@verb
def round_trips(times: int) -> dict[str, Any]:
    """No-ops, one after the other."""
    return {"ms": [milliseconds(lambda: call("nop")) for _ in range(times)]}


@verb
def collect(tasks_sent: int) -> dict[str, Any]:
    """No-ops, all sent and then all collected."""
    start = perf_counter()
    for _ in range(tasks_sent):
        own_waiter().send("nop")
    for _ in range(tasks_sent):
        own_waiter().next_value()
    return {"ms": (perf_counter() - start) * 1e3}


@verb
def nested(depth: int, times: int) -> dict[str, Any]:
    """Parents that block on a child that blocks on a child …"""
    return {"ms": [call("nest", depth) * 1e3 for _ in range(times)]}


@verb
def fan_out(children: int, at_once: int | None) -> dict[str, Any]:
    """Children of one task."""
    return {"ms": call("fan_out", children, at_once) * 1e3}


@verb
def run_chain(links: int, keys: int, big: int) -> dict[str, Any]:
    """A chain."""
    return {"ms": milliseconds(lambda: call("link", links - 1, bag(keys, big)))}


@verb
def wakes(seconds: float, times: int, together: int) -> dict[str, Any]:
    """Parents that wait for a child each, that many at a time."""
    woken: list[float] = []
    lengths = spread(seconds, times)
    for first in range(0, len(lengths), together):
        some = lengths[first : first + together]
        for length in some:
            own_waiter().send("wake", length)
        woken.extend(own_waiter().next_value() * 1e3 for _ in some)
    return {"ms": woken}


@verb
def any_of(children: int, seconds: float, times: int) -> dict[str, Any]:
    """Parents, one after the other, that wait for the first of their children; it takes that long."""
    return {"ms": [call("any_of", HELD, children, length) * 1e3 for length in spread(seconds, times)]}


if __name__ == "__main__":
    serve(imports_firexkit=False)
