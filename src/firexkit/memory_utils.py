"""How much memory a process has, and what a block of code added to it."""

import gc
import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, Protocol

from firexkit import _lazy

__all__ = ["get_process_memory_info", "human_readable_bytes", "process_memory_delta", "tracemalloc_compare"]

logger: logging.Logger = logging.getLogger(__name__)

UNITS: Final = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")


class MemoryInfo(Protocol):
    """The part of psutil's full memory info that every platform has, in bytes."""

    rss: int
    vms: int


def get_process_memory_info(pid: int | None = None, gc_collect: bool = True) -> MemoryInfo:
    """The memory of a process: psutil's full info.

    Args:
        pid: which process; None is this one.
        gc_collect: when true, let this process's garbage collector run before.

    Returns:
        Numbers of bytes: ``rss``, ``vms`` and what else the platform tells.

    Raises:
        psutil.NoSuchProcess: there is no such process.
        psutil.AccessDenied: the process belongs to another user.
    """
    if gc_collect:
        gc.collect()
    info: MemoryInfo = _lazy.module("psutil").Process(pid).memory_full_info()
    return info


def human_readable_bytes(num: float, suffix: str = "B") -> str:
    """A number of bytes for a reader: ``1023B``, ``1.0KiB``, ``953.7MiB``.

    Args:
        num: number of bytes; may be negative.
        suffix: the unit.

    Returns:
        The number with a binary prefix, and one decimal from Ki up.
    """
    if abs(num) < 1024:
        return f"{num:.0f}{suffix}"
    power = 1
    while abs(num) >= 1024 ** (power + 1) and power < len(UNITS):
        power += 1
    return f"{num / 1024**power:.1f}{UNITS[power - 1]}{suffix}"


def tracemalloc_compare(
    first: tracemalloc.Snapshot, second: tracemalloc.Snapshot, top_differences: int = 3
) -> list[str]:
    """The lines of code whose memory changed most between two snapshots.

    Args:
        first: the earlier snapshot.
        second: the later one.
        top_differences: how many lines to give.

    Returns:
        One text per line of code, the greatest change first.
    """
    return [str(difference) for difference in second.compare_to(first, "lineno")[:top_differences]]


@contextmanager
def process_memory_delta(prefix: str = "", trace_mem: bool = True) -> Iterator[None]:
    """Log how the memory of this process changed in the ``with`` block, also if the block fails.

    Args:
        prefix: start of each logged line.
        trace_mem: when true, also log the lines of code that took most memory; it makes the block slower.
    """
    before = get_process_memory_info()
    try:
        with _allocations_logged(prefix) if trace_mem else nullcontext():
            yield
    finally:
        after = get_process_memory_info()
        rss, vms = (human_readable_bytes(change) for change in (after.rss - before.rss, after.vms - before.vms))
        logger.info("%smemory change: rss %s, vms %s", prefix, rss, vms)


@contextmanager
def _allocations_logged(prefix: str) -> Iterator[None]:
    started_here = not tracemalloc.is_tracing()
    if started_here:
        tracemalloc.start()
    first = tracemalloc.take_snapshot()
    try:
        yield
    finally:
        for line in tracemalloc_compare(first, tracemalloc.take_snapshot()):
            logger.info("%s%s", prefix, line)
        if started_here:
            tracemalloc.stop()
