"""Parents that wait in every way there is, for children that end late or early.

In a worker with ``ONLY_WOKEN`` in its environment a wait never looks by itself: who is not told waits for a day.
"""

import os
import signal
import time

from celery import Task, chain, group
from celery.exceptions import SoftTimeLimitExceeded
from celery.result import AsyncResult

from firexkit._celery import outbox, recovery
from firexkit.chain import InjectArgs
from firexkit.result import (
    ChainException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    hearing,
    wait_for_any_results,
    wait_on_async_results,
)
from firexkit.revoke import revoke_result
from firexkit.task import FireXTask, PendingChildStrategy
from worker.rig import make_app, wait_until

ONLY_WOKEN = "FIREXKIT_TEST_ONLY_WOKEN"
NEVER = 86_400.0

recovery.install()
app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.task_track_started = True
UNCONSUMED_QUEUE = f"{__name__}.unconsumed"
if os.environ.get(ONLY_WOKEN):
    hearing._FIRST_SAFEGUARD = NEVER


def say(key, word="go"):
    """Put a word into a list; from the test to a body, or back."""
    app.backend.client.rpush(key, word)


def hear(key, timeout=20):
    """Wait for a word and take it."""
    heard = app.backend.client.blpop(key, timeout=timeout)
    assert heard, f"nobody said {key} within {timeout} s"
    return heard[1].decode()


def until_stored(task_id, state="SUCCESS"):
    """Wait until a state is stored, without letting any result know."""
    key = app.backend.get_key_for_task(task_id)
    wait_until(lambda: state.encode() in (app.backend.client.get(key) or b""), 20, what=f"{state} of {task_id}")


# ── children ─────────────────────────────────────────────────────────────────────────────


@app.task(returns="answer")
def quick(answer=None):
    return answer


@app.task(returns="answer")
def late(answer=None, seconds=0.15):
    """Ends when its parent waits."""
    time.sleep(seconds)
    return answer


@app.task(returns="answer")
def large(answer="x", seconds=0.0):
    """Returns more than is told: its state is to be read."""
    time.sleep(seconds)
    return answer * 10_000


@app.task(returns="answer")
def told_to(key, answer=None):
    """Ends when it is told to."""
    say(f"{key}.started")
    hear(key)
    return answer


@app.task
def broken(answer=None, seconds=0.15):
    time.sleep(seconds)
    raise ValueError(answer)


@app.task
def endless(key):
    """Says that it started, and when it is ended, that it ended."""
    try:
        say(f"{key}.started")
        time.sleep(60)
    finally:
        say(f"{key}.ended")


@app.task(bind=True, max_retries=2, returns="answer")
def at_third(self, countdown=0.1):
    if self.request.retries < 2:
        raise self.retry(exc=ValueError("not yet"), countdown=countdown)
    return self.request.retries


@app.task(bind=True, returns="answer")
def replaced(self, by_chain=False):
    time.sleep(0.1)
    return self.replace(late.s(1) | late.s() if by_chain else late.s(1))


@app.task(ignore_result=True)
def silent(seconds=0.15):
    time.sleep(seconds)


@app.task(base=Task, name=f"{__name__}.plain")
def plain(*_):
    time.sleep(0.15)
    return {"answer": 1}


# ── parents, each with what it has seen when it was woken ────────────────────────────────


@app.task(bind=True, returns="seen")
def of_one(self):
    return self.enqueue_child_and_get_results(late.s(1), return_keys="answer")


@app.task(bind=True, returns="seen")
def of_one_that_was_early(self):
    child = self.enqueue_child(quick.s(1))
    until_stored(child.id)
    self.wait_for_children()
    return child.result["answer"]


@app.task(bind=True, returns="seen")
def of_large_ones(self):
    """Large results are not told whole, early or late."""
    early, later = self.enqueue_child(large.s()), self.enqueue_child(large.s("y", 0.15))
    until_stored(early.id)
    self.wait_for_children()
    return [len(child.result["answer"]) for child in (early, later)]


@app.task(bind=True, returns="seen")
def of_many(self):
    children = [self.enqueue_child(late.s(number, number / 50)) for number in range(8)]
    self.wait_for_children()
    return [child.result["answer"] for child in children]


@app.task(bind=True, returns="seen")
def of_any(self, key):
    """Each child is told to end when the one before it has, the last one first."""
    names = {self.enqueue_child(told_to.s(f"{key}{number}")): number for number in range(4)}
    say(f"{key}3")
    seen = []
    for child in self.wait_for_any_children():
        seen.append(names[child])
        say(f"{key}{names[child] - 1}")
    return seen


@app.task(bind=True, returns="seen")
def of_a_chain(self):
    return self.enqueue_child_and_get_results(late.s(1) | quick.s() | late.s("@answer"), return_keys="answer")


@app.task(bind=True, returns="seen")
def of_a_chain_that_was_early(self):
    child = self.enqueue_child(quick.s(1) | quick.s())
    until_stored(child.id)
    self.wait_for_children()
    return child.result["answer"]


def blamed(wait):
    """The kind of error that a wait ends in, and the short name of the task that it blames."""
    try:
        wait()
    except ChainException as error:
        return [type(error).__name__, error.task_name.rpartition(".")[2]]
    return None


@app.task(bind=True, returns="seen")
def of_a_broken_chain(self, early=False):
    chain = quick.s(1) | broken.s(seconds=0 if early else 0.15) | quick.s()
    child = self.enqueue_child(chain)
    if early:
        until_stored(child.id, "FAILURE")
    return blamed(self.wait_for_children)


@app.task(bind=True, returns="seen", pending_child_strategy=PendingChildStrategy.Continue)
def of_a_revoked_one(self, key, member=0, early=False, terminate=False):
    """The members before the one that somebody revokes have ended; that one runs, or waits where nobody takes it."""
    victim = endless.s(key=key) if terminate else quick.s().set(queue=UNCONSUMED_QUEUE)
    child = self.enqueue_child(chain(*[quick.s(1)] * member, victim, quick.s()))
    say(f"{key}.id", child.parent.id)
    if early:
        hear(f"{key}.revoked")
    return blamed(self.wait_for_children)


@app.task(bind=True, returns="seen")
def of_one_it_revokes(self):
    child = self.enqueue_child(quick.s().set(queue=UNCONSUMED_QUEUE))
    revoke_result(child)
    return [blamed(lambda: self.wait_for_specific_children(child)) for _ in range(2)]


@app.task(bind=True, returns="seen")
def of_a_retried_one(self, countdown=0.1):
    return self.enqueue_child_and_get_results(at_third.s(countdown), return_keys="answer")


@app.task(bind=True, returns="seen")
def of_a_replaced_one(self, by_chain=False, before=(), after=()):
    members = [*(quick.s() for _ in before), replaced.s(by_chain=by_chain), *(quick.s() for _ in after)]
    child = self.enqueue_child(chain(*members), block=True)
    return child.result["answer"]


@app.task(bind=True, returns="seen")
def of_a_silent_one(self):
    """Twice: nothing that is stored tells the second time."""
    child = self.enqueue_child(silent.s(), block=True)
    self.wait_for_specific_children(child)
    return True


@app.task(bind=True, returns="seen")
def of_a_silent_early_one(self):
    child = self.enqueue_child(silent.s(0))
    wait_until(lambda: app.backend.client.hget(child.id, "no-result"), what="its end on record")
    self.wait_for_specific_children(child)
    return True


@app.task(bind=True, returns="seen")
def of_a_group(self, after_one=False):
    members = group(late.s(answer=number) for number in range(3))
    child = self.enqueue_child(quick.s(1) | members if after_one else members, block=True)
    return len(child.results)


@app.task(bind=True, returns="seen")
def of_one_enqueued_once(self, key):
    return self.enqueue_child_once_and_extract(late.s(1), enqueue_once_key=key, return_keys="answer")


@app.task(bind=True, returns="seen")
def of_one_enqueued_once_twice(self, key):
    """As owner it sends, as guest it waits, and in the end it waits for what it has sent."""
    for block in (False, True):
        self.enqueue_child_once(large.s(seconds=0.15), enqueue_once_key=key, block=block)
    self.wait_for_children()
    return True


@app.task(bind=True, returns="seen")
def of_a_foreign_one(self, task_id):
    wait_on_async_results(AsyncResult(task_id, app=app), caller_task=self)
    return AsyncResult(task_id, app=app).result["answer"]


@app.task(bind=True, returns="seen")
def of_a_plain_one(self, in_chain=False):
    child = self.enqueue_child(late.s(1) | plain.s() if in_chain else plain.s(), block=True)
    return child.result["answer"]


@app.task(bind=True, returns="seen")
def of_one_within_another_wait(self, key):
    """While it works with the first child, the second ends, and it waits for the second and for a third."""
    first, second = self.enqueue_child(told_to.s(f"{key}1")), self.enqueue_child(told_to.s(f"{key}2"))
    say(f"{key}1")
    seen = []
    for child in self.wait_for_any_children():
        seen.append([first, second].index(child))
        if child is first:
            say(f"{key}2")
            seen += self.enqueue_child_and_get_results(late.s("third"), return_keys="answer")
    return seen


@app.task(bind=True, returns="seen")
def of_one_whose_news_another_wait_took(self):
    """The wait for any takes the news of the second child, which is to be read, and then is given up."""
    first, second = self.enqueue_child(quick.s(1)), self.enqueue_child(large.s(seconds=0.15))
    any_child = self.wait_for_any_children()
    assert next(any_child) is first
    until_stored(second.id)
    self.enqueue_child(quick.s(2), block=True)
    self.wait_for_specific_children(second)
    any_child.close()
    return len(second.result["answer"])


@app.task(bind=True, returns="seen")
def of_two_results_of_one(self):
    """Another result of the same child takes the news, whole, before the child's own is waited for."""
    child = self.enqueue_child(large.s(seconds=0.15))
    for _ in wait_for_any_results([AsyncResult(child.id, app=app)]):
        self.wait_for_specific_children(child)
    return True
