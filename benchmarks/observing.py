"""What a piece of work costs beside time: broker commands, bytes, keys and memory; the worker's CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import redis

from benchmarks.stage import Side, Stage

IDLE_PATIENCE = 10
LOOK_EVERY = 0.01
WORKERS_KEEP = (b"_kombu.", b"unacked", b"FIREXKIT_LEASE:", b"FIREXKIT_PATROL", b"FIREXKIT_EPOCH")
"""Keys that living workers need between two workloads."""


@dataclass(frozen=True)
class Costs:
    """Readings of the broker and of a worker, or what was added between two of them.

    Attributes:
        commands: that the broker processed.
        bytes_in: that the broker received.
        keys: that the broker has.
        dataset: bytes that they take, without the tables and buffers around them.
        clients: that are connected.
        channels: with subscribers.
        cpu_seconds: that the worker's processes used.
    """

    commands: float
    bytes_in: float
    keys: float
    dataset: float
    clients: float
    channels: float
    cpu_seconds: float

    def since(self, before: Costs) -> dict[str, float]:
        """What was added."""
        return {one.name: getattr(self, one.name) - getattr(before, one.name) for one in fields(Costs)}


@dataclass(frozen=True)
class Observation(Costs):
    """One side did a workload once; the costs are what it added.

    Attributes:
        answer: what its client measured.
        arguments: what its client was given.
        processes: of the worker's pool, afterwards.
    """

    answer: Mapping[str, Any]
    arguments: Mapping[str, Any]
    processes: int


@dataclass
class Observer:
    """Lets sides work and looks at the broker and at the worker before and after."""

    stage: Stage
    _client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self._client = self.stage.server.client()

    def observe(
        self, side: Side, verb: str, arguments: Mapping[str, Any], *, shrinks_within: float = 0, rest: float = 0
    ) -> Observation:
        """Let a side's client do something once, and tell what it took.

        Args:
            side: who.
            verb: what its client is told to do.
            arguments: of the verb.
            shrinks_within: seconds that the worker's pool gets afterwards to go back to its size.
            rest: seconds before each reading, in which the broker counts anew what its clients' buffers take.
        """
        self._until_idle()
        time.sleep(rest)
        before = self._costs(side)
        answer = self.stage.ask(side, verb, **arguments)
        looks = self._until_idle()
        time.sleep(rest)
        costs = self._costs(side).since(before)
        costs["commands"] -= looks + 2  # ours: the looks, and the first reading
        worker = self.stage.workers[side]
        until(lambda: len(worker.pool()) <= self.stage.slots, shrinks_within)
        self._clean(side)
        return Observation(**costs, answer=answer, arguments=arguments, processes=len(worker.pool()))

    def _costs(self, side: Side) -> Costs:
        told: Any = self._client.info()
        return Costs(
            commands=told["total_commands_processed"],
            bytes_in=told["total_net_input_bytes"],
            keys=told.get("db0", {}).get("keys", 0) - self._leases(),
            dataset=told["used_memory_dataset"],
            clients=told["connected_clients"],
            channels=told["pubsub_channels"],
            cpu_seconds=self.stage.workers[side].cpu_seconds(),
        )

    def _leases(self) -> int:
        """Keys of processes, which come and go with them, and by the clock."""
        return len(self._client.keys("FIREXKIT_LEASE:*"))

    def _until_idle(self) -> int:
        """Wait until nothing is left to be acknowledged; returns how often it looked.

        A task's message is acknowledged after its result is there, so the work of a batch is not over with it.
        """
        return until(lambda: not self._client.hlen("unacked"), IDLE_PATIENCE)

    def _clean(self, side: Side) -> None:
        """Let the next workload find an empty broker, and a client that has read what the last one left to it."""
        self.stage.ask(side, "settle")
        self._until_idle()
        left = [key for key in self._client.scan_iter(count=1000) if not key.startswith(WORKERS_KEEP)]
        for start in range(0, len(left), 1000):
            self._client.delete(*left[start : start + 1000])


def until(holds: Callable[[], bool], patience: float) -> int:
    """Wait until it holds, or until patience ends; returns how often it looked."""
    deadline = time.monotonic() + patience
    looks = 1
    while not holds() and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
        looks += 1
    return looks
