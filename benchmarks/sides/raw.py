"""The floor: processes that take tasks from a list and answer on a list, with the fewest Redis commands possible.

A task is one LPUSH, one BRPOP, one SET of its result, one RPUSH to whoever waits and one BLPOP there: five commands,
of which two go in one pipeline. Nothing is acknowledged, tracked, retried or announced.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import redis

from benchmarks.settings import SLOTS, broker
from benchmarks.sides.holding import client_of, release, wait_for_release

QUEUE = "benchmarks:raw"
LIFETIME = 60
_numbers = count()


class Waiter:
    """Sends tasks and takes their answers from one list of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.own = f"{QUEUE}:{client.client_id()}:{next(_numbers)}"

    def send(self, name: str, *arguments: Any) -> None:
        """Send a task whose answer comes here."""
        self.client.lpush(QUEUE, json.dumps([name, self.own, arguments]))

    def next_value(self) -> Any:
        """What the next of the sent tasks to end returned; blocks."""
        answer: Any = self.client.blpop([self.own], timeout=LIFETIME)
        return json.loads(answer[1])


def nop(_waiter: Waiter) -> None:
    """Nothing."""


def nest(waiter: Waiter, depth: int) -> float:
    """As its namesakes of the other sides, and so are those below."""
    start = time.perf_counter()
    if depth:
        waiter.send("nest", depth - 1)
        waiter.next_value()
    return time.perf_counter() - start


def fan_out(waiter: Waiter, children: int, at_once: int | None) -> float:
    """Children, a sliding window of them."""
    start = time.perf_counter()
    for sent in range(children):
        if at_once is not None and sent >= at_once:
            waiter.next_value()
        waiter.send("nop")
    for _ in range(min(children, at_once or children)):
        waiter.next_value()
    return time.perf_counter() - start


def end_after(_waiter: Waiter, seconds: float) -> float:
    """When the body ended."""
    time.sleep(seconds)
    return time.monotonic()


def wake(waiter: Waiter, seconds: float) -> float:
    """From the child's end to here."""
    waiter.send("end_after", seconds)
    ended = float(waiter.next_value())
    return time.monotonic() - ended


def held(_waiter: Waiter, group: str) -> None:
    """Run until released."""
    wait_for_release(group)


def any_of(waiter: Waiter, group: str, children: int, seconds: float) -> float:
    """From the end of the one that ends to here."""
    for _ in range(children - 1):
        waiter.send("held", group)
    waiter.send("end_after", seconds)
    ended = float(waiter.next_value())
    took = time.monotonic() - ended
    release(group, children - 1)
    for _ in range(children - 1):
        waiter.next_value()
    return took


TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task for task in (nop, nest, fan_out, end_after, wake, held, any_of)
}


def work() -> None:
    """Take tasks, for ever."""
    client = client_of(broker())
    waiter = Waiter(client)
    numbers = count()
    while True:
        taken: Any = client.brpop([QUEUE], timeout=0)
        name, answer_to, arguments = json.loads(taken[1])
        if name == "link":
            pass_on(client, answer_to, *arguments)
            continue
        answer = json.dumps(TASKS[name](waiter, *arguments))
        with client.pipeline(transaction=False) as pipeline:
            pipeline.set(f"{waiter.own}:{next(numbers)}", answer, ex=LIFETIME)
            pipeline.rpush(answer_to, answer)
            pipeline.execute()


def pass_on(client: redis.Redis, answer_to: str, left: int, bag: dict[str, Any]) -> None:
    """Run one link of a chain: store its bag, send the next link or answer."""
    result = {**bag, "note": bag["key_0"]}
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set(f"{answer_to}:{left}", json.dumps(result), ex=LIFETIME)
        if left:
            pipeline.lpush(QUEUE, json.dumps(["link", answer_to, [left - 1, result]]))
        else:
            pipeline.rpush(answer_to, json.dumps(result))
        pipeline.execute()


def main() -> None:
    """Work in as many processes as the other sides have slots, until SIGTERM."""
    for _ in range(SLOTS):
        multiprocessing.Process(target=work, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the end of this process ends the others
    signal.pause()


if __name__ == "__main__":
    main()
