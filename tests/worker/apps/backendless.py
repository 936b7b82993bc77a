"""An app without a result backend, which is what Celery gives who asks for none."""

import os

from celery import Celery

from worker.rig import BROKER

app = Celery(__name__, broker=os.environ[BROKER], task_cls="firexkit.task:FireXTask", set_as_current=False)
app.conf.task_default_queue = __name__


@app.task(returns="n")
def count(n):
    return n + 1


@app.task(bind=True)
def send_child(self):
    """Sends a chain and ends; nobody can know what became of it."""
    self.enqueue_child(count.s(1) | count.s())


@app.task(bind=True)
def wait_for_child(self):
    """What it asks for cannot be had."""
    self.enqueue_child(count.s(1), block=True, max_wait=5)
