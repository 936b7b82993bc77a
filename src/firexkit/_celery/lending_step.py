"""What makes a worker lend the slots of tasks that wait: a step of its start (docs/design/lending.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import billiard
from celery import bootsteps
from celery.concurrency import asynpool, prefork, thread
from celery.exceptions import ImproperlyConfigured
from celery.worker.components import Pool

from firexkit import _wire
from firexkit._celery.prefetch import Prefetch, fetched_too_many, give_back, read_what_was_asked_for, unacknowledged
from firexkit._celery.processes import LendingProcesses
from firexkit._celery.slots import Load, Places, cannot_grow, do_nothing, fetched_more, surplus
from firexkit._celery.threads import LendingThreads

logger: Final = logging.getLogger(__name__)

POOLS: Final[Mapping[type, type]] = MappingProxyType(
    {prefork.TaskPool: LendingProcesses, thread.TaskPool: LendingThreads}
)
"""By Celery's pool, ours."""

KEEP: Final = 5.0
"""Seconds for which places must have been idle before they go."""
HOLD: Final = 1.0
"""Seconds for which a task may wait that was fetched for a slot that is needed again; mostly it is free again soon."""
TELL_EVERY: Final = 0.25
"""Seconds between two events."""


def hindrance(worker: Any) -> str | None:
    """Why a worker can't lend slots, in words for its log; None when it can."""
    if worker.autoscale:
        return "--autoscale sizes its pool"
    if worker.pool_cls not in POOLS:
        return f"a pool of {worker.pool_cls.__module__} can't grow"
    if not worker.use_eventloop:
        return "it has no event loop with this broker"
    if not issubclass(worker.pool_cls, prefork.TaskPool):
        return None
    if asynpool.SCHED_STRATEGIES.get(worker.optimization, worker.optimization) != asynpool.SCHED_STRATEGY_FAIR:
        return f"-O {worker.optimization} gives tasks to processes that are busy"
    forks = billiard.forking_is_enabled() and getattr(worker, "pool_start_method", "fork") == "fork"
    return None if forks else "its processes are not forked"


def most_places(conf: Any) -> int | None:
    """What the user set as the most processes or threads of a pool.

    Raises:
        ImproperlyConfigured: that is no number of processes.
    """
    most = conf.get(_wire.MOST_PROCESSES_SETTING)
    if most is None or (type(most) is int and most > 0):
        return most
    raise ImproperlyConfigured(f"{_wire.MOST_PROCESSES_SETTING} is {most!r}; give a whole number from 1 up, or None")


class LendingStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery carries no types
    """A worker's step: chooses the pool, fetches more while tasks wait, ends idle places, tells what the slots do."""

    requires = (Pool,)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = bool(worker.app.conf.get(_wire.LEND_SETTING))
        why_not = hindrance(worker)
        if self.enabled and why_not:
            self.enabled = False
            logger.info("Tasks that wait for others keep their slots in this worker: %s", why_not)
        if self.enabled:
            worker.pool_cls = POOLS[worker.pool_cls]
        # With this setting Celery does not count what it fetched, but what it has.
        self._compares = bool(worker.app.conf.get("worker_disable_prefetch"))
        self._most = most_places(worker.app.conf)
        self._prefetch = Prefetch()
        self._timers: dict[Callable[[], None], Any] = {}
        self._told: Mapping[str, int | None] = {}
        self._worker = worker
        self._has_complained = False

    def create(self, worker: Any) -> None:
        """The pool is made and not started, the consumer not made yet."""
        gate = getattr(worker.pool, "gate", None)
        if gate is not None:
            worker.semaphore = gate
            worker._quick_acquire, worker._quick_release = gate.acquire, gate.release
            worker.process_task = worker._process_task_sem

    def register_with_event_loop(self, worker: Any, _hub: Any) -> None:
        """The worker has a connection to its broker, at first or again; Celery may have dropped all timers."""
        places = self._places
        places.most, places.on_change, places.on_task = self._most, self._follow, self._tell_later
        read_what_was_asked_for(worker.consumer)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._told = {}
        self._after(KEEP, self._shrink)
        self._tell_later()

    def close(self, _worker: Any) -> None:
        """The worker takes no more tasks."""
        self._places.on_change = self._places.on_task = do_nothing
        for timer in self._timers.values():
            timer.cancel()

    def info(self, _worker: Any) -> dict[str, Any]:
        """What ``inspect stats`` tells."""
        return {"slots": self._state()}

    @property
    def _places(self) -> Places:
        places: Places = self._worker.pool.places
        return places

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if act not in self._timers:
            self._timers[act] = self._worker.hub.call_later(seconds, self._act, act)

    def _act(self, act: Callable[[], None]) -> None:
        del self._timers[act]
        act()

    def _follow(self) -> None:
        """Another number of tasks waits for others, or there are other places."""
        places, consumer = self._places, self._worker.consumer
        load = places.load()
        blocked = unacknowledged(places.requests_blocked(), consumer) if load.blocked else 0
        self._complain(load)
        most = load.places if places.refused else places.most
        more = fetched_more(blocked, load.slots, most)
        self._prefetch.raise_by(more, consumer)
        if self._compares:
            self._worker.max_concurrency = load.slots + more
        if load.places > load.slots or places.refused:
            self._after(KEEP, self._shrink)
        if load.waiting:
            self._after(HOLD, self._give_back)
        self._tell_later()

    def _complain(self, load: Load) -> None:
        complaint = None if self._has_complained else cannot_grow(load, self._most, self._places.refused)
        if complaint:
            self._has_complained = True
            logger.warning("%s", complaint)

    def _shrink(self) -> None:
        places = self._places
        places.retire(surplus(places.load(), places.least_idle()))
        # What was short may be there again.
        places.balance()

    def _give_back(self) -> None:
        """A task that was fetched for a slot that is needed again waits for long: another worker may have one."""
        give_back(self._places.give_up(fetched_too_many(self._worker.consumer)))

    def _tell_later(self) -> None:
        self._after(TELL_EVERY, self._tell)

    def _tell(self) -> None:
        """Send what the slots do if that is news; it is the last word, as whatever comes later sets the timer again."""
        dispatcher = self._worker.consumer.event_dispatcher
        state = self._state()
        if state != self._told and dispatcher is not None and dispatcher.enabled:
            self._told = state
            dispatcher.send(_wire.EVENT_WORKER_SLOTS, **state)

    def _state(self) -> dict[str, int | None]:
        places = self._places
        load = places.load()
        return {
            _wire.SLOTS: load.slots,
            _wire.SLOTS_RUNNING: load.tasks - load.blocked,
            _wire.SLOTS_BLOCKED: load.blocked,
            _wire.SLOTS_WAITING: load.waiting,
            _wire.SLOTS_PROCESSES: load.places,
            _wire.SLOTS_LIMIT: load.places if places.refused else places.most,
        }
