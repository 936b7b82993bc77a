"""A child that waits to be killed, and parents that wait for it in each way there is."""

import os
import time

from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


@app.task
def linger(key):
    app.backend.client.rpush(key, os.getpid())
    time.sleep(60)


@app.task(bind=True)
def blocking(self, key):
    self.enqueue_child(linger.s(key), block=True)


@app.task(bind=True)
def waiting_for_all(self, key):
    self.enqueue_child(linger.s(key))
    self.wait_for_children()


@app.task(bind=True)
def waiting_for_any(self, key):
    self.enqueue_child(linger.s(key))
    next(self.wait_for_any_children())


@app.task(bind=True)
def parallel(self, key):
    self.enqueue_in_parallel([linger.s(key)], raise_exception_on_failure=True)


@app.task(bind=True)
def throttled(self, key):
    """The wait for a free place is one of its own."""
    self.enqueue_in_parallel([linger.s(key), linger.s(key)], max_parallel_chains=1, raise_exception_on_failure=True)


@app.task(bind=True)
def extracting(self, key):
    self.enqueue_child_and_get_results(linger.s(key))


@app.task(bind=True)
def once_as_guest(self, key):
    """The second caller waits for a result that it knows by id only."""
    self.enqueue_child_once(linger.s(key), enqueue_once_key=key)
    self.enqueue_child_once(linger.s(key), enqueue_once_key=key, block=True)


@app.task(bind=True)
def last_of_chain(self, key):
    """The chain breaks at its first member, the parent waits for its last."""
    self.enqueue_child(linger.s(key) | linger.s(), block=True)


@app.task(bind=True)
def at_its_end(self, key):
    """A child nobody waits for does not decide over its parent, but its parent must end."""
    self.enqueue_child(linger.s(key))
