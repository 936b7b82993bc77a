"""The same tasks as FireXTasks of a FireX app, as its users write them."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.settings import celery_settings
from benchmarks.sides.holding import release, wait_for_release
from firexkit.app import FireX
from firexkit.chain import returns
from firexkit.task import FireXTask

app = FireX("firex")
app.conf.update(celery_settings("firex"))


@app.task
def nop() -> None:
    """Nothing."""


@app.task(bind=True)
def settle(self: FireXTask) -> None:
    """A child that is waited for: it reads what earlier results of this process left behind."""
    self.enqueue_child(nop.s(), block=True)


@app.task(bind=True)
def warm_up(self: FireXTask, seconds: float) -> None:
    """Hold a slot, so that each process gets one of these; then wait for a child."""
    time.sleep(seconds)
    self.enqueue_child(nop.s(), block=True)


@app.task(bind=True)
@returns("took")
def nest(self: FireXTask, depth: int) -> float:
    """Seconds until as many levels of blocking children have ended."""
    start = time.perf_counter()
    if depth:
        self.enqueue_child_and_get_results(nest.s(depth - 1), return_keys="took")
    return time.perf_counter() - start


@app.task(bind=True)
@returns("took")
def fan_out(self: FireXTask, children: int, at_once: int | None) -> float:
    """Seconds that children take, from the first sent to the last one's result."""
    start = time.perf_counter()
    results = self.enqueue_in_parallel([nop.s() for _ in range(children)], max_parallel_chains=at_once or children)
    assert len([result.result for result in results if result]) == children
    took = time.perf_counter() - start
    self.enqueue_child(nop.s(), block=True)
    return took


@app.task(bind=True)
@returns("took")
def forget_children(self: FireXTask, children: int) -> float:
    """Seconds that forgetting the results of children takes."""
    self.enqueue_in_parallel([nop.s() for _ in range(children)], max_parallel_chains=children)
    start = time.perf_counter()
    self.forget_enqueued_children_results()
    return time.perf_counter() - start


@app.task
@returns("note")
def link(key_0: str) -> str:
    """A member of a chain: reads one value, adds one; the bag passes on."""
    return key_0


@app.task
@returns("shown")
def show(key_0: Any, key_1: Any) -> Any:  # noqa: ARG001 - two of a bag are accepted
    """Reads one value out of a bag."""
    return key_0


@app.task
@returns("ended")
def end_after(seconds: float) -> float:
    """Sleep; returns when the body ended."""
    time.sleep(seconds)
    return time.monotonic()


@app.task(bind=True)
@returns("took")
def wake(self: FireXTask, seconds: float) -> float:
    """Seconds from the end of a child's body to this parent running again."""
    child = self.enqueue_child(end_after.s(seconds), block=True)
    awake = time.monotonic()
    return awake - ended(child)


@app.task
def held(group: str) -> None:
    """Run until released."""
    wait_for_release(group)


@app.task(bind=True)
@returns("took")
def any_of(self: FireXTask, group: str, children: int, seconds: float) -> float:
    """Seconds from the end of the one child that ends until this parent has its result; the others still run."""
    for _ in range(children - 1):
        self.enqueue_child(held.s(group))
    self.enqueue_child(end_after.s(seconds))
    first = next(iter(self.wait_for_any_children()))
    took = time.monotonic() - ended(first)
    release(group, children - 1)
    self.wait_for_children()
    return took


def ended(result: Any) -> float:
    """When the body of an ended task ended."""
    value: float = result.result["ended"]
    return value
