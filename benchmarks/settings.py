"""What both sides run with. Nothing here imports firexkit: the plain side's processes read it, too."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

SLOTS: Final = 16
HELD: Final = "held"
"""The name of the tasks that run until they are let go."""
SPREAD: Final = 0.5
"""Seconds over which the ends of children are spread."""
BROKER_VARIABLE: Final = "BENCHMARKS_BROKER"
EVENTS_VARIABLE: Final = "BENCHMARKS_EVENTS"


def broker() -> str:
    """The address of the private Valkey; the stage tells it to every process it starts."""
    return os.environ[BROKER_VARIABLE]


def celery_settings(side: str) -> dict[str, Any]:
    """The settings of a side's app: the same for both, but for the queue."""
    return {
        "broker_url": broker(),
        "result_backend": broker(),
        "accept_content": ["json"],
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": 5,  # if the run is killed, its server goes and the workers follow
        "result_serializer": "json",
        "task_acks_late": True,
        "task_default_queue": f"benchmarks-{side}",
        "task_serializer": "json",
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": bool(os.environ.get(EVENTS_VARIABLE)),
    }


def worker_command(side: str, *, slots: int = SLOTS, events: bool = False) -> list[str]:
    """The command line of a side's worker: the same for both, but for the app."""
    return [
        *(sys.executable, "-m", "celery", "-A", f"benchmarks.sides.{side}_tasks", "worker"),
        *("--pool", "prefork", "--concurrency", str(slots), "-O", "fair"),
        *("--without-mingle", "--without-gossip", "--loglevel", "WARNING", "--hostname", f"{side}@%h"),
        *(("-E",) if events else ()),
    ]


def spread(seconds: float, times: int) -> list[float]:
    """Lengths of children: that long and up to half a second longer, or all 0.

    Their ends are spread, so that no poll's rhythm favours anyone.
    """
    return [seconds + (SPREAD * index / times if seconds else 0) for index in range(times)]


def bag(keys: int = 20, big: int = 0) -> dict[str, Any]:
    """A bag of short values, and one text of that many bytes if asked for."""
    values = {f"key_{number}": f"value {number}" for number in range(keys)}
    return {**values, "big": "x" * big} if big else values
