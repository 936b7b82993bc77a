"""Groups and chords of FireX tasks, with values that plain JSON does not carry."""

import time
from pathlib import Path

from celery import group

from firexkit.chain import returns
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


@app.task
@returns("path")
def locate(name):
    return Path("/srv") / name


@app.task
@returns("paths")
def gather(parts):
    return [part["path"] for part in parts]


@app.task
@returns("size")
def measure(path):
    return len(str(path))


@app.task
def fail(path):
    raise ValueError(path)


@app.task(bind=True, returns=("seen",))
def parent(self):
    chain = locate.s("logs") | group(measure.s(), measure.s())
    results = self.enqueue_child(chain, block=True)
    return [result.result["size"] for result in results.results]


@app.task(bind=True)
def failing_parent(self):
    self.enqueue_child(locate.s("logs") | group(measure.s(), fail.s()), block=True)


@app.task(ignore_result=True)
def leave_nothing():
    """End without a result."""


@app.task(bind=True, returns=("waited",))
def patient_parent(self):
    self.enqueue_child(leave_nothing.s(), block=True, max_wait=20)
    return True


@app.task(use_cache=True, returns=("seen",))
def remembered():
    return 1


@app.task(bind=True, returns=("seen",))
def asks_twice(self):
    first = self.enqueue_child_once(remembered.s(), enqueue_once_key="k", block=True, max_wait=20)
    keep = {"do_not_forget_enqueue_once_nodes": False, "do_not_forget_cache_enabled_tasks_results": False}
    self.forget_child_result(first, **keep)
    again = self.enqueue_child_once(remembered.s(), enqueue_once_key="k", block=True, max_wait=20)
    return [again.result["seen"], first.id != again.id]


@app.task(returns=("under_way",))
def count_company(key):
    company = app.backend.client.incr(key)
    time.sleep(0.2)
    app.backend.client.decr(key)
    return company


@app.task(bind=True, returns=("peak",))
def few_at_a_time(self, limit):
    results = self.enqueue_in_parallel([count_company.s(key="company") for _ in range(6)], max_parallel_chains=limit)
    return max(result.result["under_way"] for result in results)
