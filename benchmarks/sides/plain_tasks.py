"""Plain Celery's tasks, in the idioms that its documentation gives and that are its fastest here."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from celery import Celery
from celery.result import AsyncResult, ResultSet

from benchmarks.settings import celery_settings
from benchmarks.sides.answering import check_imports
from benchmarks.sides.holding import release, wait_for_release

app = Celery("plain")
app.conf.update(celery_settings("plain"))


def value_of(child: AsyncResult) -> Any:
    """What a child returned; blocks."""
    return child.get(disable_sync_subtasks=False)


@app.task
def nop() -> None:
    """Nothing."""


@app.task
def settle() -> None:
    """A child that is waited for: it reads what earlier results of this process left in its subscription."""
    check_imports(imports_firexkit=False)
    child = nop.delay()
    value_of(child)
    child.forget()


@app.task
def warm_up(seconds: float) -> None:
    """Hold a slot, so that each process gets one of these; then wait for a child."""
    time.sleep(seconds)
    settle()


@app.task
def nest(depth: int) -> float:
    """Seconds until as many levels of blocking children have ended."""
    start = time.perf_counter()
    if depth:
        value_of(nest.delay(depth - 1))
    return time.perf_counter() - start


@app.task
def fan_out(children: int, at_once: int | None) -> float:
    """Seconds that children take, from the first sent to the last one's result."""
    start = time.perf_counter()
    under_way: deque[AsyncResult] = deque()
    for _ in range(children):
        if at_once is not None and len(under_way) == at_once:
            value_of(under_way.popleft())
        under_way.append(nop.delay())
    while under_way:
        value_of(under_way.popleft())
    took = time.perf_counter() - start
    settle()
    return took


@app.task
def forget_children(children: int) -> float:
    """Seconds that forgetting the results of children takes."""
    results = [nop.delay() for _ in range(children)]
    for result in results:
        value_of(result)
    start = time.perf_counter()
    for result in results:
        result.forget()
    took = time.perf_counter() - start
    settle()
    return took


@app.task
def link(bag: dict[str, Any]) -> dict[str, Any]:
    """A member of a chain: reads one value, adds one, passes the bag on."""
    return {**bag, "note": bag["key_0"]}


@app.task
def show(**bag: Any) -> Any:
    """Reads one value out of a bag."""
    return bag["key_0"]


@app.task
def end_after(seconds: float) -> float:
    """Sleep; returns when the body ended."""
    time.sleep(seconds)
    return time.monotonic()


@app.task
def wake(seconds: float) -> float:
    """Seconds from the end of a child's body to this parent running again."""
    child = end_after.delay(seconds)
    ended: float = value_of(child)
    return time.monotonic() - ended


@app.task
def held(group: str) -> None:
    """Run until released."""
    wait_for_release(group)


@app.task
def any_of(group: str, children: int, seconds: float) -> float:
    """Seconds from the end of the one child that ends until this parent has its result; the others still run."""
    others = [held.delay(group) for _ in range(children - 1)]
    results = [*others, end_after.delay(seconds)]
    # The default interval makes it sleep 0.5 s before it looks at what comes in.
    _ready_id, meta = next(ResultSet(results, app=app).iter_native(interval=0))
    ended: float = meta["result"]
    took = time.monotonic() - ended
    release(group, len(others))
    for other in others:
        value_of(other)
    return took
