"""Parents that wait in every way there is, for children that end late or early.

In a worker with ``ONLY_WOKEN`` in its environment a wait never looks by itself: who is not told waits for a day.
"""

import os
import signal
import time
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from celery import Task, chain, group
from celery.exceptions import SoftTimeLimitExceeded
from celery.result import AsyncResult

from firexkit._celery import outbox, recovery
from firexkit._celery.wakeup import wakeup_of
from firexkit.result import (
    ChainException,
    ChainRevokedException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    hearing,
    wait_for_any_results,
    wait_on_async_results,
)
from firexkit.revoke import revoke_result
from firexkit.task import FireXTask, PendingChildStrategy, flame
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


@app.task(base=Task, name=f"{__name__}.plain_and_quick")
def plain_and_quick(*_):
    return {}


@app.task(returns="answer")
def teller(key, answer=None):
    """Says so when it runs."""
    say(key)
    return answer


# ── parents, each with what it has seen when it was woken ────────────────────────────────


def answer_of(parent, chain):
    (answer,) = parent.enqueue_child_and_get_results(chain, return_keys="answer")
    return answer


@app.task(bind=True)
def tells_in_its_body(self):
    self.send_event("task-of-a-user", told="body")
    return {"told": "end"}


@app.task(bind=True, returns="seen")
def of_one(self):
    return answer_of(self, late.s(1))


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
def of_a_sliding_window(self, key):
    """The first child ends when the last one runs, for which the others have made room one after the other."""
    chains = [told_to.s(key, 0), *(quick.s(number) for number in range(1, 5)), teller.s(key, 5)]
    children = self.enqueue_in_parallel(chains, max_parallel_chains=2)
    return [child.result["answer"] for child in children]


@app.task(bind=True, returns="seen")
def of_a_window_with_a_failure(self, raises):
    """Whom it blames, and how many it has sent."""
    chains = [quick.s(0), broken.s(seconds=0), quick.s(2)]
    raised = blamed(lambda: self.enqueue_in_parallel(chains, max_parallel_chains=1, raise_exception_on_failure=raises))
    return [raised, len(self.enqueued_children)]


@app.task(bind=True, returns="seen")
def of_a_chain(self):
    return answer_of(self, late.s(1) | quick.s() | late.s())


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
        # Celery's newer workers store REVOKED for what never started, too.
        kind = ChainRevokedException if isinstance(error, ChainRevokedException) else type(error)
        return [kind.__name__, error.task_name.rpartition(".")[2]]
    return None


@app.task(bind=True, returns="seen")
def of_a_broken_chain(self, early=False):
    chain = quick.s(1) | broken.s(seconds=0 if early else 0.15) | quick.s()
    child = self.enqueue_child(chain)
    if early:
        until_stored(child.id, "FAILURE")
    return blamed(self.wait_for_children)


@app.task(bind=True, returns="seen")
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
    first = blamed(lambda: self.wait_for_specific_children(child))
    return [first, blamed(lambda: self.wait_for_specific_children(child))]


@app.task(bind=True, returns="seen")
def of_a_retried_one(self, countdown=0.1):
    return answer_of(self, at_third.s(countdown))


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
    (answer,) = self.enqueue_child_once_and_extract(told_to.s(key, 7), enqueue_once_key=key, return_keys="answer")
    return answer


@app.task(bind=True, returns="seen")
def of_three_with_one_child(self, key):
    asking = self.enqueue_in_parallel([of_one_enqueued_once.s(key) for _ in range(3)])
    return [one.result["seen"] for one in asking]


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
            seen.append(answer_of(self, late.s("third")))
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


# ── what is told, and when ───────────────────────────────────────────────────────────────


class Talkative(FireXTask):
    """Sends a task in each place around its function where a user's code may be, and waits for what that does."""

    def pre_task_run(self, extra_events=None):
        super().pre_task_run(extra_events)
        self._ask("before")

    def post_task_run(self, results, extra_events=None):
        super().post_task_run(results, extra_events)
        self._ask("after")

    def on_success(self, retval, task_id, args, kwargs):
        self._ask("success")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        self._ask("return")

    def _ask(self, place):
        key = f"{self.request.id}.{place}"
        echo.delay(key)
        hear(key, timeout=5)


@app.task
def echo(key):
    say(key)


class SlowToBegin(FireXTask):
    """A user's code before the function, after what the kit does there."""

    def pre_task_run(self, extra_events=None):
        super().pre_task_run(extra_events)
        endless.run(self.bag["key"])


@app.task(base=SlowToBegin, name=f"{__name__}.slow_to_begin")
def slow_to_begin(key):
    """Ends before its function begins."""


@app.task
@flame("key", formatter=endless.run)
def slow_to_show(key):
    """Ends while a user's code renders what it begins with."""


@app.task(base=Talkative, name=f"{__name__}.talks", returns="answer")
def talks(answer=None):
    return answer


@app.task(base=Talkative, name=f"{__name__}.talks_of_nothing", ignore_result=True)
def talks_of_nothing(answer=None):
    """As the other, but it stores nothing."""


# ── what cuts a wait short ───────────────────────────────────────────────────────────────


@app.task(bind=True, returns="seen", soft_time_limit=0.5)
def whose_time_ends_while_it_waits(self, key):
    """It waits on then, for that child and for another."""
    child = self.enqueue_child(told_to.s(key, 1))
    with suppress(SoftTimeLimitExceeded):
        self.wait_for_specific_children(child)
    say(key)
    self.wait_for_specific_children(child)
    return [child.result["answer"], answer_of(self, late.s(2))]


@contextmanager
def cut_short(seconds):
    """Raise a soft time limit in the block, as the worker does, and let it end there."""
    limit = signal.signal(signal.SIGALRM, raise_limit)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with suppress(SoftTimeLimitExceeded):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, limit)


def raise_limit(*_):
    raise SoftTimeLimitExceeded


@contextmanager
def stopped_server():
    """A server that takes what is sent, and answers nothing."""
    pid = app.backend.client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@app.task(bind=True, returns="seen")
def whose_time_ends_while_it_sends(self):
    """What it sends and tells after that is answered as if nothing had been."""
    self.enqueue_child(quick.s(1))
    with stopped_server(), cut_short(0.2):
        while True:
            self.enqueue_child(quick.s(2))
    answers = outbox.run(app.backend, [("ECHO", word) for word in "abc"])
    self.wait_for_children()
    return [b"".join(answers).decode(), sorted(child.result["answer"] for child in self.enqueued_children)]


@app.task(bind=True, returns="seen")
def whose_time_ends_while_it_follows(self, task_id):
    """The wait for a foreign task is cut short before the server has confirmed that it follows its result."""
    foreign = AsyncResult(task_id, app=app)
    with stopped_server(), cut_short(0.2):
        wait_on_async_results(foreign)
    answer = answer_of(self, late.s("own"))
    wait_on_async_results(foreign)
    return [foreign.result["answer"], answer]


@app.task(bind=True, returns="seen")
def that_forks(self):
    """It waits, and so does a process that it forks, and it waits once more; each is told of its own child."""
    seen = [answer_of(self, late.s("before"))]
    reader, writer = os.pipe()
    if (forked := os.fork()) == 0:
        try:
            os.write(writer, answer_of(self, late.s("forked")).encode())
        finally:
            os._exit(0)
    seen.append(answer_of(self, late.s("meanwhile")))
    os.waitpid(forked, 0)
    seen.append(os.read(reader, 100).decode())
    return [*seen, answer_of(self, late.s("after"))]


@app.task(bind=True, returns="seen")
def of_two_in_turn(self, key):
    child = self.enqueue_child(told_to.s(key, 1), block=True)
    return [child.result["answer"], answer_of(self, late.s(2))]


@app.task(bind=True, returns="seen")
def of_many_one_by_one(self, count):
    """Every other one is followed, as it is of plain Celery. All are forgotten."""
    for number in range(count):
        child = self.enqueue_child((quick, plain_and_quick)[number % 2].s(number), block=True)
        self.forget_child_result(child)
    told = wakeup_of(app.backend)
    return len(told._unclaimed) + len(told._followed) + len(told.listeners)


# ── how long a wait lasts, and what is done meanwhile ────────────────────────────────────


@app.task(bind=True, returns="seen")
def with_callbacks(self, key):
    """One that runs often, one that runs seldom, and one that ends the wait when the first has run five times."""
    ran = {"often": [], "never": []}

    def run(name):
        ran[name].append(time.monotonic())
        if len(ran["often"]) == 5:
            say(key)

    child = self.enqueue_child(told_to.s(key))
    callbacks = [
        WaitLoopCallBack(run, 0.1, {"name": "often"}),
        WaitLoopCallBack(run, 60, {"name": "never"}),
    ]
    self.wait_for_specific_children(child, callbacks=callbacks)
    pauses = [later - earlier for earlier, later in pairwise(ran["often"])]
    return [len(ran["often"]), len(ran["never"]), min(pauses) > 0.09]


@app.task(bind=True, returns="seen", pending_child_strategy=PendingChildStrategy.Continue)
def of_one_for_a_while(self, key, max_wait):
    """Somebody tells of its child all the time, though that has not ended."""
    child = self.enqueue_child(told_to.s(key))
    say(f"{key}.child", child.id)
    say(f"{key}.channel", wakeup_of(app.backend).channel)
    try:
        self.wait_for_specific_children(child, max_wait=max_wait)
    except WaitOnChainTimeoutError as error:
        return type(error).__name__
    return None


@app.task(bind=True, returns="seen")
def of_one_at_once(self):
    """With no time at all it looks once, though nothing has told it of the child that has ended."""
    child = self.enqueue_child(quick.s(1))
    until_stored(child.id)
    self.wait_for_specific_children(child, max_wait=0)
    return child.result["answer"]


# ── while the server is away ─────────────────────────────────────────────────────────────


def until_there(path):
    wait_until(Path(path).exists, 30, what=path)


@app.task(returns="answer")
def until_file(path, answer=None, ends=None):
    """Notes that it runs, and ends when there is a file; the server may be away meanwhile, or be ended by it."""
    with Path(f"{path}.started").open("a") as file:
        file.write("x")
    if ends:
        os.kill(ends, signal.SIGKILL)
    until_there(path)
    return answer


@app.task(bind=True, returns="seen")
def of_one_through_an_outage(self, path):
    child = self.enqueue_child(until_file.s(path, 1), block=True)
    return [child.result["answer"], answer_of(self, late.s(2))]


@app.task(bind=True, returns="seen")
def of_one_sent_before_an_outage(self, path):
    """The server is away between the child's message and the wait for it."""
    child = self.enqueue_child(until_file.s(path, 1))
    until_there(f"{path}.wait")
    self.wait_for_specific_children(child)
    return child.result["answer"]
