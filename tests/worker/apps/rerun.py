"""Parents whose bodies run again as after a crash: they look at what an earlier body has sent."""

import json
import os
import signal
from contextlib import suppress

from celery import Task, chord, group
from celery.exceptions import Reject

from firexkit.chain import InjectArgs, returns
from firexkit.result import ChainInterruptedException
from firexkit.task import PendingChildStrategy
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
RUNS_AGAIN = {"acks_late": True, "pending_child_strategy": PendingChildStrategy.Continue}
"""For a body that is given up and sent again at once, which takes no time."""
IS_KILLED = {"acks_late": True, "reject_on_worker_lost": True, "on_lost": "retry"}
"""For one whose process dies."""


def count(name):
    return app.backend.client.incr(name)


def told_by_bodies(self, told, *, bodies=2):
    """What each body of a task has told; all but the last end when they tell it, and run again."""
    key = f"{self.request.id}.told"
    if app.backend.client.rpush(key, json.dumps(told)) < bodies:
        if self.reject_on_worker_lost:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Reject(requeue=True)
    return [json.loads(each) for each in app.backend.client.lrange(key, 0, -1)]


def ids(result):
    """The ids of the members of a group, else of the last two of a chain: a group among them has another each time."""
    if hasattr(result, "results"):
        return sorted(member.id for member in result.results)
    return [each.id for each in (result.parent, result) if each is not None and not hasattr(each, "results")]


# ── children ─────────────────────────────────────────────────────────────────────────────


@app.task
@returns("value")
def work(value, key="work"):
    count(f"{key}.{value}")
    return value


@app.task
@returns("added", "seen")
def add(value, added=0, fails=0, key="add", chain_depth=0):
    """Fail as often as it is told, then add one."""
    app.backend.client.rpush(f"{key}.parents", add.request.parent_id)
    if count(key) <= fails:
        raise ValueError(key)
    return (added or value) + 1, chain_depth


@app.task
@returns("big")
def make_big(size):
    count("make_big")
    return "x" * size


@app.task(base=Task)
def plain(bag):
    count("plain")
    return {"value": bag["value"] + 10, "plain": True}


@app.task
@returns("heard")
def until_word(key):
    """Run until somebody says a word."""
    count(f"{key}.ran")
    app.backend.client.rpush(f"{key}.runs", 1)
    return app.backend.client.blpop(f"{key}.word", timeout=20)[1].decode()


@app.task
@returns("total")
def total(parts):
    count("total")
    return sum(part["value"] for part in parts)


@app.task(ignore_result=True)
def leave_nothing():
    count("leave_nothing")


# ── parents ──────────────────────────────────────────────────────────────────────────────

SAME = {
    "task": lambda: work.s(1),
    "chain": lambda: work.s(1) | add.s(),
    "injected": lambda: InjectArgs(value=1) | work.s(),
    "explicit": lambda: work.s(1).set(task_id="explicit") | work.s(2),
    "silent": leave_nothing.s,
    "group": lambda: group(work.s(1), work.s(2)),
    "chord": lambda: chord([work.s(1), work.s(2)], total.s()),
}


@app.task(bind=True, returns=("first", "second", "values"), **RUNS_AGAIN)
def twice_the_same(self, kind):
    """Two bodies send the same: ids that they got, once sent and in the end, and the value in the second."""
    sent = []
    child = self.enqueue_child(SAME[kind](), block=True, apply_async_epilogue=sent.append)
    first, second = told_by_bodies(self, [*map(ids, sent), ids(child)])
    return first, second, [result.result for result in child.results] if kind == "group" else child.result


FAILING = {
    "alone": lambda: add.s(1, fails=1),
    "in the middle": lambda: work.s(5) | work.s(key="again") | add.s(fails=1, key="add") | add.s(fails=0, key="last"),
    "at the head": lambda: add.s(1, fails=1, key="add") | work.s(2, key="work"),
    "immutable": lambda: work.s(5) | add.si(7, fails=1),
    "after plain": lambda: work.s(5) | plain.s() | add.s(fails=1, key="add"),
    "before plain": lambda: make_big.s(100_000) | work.s(5) | add.s(fails=1, key="add") | plain.s(),
    "large": lambda: make_big.s(100_000) | add.s(1, fails=1, key="add"),
    "after nothing": lambda: work.s(5) | leave_nothing.s() | add.si(1, fails=1),
    "group": lambda: work.s(3) | group(work.s(1), add.s(fails=1, key="add")),
    "chord": lambda: chord([work.s(1), work.s(2)], add.s(1, fails=1)),
}


@app.task(bind=True, returns=("first", "second", "bag", "children"), **RUNS_AGAIN)
def fails_once(self, kind):
    """The first body's chain fails; the second body's goes on."""
    sent = []
    with suppress(ChainInterruptedException):
        self.enqueue_child(FAILING[kind](), block=True, apply_async_epilogue=sent.append)
    first, second = told_by_bodies(self, ids(sent[0]))
    bag = sent[0].results[-1].result if hasattr(sent[0], "results") else sent[0].result
    bag = {**bag, "big": len(bag["big"])} if "big" in bag else bag
    return first, second, bag, [each.id for each in self.request.children]


@app.task(bind=True, returns=("first", "second", "heard"), **IS_KILLED)
def still_running(self, key):
    """The child of the first body runs still when the second asks for it."""
    child = self.enqueue_child(until_word.s(key))
    if count(f"{key}.bodies") == 1:
        app.backend.client.blpop(f"{key}.runs", timeout=20)
    first, second = told_by_bodies(self, child.id)
    app.backend.client.rpush(f"{key}.word", "go")
    self.wait_for_children()
    return first, second, child.result["heard"]


@app.task(bind=True, returns=("ids",), **RUNS_AGAIN)
def same_signature_twice(self):
    """One signature object, sent twice in each of two bodies."""
    single, chain = work.s(1, key="same"), work.s(1, key="same") | work.s(2, key="same")
    return told_by_bodies(self, [ids(self.enqueue_child(sig, block=True)) for sig in (single, single, chain, chain)])


@app.task(bind=True, returns=("values",), **RUNS_AGAIN)
def another_order(self):
    """The second body sends the same children in another order, and one more."""
    order = range(4) if count("another_order") == 1 else (3, 4, 1, 0, 2)
    results = self.enqueue_in_parallel([work.s(number) for number in order], max_parallel_chains=2)
    return told_by_bodies(self, [result.result["value"] for result in results])[-1]


@app.task(bind=True, returns=("ids",), **RUNS_AGAIN)
def revoked_then(self, key):
    """The first body revokes its child at its second member; the second body runs that, the third finds it."""
    child = self.enqueue_child(work.s(1) | until_word.s(key=key))
    if count(f"{key}.bodies") == 1:
        app.backend.client.blpop(f"{key}.runs", timeout=20)
        self.revoke_child(child, wait=True)
    else:
        app.backend.client.rpush(f"{key}.word", "go")
        self.wait_for_children()
    return told_by_bodies(self, ids(child), bodies=3)


@app.task(bind=True, returns=("ids",), max_retries=1)
def retried(self):
    """A retry begins anew."""
    child = self.enqueue_child(work.s(1, key="retried"), block=True)
    app.backend.client.rpush("retried.ids", child.id)
    if not self.request.retries:
        self.retry(countdown=0)
    return [task_id.decode() for task_id in app.backend.client.lrange("retried.ids", 0, -1)]


@app.task(bind=True, returns=("ids",), **RUNS_AGAIN)
def calls_another_directly(self):
    """A task called as a function sends for the task that calls it."""
    own = self.enqueue_child(work.s(1, key="direct"), block=True).id
    return told_by_bodies(self, [own, sender()["id"], sender()["id"]])


@app.task(bind=True, returns=("id",))
def sender(self):
    return self.enqueue_child(work.s(1, key="direct"), block=True).id


@app.task(bind=True, returns=("values", "bodies"), **IS_KILLED)
def has_children_below(self):
    """What it sends sends children, too."""
    below = ()
    with suppress(ChainInterruptedException):
        below = self.enqueue_child_and_get_results(asks_below.s(fails=1), return_keys="value")
    return below, len(told_by_bodies(self, 0))


@app.task(bind=True, returns=("value",))
def asks_below(self, fails):
    """Fail when the child has ended, once."""
    (value,) = self.enqueue_child_and_get_results(work.s(7, key="below"), return_keys="value")
    if count("asks_below") <= fails:
        raise ValueError(value)
    return value
