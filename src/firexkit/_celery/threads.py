"""A pool of threads in which a task that waits lends its slot: it grows by a thread when none is left."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from celery.concurrency import thread
from celery.concurrency.base import apply_target

from firexkit._celery.lending import Slot, give_slot
from firexkit._celery.line import Bell
from firexkit._celery.slots import Load, allowed, do_nothing, has_slot

MOST: Final = 1000
"""Threads of a pool, unless the user says how many."""


@dataclass(frozen=True)
class Call:
    """A task for a thread to run.

    Attributes:
        request: Celery's request of the task.
        run: Runs it.
        future: What comes of it.
    """

    request: Any
    run: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.run())
        except BaseException as error:
            # Whoever asks for the result gets it; the thread goes on with the next task.
            self.future.set_exception(error)


Inbox = SimpleQueue[Call | None]
"""What a thread is to do next; None to end. It stands for the thread, too."""


class Threads:
    """The threads of a pool: made when they are needed, the tasks begin in the order in which they came.

    Args:
        slots: Tasks that may run at a time.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.most: int | None = None
        self.refused = ""
        self.on_change: Callable[[], None] = do_nothing
        self.on_task: Callable[[], None] = do_nothing
        self.bell = Bell()
        self._lock = Lock()
        self._threads: dict[Inbox, Thread] = {}
        self._idle: list[Inbox] = []
        self._tasks: dict[Inbox, Call] = {}
        self._blocked: set[Inbox] = set()
        self._waiting: deque[Call] = deque()
        self._least_idle = 0
        self._is_closed = False
        # They must not keep the process from ending, but it waits for what they run.
        atexit.register(self.shutdown)

    # ── for the main thread ───────────────────────────────────────────────────────────────

    def load(self) -> Load:
        """What they are doing now."""
        return Load(self.slots, len(self._threads), len(self._tasks), len(self._blocked), len(self._waiting))

    def requests_blocked(self) -> list[Any]:
        """Celery's requests of the tasks that wait for others."""
        with self._lock:
            return [self._tasks[inbox].request for inbox in self._blocked]

    def least_idle(self) -> int:
        """The fewest threads that were idle at any moment since this was last asked."""
        with self._lock:
            least, self._least_idle = self._least_idle, len(self._idle)
            return min(least, self._least_idle)

    def submit(self, call: Call) -> None:
        """Run a task as soon as there is a slot for it."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool has ended and takes no more tasks")
            self._waiting.append(call)
            self._hand_out()
        if self._waiting:
            self.on_change()
        self.on_task()

    def balance(self) -> None:
        """Let in the tasks that wait, if there is room for them now."""
        with self._lock:
            self.refused = ""
            self._hand_out()
        self.on_change()

    def retire(self, count: int) -> None:
        """End so many idle threads, those that have been idle for longest."""
        with self._lock:
            for inbox in self._idle[:count]:
                inbox.put(None)
            del self._idle[:count]

    def give_up(self, count: int) -> list[Any]:
        """Celery's requests of so many tasks that wait for a slot, the latest first; they will not begin here."""
        with self._lock:
            return [self._waiting.pop().request for _ in range(min(count, len(self._waiting)))]

    def hear(self) -> None:
        """A thread rang: its task ended, waits or goes on."""
        self.bell.answer()
        self.on_change()
        self.on_task()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and end the threads when they have run those that they were given.

        Args:
            wait: Wait for that.
            cancel_futures: Forget the tasks that have not begun.
        """
        atexit.unregister(self.shutdown)
        with self._lock:
            self._is_closed = True
            while cancel_futures and self._waiting:
                self._waiting.popleft().future.cancel()
            self._let_go()
        while wait and self._threads:
            for one in list(self._threads.values()):
                one.join()

    # ── with the lock held ────────────────────────────────────────────────────────────────

    def _hand_out(self) -> None:
        while self._waiting and has_slot(self.load()):
            inbox = self._idle.pop() if self._idle else self._new_thread()
            if inbox is None:
                return
            self._least_idle = min(self._least_idle, len(self._idle))
            self._give(inbox)

    def _give(self, inbox: Inbox) -> None:
        self._tasks[inbox] = self._waiting.popleft()
        inbox.put(self._tasks[inbox])

    def _new_thread(self) -> Inbox | None:
        most = max(self.slots, MOST if self.most is None else self.most)
        self.refused = allowed(most) if len(self._threads) >= most else ""
        if self.refused:
            return None
        inbox = Inbox()
        one = Thread(target=self._serve, args=(inbox,), name="firex-task", daemon=True)
        try:
            one.start()
        except RuntimeError as error:
            self.refused = str(error)
            return None
        self._threads[inbox] = one
        return inbox

    def _let_go(self) -> None:
        if self._is_closed and not self._waiting:
            for inbox in self._idle:
                inbox.put(None)
            self._idle.clear()

    # ── in a thread of the pool ───────────────────────────────────────────────────────────

    def _serve(self, inbox: Inbox) -> None:
        slot = Slot(partial(self._tell, inbox))
        give_slot(slot)
        while self._runs_next(inbox, slot):
            pass
        with self._lock:
            del self._threads[inbox]

    def _runs_next(self, inbox: Inbox, slot: Slot) -> bool:
        call = inbox.get()
        if call is None:
            return False
        slot.begin()
        call()
        with self._lock:
            del self._tasks[inbox]
            self._blocked.discard(inbox)
            if self._waiting and has_slot(self.load()):
                self._give(inbox)
            else:
                self._idle.append(inbox)
                self._let_go()
        self.bell.ring()
        return True

    def _tell(self, inbox: Inbox, waits: bool) -> None:
        with self._lock:
            if waits:
                self._blocked.add(inbox)
                self._hand_out()
            else:
                self._blocked.discard(inbox)
        self.bell.ring()


class LendingThreads(thread.TaskPool):  # type: ignore[misc]  # Celery carries no types
    """Celery's threads pool, with slots that are lent.

    Attributes:
        places: The threads.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.executor = self.places = Threads(self.limit)

    @property
    def num_processes(self) -> int:
        """What Celery reckons its prefetch count from: tasks that may run at a time."""
        return self.places.slots

    def register_with_event_loop(self, loop: Any) -> None:
        """The worker has a connection to its broker, at first or again."""
        loop.add_reader(self.places.bell, self.places.hear)
        loop.call_soon(self.places.balance)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        **_ignored: Any,
    ) -> thread.ApplyResult:
        """Run a task as soon as there is a slot for it."""
        run = partial(apply_target, target, args, kwargs, callback, accept_callback)
        call = Call(getattr(accept_callback, "__self__", None), run)
        self.places.submit(call)
        return thread.ApplyResult(call.future)
