"""A pool of processes in which a task that waits lends its slot: it grows by a process when none is left."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

from billiard.pool import EX_OK, RUN
from celery.concurrency import asynpool, prefork

from firexkit._celery import termination
from firexkit._celery.gate import Gate
from firexkit._celery.headroom import Headroom, by_setting, headroom
from firexkit._celery.lending import Slot, give_slot
from firexkit._celery.line import Blocked, Line
from firexkit._celery.orphans import Bond
from firexkit._celery.slots import Load, do_nothing, has_slot, missing
from firexkit._crash_points import crash_point

BEGINNING_AT_A_TIME: Final = max(2, os.cpu_count() or 1)
"""Celery kills a process that has not begun within four seconds, and many at a time would be slow to begin."""

LOOK_AGAIN: Final = 0.05
"""Seconds that a process has for its last steps."""


class Process(asynpool.Worker):  # type: ignore[misc]  # Celery carries no types
    """What runs in a process of the pool.

    Attributes:
        line: By which it tells the main process.
    """

    line: Line
    bond: Bond
    wait_for_job: Callable[[], Any]

    def _make_child_methods(self, *args: Any, **kwargs: Any) -> None:
        """Called in the process itself, before its first task."""
        super()._make_child_methods(*args, **kwargs)
        slot = self.line.slot_of_this_process()
        give_slot(slot)
        self.bond = Bond(partial(self._do_exit, os.getpid(), EX_OK))
        self.wait_for_job = _beginning(slot, self.bond, self.wait_for_job)

    def on_loop_start(self, pid: int) -> None:
        """Called when all is set up; Celery has said by then that this process is to die with its main process."""
        super().on_loop_start(pid)
        termination.install()
        self.bond.loosen()

    def prepare_result(self, result: Any) -> Any:
        """Called after each task, which has stored its result by then; the rest is for the main process."""
        self.bond.leave_if_loose()
        return super().prepare_result(result)


def _beginning(slot: Slot, bond: Bond, wait_for_job: Callable[[], Any]) -> Callable[[], Any]:
    def wait_and_begin() -> Any:
        with bond.idle():
            job = wait_for_job()
        crash_point("child: after a task came")
        slot.begin()
        return job

    return wait_and_begin


class Processes(asynpool.AsynPool):  # type: ignore[misc]  # as above
    """The processes of a pool, as the main process sees them.

    Args:
        processes: Tasks that may run at a time; as many processes are there at the beginning.
        semaphore: The gate.
        **options: Celery's.

    Attributes:
        slots: Tasks that may run at a time.
    """

    Worker = Process
    _processes: int

    def __init__(self, processes: int, *args: Any, semaphore: Gate, **options: Any) -> None:
        self.slots = processes
        self.most: int | None = None
        self.refused = ""
        self.on_change: Callable[[], None] = do_nothing
        self.on_task: Callable[[], None] = do_nothing
        self._blocked = Blocked()
        self._hub: Any = None
        self._gate = semaphore
        self._least_idle = 0
        self._is_due = False
        self._froze = False
        semaphore.lets_in = self._lets_in
        semaphore.on_move = self._balance_soon
        super().__init__(processes, *args, semaphore=semaphore, **options)

    # ── what they do ──────────────────────────────────────────────────────────────────────

    def load(self) -> Load:
        """What they are doing now."""
        return Load(self.slots, self._processes, len(self._cache), len(self._blocked.pids), self._gate.waiting)

    def requests_blocked(self) -> Iterator[Any]:
        """Celery's requests of the tasks that wait for others."""
        for job in self._cache.values():
            if getattr(job._write_to, "pid", None) in self._blocked.pids:
                yield getattr(job._accept_callback, "__self__", None)

    def least_idle(self) -> int:
        """The fewest processes that were idle at any moment since this was last asked."""
        least, self._least_idle = self._least_idle, self.load().idle
        return min(least, self._least_idle)

    def _lets_in(self) -> bool:
        load = self.load()
        self.on_task()
        if not (load.idle and has_slot(load)):
            return False
        self._least_idle = min(self._least_idle, load.idle - 1)
        return True

    # ── processes come and go ─────────────────────────────────────────────────────────────

    def balance(self) -> None:
        """Add processes that are missing, if they may be added now, and let in the tasks that wait for one."""
        self._is_due = False
        self._blocked.hear()
        if self._state == RUN:
            self._add(missing(self.load()))
            self._gate.open()
            self.on_change()

    def _balance_soon(self) -> None:
        # Not at once: a process must not be forked in the middle of whatever calls.
        if self._hub is not None and not self._is_due:
            self._is_due = True
            self._hub.call_soon(self.balance)

    def _add(self, wanted: int) -> None:
        wanted = max(0, min(wanted, BEGINNING_AT_A_TIME - len(self._waiting_to_start)))
        if not (wanted or self.refused):
            return
        room = self._room()
        try:
            for _ in range(min(wanted, room.processes)):
                self._add_one()
        except OSError as error:
            self._forget_not_begun()
            room = Headroom(0, str(error))
        self.refused = "" if room.processes else room.reason

    def _room(self) -> Headroom:
        allowed = by_setting(self.most, self._processes)
        return min(allowed, headroom(process.pid for process in self._pool)) if allowed.processes else allowed

    def _add_one(self) -> None:
        if not self._froze and gc.get_freeze_count() == 0:
            # Celery collects garbage before each fork, which takes longer than all the rest. What is here now stays,
            # so it need not be looked at each time; nor will the new processes have to copy it.
            gc.collect()
            gc.freeze()
            self._froze = True
        super().grow(1)
        # One that was told to end and is not gone yet is replaced by Celery when it goes.
        while len(self._pool) < self._processes:
            self._create_worker_process(self._avail_index())

    def _forget_not_begun(self) -> None:
        """The system refused a process that billiard has in its books already."""
        for process in [process for process in self._pool if process._popen is None]:
            self._process_cleanup_queues(process)
            self._pool.remove(process)
        self._processes = max(self.slots, self._processes - 1)

    def retire(self, count: int) -> None:
        """End so many idle processes, those that came last first."""
        for process in list(islice(self._idle(), count if self._state == RUN else 0)):
            self._processes -= 1
            # From here on nothing may be written to it: that would be lost.
            self._all_inqueues.discard(process.inqW_fd)
            self._hub.remove_writer(process.inqW_fd)
            process.terminate_controlled()
        if self._froze and self._processes <= self.slots:
            self._froze = False
            gc.unfreeze()

    def give_up(self, count: int) -> list[Any]:
        """Celery's requests of so many tasks that wait for a slot, the latest first; they will not begin here."""
        return self._gate.give_up(count)

    def _idle(self) -> Iterator[Any]:
        given = {job._write_to or job._scheduled_for for job in self._cache.values()}
        for process in reversed(self._pool):
            is_ready = self._fileno_to_inq.get(process.inqW_fd) is process and process.inqW_fd in self._all_inqueues
            if is_ready and process.inqW_fd not in self._busy_workers and process not in given:
                yield process

    def grow(self, n: int = 1) -> None:
        """Let more tasks run at a time, as Celery's remote control asks."""
        self.slots += n
        super().grow(n)
        self._balance_soon()

    def shrink(self, n: int = 1) -> None:
        """Let fewer tasks run at a time; processes go when they have been idle for a while."""
        self.slots = max(1, self.slots - n)
        self._balance_soon()

    # ── what Celery tells ─────────────────────────────────────────────────────────────────

    def register_with_event_loop(self, hub: Any) -> None:
        """The worker has a connection to its broker, at first or again."""
        self._hub = hub
        super().register_with_event_loop(hub)
        hub.add_reader(self._blocked.line, self.balance)
        self._is_due = False
        self._balance_soon()

    def WorkerProcess(self, worker: Process) -> Any:  # noqa: N802 - billiard's name
        """Celery's process object for what will run in it."""
        worker.line = self._blocked.line
        return super().WorkerProcess(worker)

    def on_process_alive(self, pid: int) -> None:
        """A process is ready for tasks."""
        super().on_process_alive(pid)
        self._balance_soon()

    def on_job_ready(self, job: int, i: int | None, obj: Any, inqW_fd: int) -> None:  # noqa: N803 - billiard's name
        """A task has ended, so it doesn't wait: what it told before is heard before."""
        crash_point("main: before an end is settled")
        super().on_job_ready(job, i, obj, inqW_fd)
        if self._blocked.forget(getattr(self._fileno_to_inq.get(inqW_fd), "pid", None)):
            self._balance_soon()
        self.on_task()

    def _on_hard_timeout(self, job: int) -> None:
        # Celery strikes the task off, then kills the process: meanwhile it must not count as one whose task waits.
        self._blocked.forget(getattr(self._cache.get(job), "_worker_pid", None))
        super()._on_hard_timeout(job)

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        super()._event_process_exit(hub, proc)
        if proc in self._pool:
            # It has closed its files and has not ended yet. Celery looks again within five seconds.
            hub.call_later(LOOK_AGAIN, self.maintain_pool)

    def _join_exited_workers(self, shutdown: bool = False) -> list[int]:
        exited: list[int] = super()._join_exited_workers(shutdown)
        if exited:
            self._blocked.keep(self._poolctrl.keys())
            self._balance_soon()
        return exited

    def close_line(self) -> None:
        """Nobody counts any more."""
        if self._hub is not None:
            self._hub.remove(self._blocked.line)
        self._blocked.line.close()


class LendingProcesses(prefork.TaskPool):  # type: ignore[misc]  # as above
    """Celery's prefork pool, with slots that are lent.

    Attributes:
        gate: Where fetched tasks wait for a slot; it stands where Celery's worker has its semaphore.
        places: The processes, once the pool has started.
    """

    Pool = Processes
    places: Processes

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gate = Gate()
        self.options["semaphore"] = self.gate

    @property
    def num_processes(self) -> int:
        """What Celery reckons its prefetch count from: tasks that may run at a time."""
        return self.places.slots

    def on_start(self) -> None:
        """Fork the first processes."""
        super().on_start()
        self.places = self._pool

    def on_stop(self) -> None:
        """Wait for the tasks to end, and end the processes."""
        self._end(super().on_stop)

    def on_terminate(self) -> None:
        """End the processes."""
        self._end(super().on_terminate)

    def _end(self, end: Callable[[], None]) -> None:
        pool = self._pool
        end()
        if pool is not None:
            pool.close_line()
