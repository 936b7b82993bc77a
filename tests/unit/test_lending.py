"""Slots that tasks lend while they wait: who tells what, and what is decided."""

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from celery.concurrency import prefork, solo, thread
from celery.exceptions import ImproperlyConfigured
from kombu.common import QoS

from firexkit._celery.gate import Gate
from firexkit._celery.headroom import Memory, by_files, by_memory, by_setting, headroom
from firexkit._celery.lending import Slot, give_slot, lent_slot
from firexkit._celery.lending_step import hindrance, most_places
from firexkit._celery.line import Bell, Blocked, Line
from firexkit._celery.prefetch import Prefetch
from firexkit._celery.slots import Load, cannot_grow, fetched_more, has_slot, missing, surplus
from firexkit._celery.threads import Call, Threads

PATIENCE = 10


# ── in the task ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def told():
    """What a slot told, in order."""
    return []


@pytest.fixture
def slot(told):
    return Slot(told.append)


def test_a_wait_is_told_with_its_end(slot, told):
    with slot:
        assert told == [True]

    assert told == [True, False]


def test_waits_within_a_wait_count_once(slot, told):
    with slot, slot, slot:
        pass

    assert told == [True, False]


def test_a_wait_that_fails_is_told_to_have_ended(slot, told):
    with pytest.raises(ZeroDivisionError), slot:
        raise ZeroDivisionError

    assert told == [True, False]


def test_a_new_task_waits_like_the_first(slot, told):
    """Whatever happened to the task before: it may have been stopped in the middle of anything."""
    slot.__enter__()
    slot.begin()

    with slot:
        pass

    assert told == [True, True, False]


def test_an_end_without_a_beginning_changes_nothing(slot, told):
    """A beginning that was interrupted may be ended all the same."""
    slot.__exit__(None, None, None)

    with slot:
        assert told == [False, True]
    assert told == [False, True, False]


@pytest.fixture
def interrupting():
    """A function that sends this process a signal whose handler raises an exception."""

    def interrupted(*_):
        raise InterruptedError

    before = signal.signal(signal.SIGUSR2, interrupted)
    yield lambda: signal.raise_signal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("moment", [True, False], ids=["enter", "exit"])
def test_a_signal_at_the_edge_of_a_wait_leaves_the_task_running(interrupting, told, moment):
    """A soft time limit may come while the wait's begin or its end is being told."""

    def tell(waits):
        told.append(waits)
        if waits is moment and told.count(moment) == 1:
            interrupting()

    slot = Slot(tell)
    with pytest.raises(InterruptedError), slot:
        pass
    assert told[-1] is False

    with slot:
        assert told[-1] is True
    assert told[-1] is False


def test_outside_of_a_pool_that_lends_nothing_happens():
    with lent_slot() as nothing, lent_slot():
        assert nothing is None


def test_only_the_thread_that_runs_a_task_lends_its_slot(slot, told):
    """A thread that a task started may wait while the task works."""

    def wait_in(thread_name):
        with lent_slot():
            told.append(thread_name)

    def run_task():
        give_slot(slot)
        helper = threading.Thread(target=wait_in, args=("helper",))
        helper.start()
        helper.join()
        wait_in("task")

    task = threading.Thread(target=run_task)
    task.start()
    task.join()

    assert told == ["helper", True, "task", False]


def test_a_process_that_a_task_forks_has_no_slot():
    """It is none of the pool's, whatever it waits for."""
    forking = (
        "import os; from firexkit._celery.lending import Slot, give_slot, lent_slot; give_slot(Slot(print)); os.fork()"
        ";\nwith lent_slot(): pass"
    )
    told = subprocess.run([sys.executable, "-c", forking], capture_output=True, text=True, check=True).stdout

    assert told.split() == ["True", "False"]


# ── told to the main process ─────────────────────────────────────────────────────────────────


def test_a_process_is_heard_on_the_line():
    blocked = Blocked()
    with blocked.line.slot_of_this_process():
        assert blocked.hear()
        assert blocked.pids == {os.getpid()}

    assert blocked.hear()
    assert blocked.pids == set()
    assert not blocked.hear()
    blocked.line.close()


def test_what_was_told_by_a_process_that_ended_does_not_count():
    """It may have told more than is heard at once; and it may have ended in the middle of a wait."""
    blocked = Blocked()
    slot = blocked.line.slot_of_this_process()
    for _ in range(3000):
        with slot:
            pass
    slot.__enter__()

    assert blocked.forget(os.getpid())
    assert not blocked.forget(os.getpid())
    slot.begin()
    slot.__enter__()
    blocked.keep(set())
    assert blocked.pids == set()
    assert not blocked.hear()
    blocked.line.close()


def test_nobody_minds_that_the_line_is_closed():
    """The main process may end before its tasks."""
    line = Line()
    slot = line.slot_of_this_process()
    line.close()

    with slot:
        pass


def test_a_bell_may_ring_for_as_long_as_it_likes():
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    bell.answer()
    bell.close()


# ── decided ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(slots=2, places=2, tasks=1), True),
        (Load(slots=2, places=2, tasks=2), False),
        (Load(slots=2, places=2, tasks=2, blocked=1), True),
        (Load(slots=2, places=9, tasks=4, blocked=1), False),  # one has just gone on
    ],
)
def test_a_task_that_waits_needs_no_slot(load, expected):
    assert has_slot(load) is expected


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(slots=1, places=1, tasks=1, blocked=1), 0),
        (Load(slots=1, places=1, tasks=1, blocked=1, waiting=3), 1),
        (Load(slots=16, places=16, tasks=9, blocked=9, waiting=1), 0),
        (Load(slots=2, places=4, tasks=4, blocked=4, waiting=9), 2),
        (Load(slots=2, places=2, tasks=2, waiting=9), 0),
        (Load(slots=2, places=2, tasks=4, blocked=1, waiting=9), 0),
    ],
)
def test_a_place_is_missing_where_a_task_has_a_slot_and_none_is_idle(load, expected):
    assert missing(load) == expected


@pytest.mark.parametrize(
    ("load", "least_idle", "expected"),
    [
        (Load(slots=2, places=9), 9, 7),
        (Load(slots=2, places=9), 3, 3),
        (Load(slots=2, places=9, tasks=8), 5, 1),
        (Load(slots=2, places=2), 2, 0),
    ],
)
def test_places_go_that_were_idle_for_a_while_and_are(load, least_idle, expected):
    assert surplus(load, least_idle) == expected


@pytest.mark.parametrize(("blocked", "most", "expected"), [(5, None, 5), (5, 100, 5), (5, 3, 1), (5, 2, 0), (5, 1, 0)])
def test_no_more_is_fetched_than_can_run(blocked, most, expected):
    assert fetched_more(blocked, slots=2, most=most) == expected


def test_the_user_is_told_why_the_pool_cannot_grow_and_what_to_do():
    stuck = Load(slots=1, places=3, tasks=3, blocked=3, waiting=1)
    works = Load(slots=1, places=3, tasks=3, blocked=2)

    assert cannot_grow(stuck, None, "") is None
    assert cannot_grow(works, 3, "") is None
    assert "firexkit_most_processes is 3. Of its 3 processes or threads 3 wait" in cannot_grow(stuck, 3, "")
    assert "no memory" in cannot_grow(works, None, "no memory")


def test_some_memory_and_some_files_stay_free():
    gibibyte = 1 << 30

    assert by_memory(Memory(10 * gibibyte, 3 * gibibyte), gibibyte).processes == 2
    assert by_memory(Memory(10 * gibibyte, gibibyte), gibibyte).processes == 0
    assert by_files(used=100, most=1024).processes == 107
    assert by_files(used=1000, most=1024).processes == 0


def test_the_shortest_resource_sets_the_limit_and_is_named():
    assert min(by_setting(3, 1), by_files(0, 1024)) == (2, "firexkit_most_processes is 3")
    assert "open files" in min(by_setting(None, 1), by_files(0, 1024)).reason


def test_this_machine_can_carry_a_process_more():
    """A process that is gone already is no obstacle."""
    assert headroom([os.getpid(), 2**22 + 1]).processes > 0
    assert headroom([2**22 + 1]).processes > 0


def test_the_most_places_are_a_number_of_processes():
    assert most_places({}) is None
    assert most_places({"firexkit_most_processes": 7}) == 7
    for wrong in (0, -1, True, "7", 1.5):
        with pytest.raises(ImproperlyConfigured, match="firexkit_most_processes"):
            most_places({"firexkit_most_processes": wrong})


PREFORK = {"pool_cls": prefork.TaskPool, "autoscale": None, "use_eventloop": True, "optimization": None}


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        ({}, None),
        ({"optimization": "fair"}, None),
        ({"pool_cls": thread.TaskPool}, None),
        ({"autoscale": (9, 1)}, "--autoscale sizes its pool"),
        ({"pool_cls": solo.TaskPool}, "a pool of celery.concurrency.solo can't grow"),
        ({"use_eventloop": False}, "it has no event loop with this broker"),
        ({"optimization": "fast"}, "-O fast gives tasks to processes that are busy"),
        ({"pool_start_method": "spawn"}, "its processes are not forked"),
    ],
)
def test_what_keeps_a_worker_from_lending(worker, expected):
    assert hindrance(SimpleNamespace(**{**PREFORK, **worker})) == expected


# ── the gate and the prefetch ────────────────────────────────────────────────────────────────


@pytest.fixture
def gate():
    """A gate of a pool with room for what is in `rooms`; `moved` tells how often it asked for attention."""
    gate = Gate()
    gate.rooms, gate.moved = 0, 0

    def lets_in():
        gate.rooms -= 1
        return gate.rooms >= 0

    def on_move():
        gate.moved += 1

    gate.lets_in, gate.on_move = lets_in, on_move
    return gate


def test_tasks_pass_the_gate_in_the_order_in_which_they_came(gate):
    begun = []
    gate.rooms = 1
    passed = [gate.acquire(begun.append, number) for number in range(4)]
    assert (passed, begun, gate.waiting, gate.moved) == ([True, False, False, False], [0], 3, 3)

    gate.rooms = 2
    gate.open()

    assert (begun, gate.waiting) == ([0, 1, 2], 1)


def test_the_latest_tasks_are_given_up_first(gate):
    for number in range(4):
        gate.acquire(print, number)

    assert gate.give_up(3) == [3, 2, 1]
    assert gate.give_up(3) == [0]


def test_processes_that_come_and_go_do_not_open_the_gate(gate):
    """Celery tells its semaphore of them."""
    gate.acquire(print, 1)
    gate.grow(5)
    gate.shrink(3)
    gate.release()

    assert (gate.waiting, gate.moved) == (1, 2)
    gate.clear()
    gate.release()
    assert (gate.waiting, gate.moved) == (0, 2)


def counting(start, most=None):
    """A consumer with Celery's own count of messages to fetch."""
    return SimpleNamespace(qos=QoS(print, start, max_prefetch=most))


def test_the_prefetch_follows_beside_what_others_do_with_it():
    consumer, prefetch = counting(4), Prefetch()
    prefetch.raise_by(3, consumer)
    consumer.qos.increment_eventually()
    prefetch.raise_by(1, consumer)
    assert consumer.qos.value == 4 + 1 + 1

    prefetch.raise_by(0, consumer)

    assert consumer.qos.value == 4 + 1


def test_a_new_connection_begins_anew():
    prefetch = Prefetch()
    prefetch.raise_by(3, counting(4))
    prefetch.raise_by(3, SimpleNamespace(qos=None))
    again = counting(4)

    prefetch.raise_by(2, again)

    assert again.qos.value == 6


@pytest.mark.parametrize(("start", "most"), [(0, None), (4, 5)], ids=["no limit", "a limit of its own"])
def test_limits_of_the_prefetch_are_kept(start, most):
    consumer, prefetch = counting(start, most), Prefetch()
    prefetch.raise_by(3, consumer)
    prefetch.raise_by(0, consumer)

    assert consumer.qos.value == start


# ── the threads ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def threads():
    threads = Threads(slots=1)
    yield threads
    threads.shutdown()


class Held:
    """A task that waits for others, or runs, until it is let go."""

    def __init__(self, threads, *, lends):
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._lends = lends
        self.call = Call(self, self.run)
        threads.submit(self.call)

    def run(self):
        if self._lends:
            with lent_slot():
                return self.hold()
        return self.hold()

    def hold(self):
        self.begun.set()
        return self.go_on.wait(PATIENCE)

    def ends(self):
        self.go_on.set()
        return self.call.future.result(PATIENCE)


def test_a_thread_is_added_for_a_task_while_another_waits(threads):
    blocked = [Held(threads, lends=True) for _ in range(3)]
    assert all(held.begun.wait(PATIENCE) for held in blocked)
    running, waiting = Held(threads, lends=False), Held(threads, lends=False)
    assert running.begun.wait(PATIENCE)
    assert threads.load() == Load(slots=1, places=4, tasks=4, blocked=3, waiting=1)
    assert set(threads.requests_blocked()) == set(blocked)

    assert all(held.ends() for held in (*blocked, running, waiting))
    threads.least_idle()
    threads.retire(surplus(threads.load(), threads.least_idle()))
    while threads.load().places > 1:
        threads.balance()
    assert threads.load() == Load(slots=1, places=1)


def test_the_threads_end_when_they_have_run_what_they_were_given():
    threads = Threads(slots=1)
    running, waiting = Held(threads, lends=False), Held(threads, lends=False)
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="takes no more tasks"):
        threads.submit(Call(None, print))

    assert running.ends()
    assert waiting.ends()
    threads.shutdown()
    assert threads.load().places == 0


def test_tasks_that_have_not_begun_can_be_dropped_and_given_up(threads):
    running = Held(threads, lends=False)
    assert running.begun.wait(PATIENCE)
    first, second = Held(threads, lends=False), Held(threads, lends=False)

    assert threads.give_up(1) == [second]
    threads.shutdown(wait=False, cancel_futures=True)

    assert first.call.future.cancelled()
    assert running.ends()


def test_no_more_threads_than_the_user_allows(threads):
    threads.most = 2
    blocked = [Held(threads, lends=True) for _ in range(3)]
    assert all(held.begun.wait(PATIENCE) for held in blocked[:2])

    assert (threads.refused, threads.load().places, threads.load().waiting) == ("firexkit_most_processes is 2", 2, 1)
    assert all(held.ends() for held in blocked)


def test_what_a_task_raises_is_its_result(threads):
    call = Call(None, lambda: 1 / 0)
    threads.submit(call)

    with pytest.raises(ZeroDivisionError):
        call.future.result(PATIENCE)
