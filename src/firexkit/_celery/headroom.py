"""How many more processes this machine can carry: by memory, by file descriptors."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import psutil

from firexkit._celery.slots import allowed

SPARE: Final = 0.1
"""Part of the memory that stays free: what a task will take is not known when its process begins."""
FILES_OF_A_PROCESS: Final = 8
"""File descriptors that a process of the pool takes in the main process: two pipes, its end, and room for more."""
SPARE_FILES: Final = 64
MEBIBYTE: Final = 1 << 20

CGROUPS: Final = Path("/sys/fs/cgroup")
LIMITS: Final = {
    # by the controllers in /proc/self/cgroup: directory, limit, usage, in memory.stat: cache that can go at once
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


class Headroom(NamedTuple):
    """How many more processes there is room for, and what sets that limit."""

    processes: int
    reason: str


UNLIMITED: Final = Headroom(1 << 16, "")


class Memory(NamedTuple):
    """Bytes that are there altogether, and that can be had now."""

    total: int
    available: int


def by_setting(most: int | None, there_are: int) -> Headroom:
    """Room for processes as the user set it."""
    if most is None:
        return UNLIMITED
    return Headroom(max(0, most - there_are), allowed(most))


def by_memory(memory: Memory, size: int) -> Headroom:
    """Room for processes of that size, in bytes, so that some memory stays free."""
    room = max(0, int((memory.available - SPARE * memory.total) // max(1, size)))
    sizes = f"{memory.available // MEBIBYTE} MiB are available, a process takes {max(1, size // MEBIBYTE)} MiB"
    return Headroom(room, f"memory: {sizes}, a tenth stays free")


def by_files(used: int, most: int) -> Headroom:
    """Room for processes with so many file descriptors of the main process."""
    room = max(0, (most - SPARE_FILES - used) // FILES_OF_A_PROCESS)
    return Headroom(room, f"open files: the main process has {used} of {most} (ulimit -n)")


def headroom(pids: Iterable[int]) -> Headroom:
    """How many more processes like these there is room for now."""
    files = by_files(psutil.Process().num_fds(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return min(files, by_memory(_memory(), _size_of_the_biggest(pids)))


def _size_of_the_biggest(pids: Iterable[int]) -> int:
    """Bytes that nobody shares with it; to look closely at one only is quick, however many there are."""
    sizes: dict[int, int] = {}
    for pid in pids:
        with suppress(psutil.Error):  # it has just ended
            sizes[pid] = psutil.Process(pid).memory_info().rss
    with suppress(psutil.Error, ValueError):
        return int(psutil.Process(max(sizes, key=sizes.__getitem__)).memory_full_info().uss)
    return int(psutil.Process().memory_info().rss)


def _memory() -> Memory:
    machine = psutil.virtual_memory()
    limits = [Memory(machine.total, machine.available), *_limits_of_containers(machine.total)]
    return min(limits, key=lambda memory: memory.available)


def _limits_of_containers(total: int) -> Iterator[Memory]:
    try:
        memberships = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers in LIMITS:
            directory, limit, usage, cache = LIMITS[controllers]
            # Inside of a container its own group is the root, whatever the path says.
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                directory_of_group = CGROUPS / directory / group.relative_to("/")
                with suppress(OSError, ValueError):  # no such group, or one without a limit
                    allowed = int((directory_of_group / limit).read_text())
                    if allowed < total:
                        yield Memory(allowed, allowed - _used(directory_of_group, usage, cache))


def _used(group: Path, usage: str, cache: str) -> int:
    counters = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / usage).read_text()) - int(counters.get(cache, 0))
