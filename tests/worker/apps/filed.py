"""An app whose results are files: a backend without hashes, without wake-ups, without anything but get and set."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery

from worker.rig import BROKER

# The server's own directory goes when the server goes.
directory = Path(urlsplit(os.environ[BROKER]).path).parent / "results"
directory.mkdir(exist_ok=True)
app = Celery(
    __name__,
    broker=os.environ[BROKER],
    backend=f"file://{directory}",
    task_cls="firexkit.task:FireXTask",
    set_as_current=False,
)
app.conf.task_default_queue = __name__


@app.task(returns="y")
def one(x):
    return x + 1


@app.task(returns="z")
def two(y, w="@y"):
    return y * 10 + w


@app.task
def fail():
    raise ValueError("broken")


@app.task(returns="slow", use_cache=True)
def cached(x):
    return x


@app.task(bind=True, returns="got")
def parent(self, x):
    """Waits for a chain, for children in parallel and at their end, and uses once and cache."""
    first = self.enqueue_child_and_get_results(one.s(x) | two.s(), return_keys="z")
    second = self.enqueue_in_parallel([one.s(n) for n in range(3)])
    third = self.enqueue_child_once_and_extract(one.s(x), enqueue_once_key="k", return_keys="y")
    fourth = self.enqueue_child_once_and_extract(one.s(x), enqueue_once_key="k", return_keys="y")
    fifth = self.enqueue_child_and_get_results(cached.s(x) | cached.s(x=x), return_keys="slow")
    self.enqueue_child(one.s(x))
    any_of_them = next(self.wait_for_any_children())
    self.enqueue_child(one.s(x))
    self.forget_child_result(any_of_them)
    return [*first, [child.result["y"] for child in second], *third, *fourth, *fifth]


@app.task(bind=True)
def failing_parent(self):
    self.enqueue_child(fail.s() | one.s(x=1), block=True)


@app.task(bind=True, returns="revoked")
def revoking_parent(self):
    """A child that nobody takes is revoked; what became of it is known here."""
    child = self.enqueue_child(one.s(1).set(queue=f"{__name__}.nobody"))
    return [member.id for member in self.revoke_child(child)] == [child.id]
