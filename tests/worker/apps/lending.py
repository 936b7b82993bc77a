"""Tasks that wait for others and lend their slot meanwhile, in a plain Celery app; they count who has begun."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from celery.exceptions import SoftTimeLimitExceeded

from firexkit._celery import lending_step, recovery
from firexkit._celery.lending import lent_slot
from firexkit.app import lend_slots
from worker.rig import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = "FIREXKIT_TEST_MOST"
BEGUN = "begun"
"""How many tasks have begun and have not waited or ended since: these are what the slots are for."""
SEEN = "begun-seen"
"""How many there were each time one began."""

recovery.install()
lending_step.KEEP = 1.0  # a test need not wait for as long as a user may
app = make_app(__name__)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, worker_send_task_events=True)
lend_slots(app, most_processes=int(os.environ[MOST]) if MOST in os.environ else None)


class Counted:
    """A task that counts as begun, until it waits or ends."""

    def __init__(self) -> None:
        self.counts = True
        app.backend.client.rpush(SEEN, app.backend.client.incr(BEGUN))

    def counts_no_more(self) -> None:
        if self.counts:
            self.counts = False
            app.backend.client.decr(BEGUN)

    def result_of(self, child):
        self.counts_no_more()
        with lent_slot():
            return child.get(disable_sync_subtasks=False)


@contextmanager
def counted() -> Iterator[Counted]:
    task = Counted()
    try:
        yield task
    finally:
        task.counts_no_more()


def tell_and_wait(key, told="begun", timeout=30):
    """Push the process under one key, then wait until somebody pushes to another."""
    app.backend.client.rpush(f"{key}-{told}", os.getpid())
    app.backend.client.blpop(key, timeout=timeout)


@app.task
def leaf(seconds=0):
    with counted():
        time.sleep(seconds)
        return 1


@app.task
def nested(depth):
    """As deep as asked, each level waiting for the one below."""
    with counted() as task:
        return 1 + task.result_of(nested.delay(depth - 1)) if depth > 1 else 1


@app.task
def parent(children):
    """Waits for some leaves, one after the other."""
    with counted() as task:
        return sum(task.result_of(child) for child in [leaf.delay(0.02) for _ in range(children)])


@app.task
def block(key):
    """Waits until it is told to go on, its slot lent meanwhile."""
    with counted() as task:
        task.counts_no_more()
        with lent_slot():
            tell_and_wait(key)


@app.task(time_limit=1)
def limited(key):
    """Waits for longer than it may."""
    block(key)


@app.task
def block_and_hold(block_key, hold_key):
    """Waits until it is told to go on, then runs until it is told to end."""
    block(block_key)
    hold(hold_key)


@app.task
def block_on_pipe(key, pipe):
    """As block, but whoever opens the pipe ends the wait, with or without a broker."""
    app.backend.client.rpush(f"{key}-begun", os.getpid())
    with lent_slot():
        Path(pipe).read_text()


@app.task
def hold(key):
    """Runs until it is told to end."""
    with counted():
        tell_and_wait(key)


@app.task(soft_time_limit=1)
def cut_short(key):
    """Is told in the middle of its wait that it took too long, and works on."""
    try:
        with lent_slot():
            tell_and_wait("never", timeout=20)
    except SoftTimeLimitExceeded:
        tell_and_wait(key)
