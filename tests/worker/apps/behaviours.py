"""FireX tasks under Celery's defaults, one or two for each behaviour that the library promises.

Bodies that wait, wait for a word from the test in a list of the backend.
"""

import time

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from firexkit.argument_conversion import ConverterRegister, SingleArgDecorator
from firexkit.chain import InjectArgs, returns
from firexkit.result import get_task_postrun_info
from firexkit.task import FireXTask, PendingChildStrategy, UidNotInjectedInAbog, flame
from worker.rig import keys_of_tasks, make_app, wait_until

logger = get_task_logger(__name__)
app = make_app(__name__, task_cls="firexkit.task:FireXTask")

OTHER_QUEUE = f"{__name__}.other"
UNCONSUMED_QUEUE = f"{__name__}.unconsumed"


def say(key, word="go"):
    """Put a word into a list; from the test to a body, or back."""
    app.backend.client.rpush(key, word)


def hear(key, timeout=20):
    """Wait for a word and take it."""
    heard = app.backend.client.blpop(key, timeout=timeout)
    assert heard, f"nobody said {key} within {timeout} s"
    return heard[1].decode()


def meet(key, company):
    """Wait until as many others have come."""
    come = app.backend.client.incr(key)
    wait_until(lambda: int(app.backend.client.get(key)) >= company, 20, what=f"{company} at {key}, was {come}")


# ── chains ───────────────────────────────────────────────────────────────────────────────


@app.task(returns=("violet", "green"))
def mix(red, blue, yellow=0):
    return red + blue, blue + yellow


@app.task
@returns("framed")
def frame(picture, wood="oak"):
    return f"{wood}({picture})"


@app.task
@returns("hung")
def hang(framed, owner="nobody"):
    return f"{framed} of {owner}"


@app.task(bind=True, returns="seen")
def inherit(self, uid):
    """What a child gets that its parent gives all it has."""
    (seen,) = self.enqueue_child_and_get_results(InjectArgs(**self.abog) | keep.s(), return_keys="kept")
    return [uid, *seen]


@app.task(bind=True, returns="kept")
def keep(self, uid, size=1):
    return [self.uid, uid, size]


@app.task(base=Task, name=f"{__name__}.plain_pair")
@returns("red", "blue")
def plain_pair(red):
    return red, red * 2


@app.task(base=Task, name=f"{__name__}.plain_bag")
def plain_bag(bag):
    """A task of plain Celery gets the whole bag as its first argument."""
    return {"red": bag["violet"], "blue": 1}


@app.task(bind=True, returns="mixed")
def mixing_parent(self, red):
    results = self.enqueue_child_and_get_results(plain_pair.s(red) | mix.s(yellow=10) | plain_bag.s() | mix.s())
    return results["violet"]


# ── children ─────────────────────────────────────────────────────────────────────────────


@app.task(returns="number")
def meeting(number, key, company):
    meet(key, company)
    return number


@app.task(bind=True, returns="numbers")
def fan_out(self, key, width):
    """Children that end only when all of them run at the same time."""
    chains = [meeting.s(number, key, width) for number in range(width)]
    children = self.enqueue_in_parallel(chains, raise_exception_on_failure=True)
    return [child.result["number"] for child in children]


@app.task(bind=True, returns="depth")
def nest(self, levels):
    if levels == 1:
        return 1
    (below,) = self.enqueue_child_and_get_results(nest.s(levels - 1), return_keys="depth")
    return below + 1


@app.task
def fail(reason="broken"):
    try:
        raise KeyError("deep")
    except KeyError as deep:
        raise ValueError(reason, 7) from deep


@app.task(bind=True)
def failing_parent(self, reason="broken"):
    self.enqueue_child(fail.s(reason), block=True)


@app.task(returns="answer")
def wait_for_word(key):
    say(f"{key}.started")
    return hear(key)


@app.task
def never(key):
    """Says that it started, and when it is ended, that it ended."""
    try:
        say(f"{key}.started")
        time.sleep(60)
    finally:
        say(f"{key}.ended")


@app.task(bind=True)
def wait_for_child(self, key, queue=None, child=never.name):
    chain = app.tasks[child].s(key)
    chain.set_queue(queue or app.conf.task_default_queue)
    self.enqueue_child(chain, block=True, apply_async_epilogue=lambda result: say(f"{key}.id", result.id))


@app.task(bind=True)
def wait_for_grandchild(self, key):
    middle = wait_for_child.s(key)
    self.enqueue_child(middle, block=True, apply_async_epilogue=lambda result: say(f"{key}.child", result.id))


@app.task(bind=True, pending_child_strategy=PendingChildStrategy.Continue)
def leave_child(self, key):
    say(f"{key}.id", self.enqueue_child(wait_for_word.s(key)).id)


@app.task(bind=True, pending_child_strategy=PendingChildStrategy.Block)
def await_child_at_end(self, key):
    say(f"{key}.id", self.enqueue_child(wait_for_word.s(key)).id)


@app.task(bind=True, pending_child_strategy=PendingChildStrategy.Revoke)
def drop_child(self, key):
    say(f"{key}.id", self.enqueue_child(wait_for_word.s(key).set(queue=UNCONSUMED_QUEUE)).id)


# ── once, cache ──────────────────────────────────────────────────────────────────────────


@app.task(bind=True, returns="who")
def only_one(self, key):
    say(f"{key}.ran", self.request.id)
    return self.request.id


@app.task(bind=True, returns="child")
def ask_once(self, key, company=1):
    meet(f"{key}.company", company)
    return self.enqueue_child_once_and_extract(only_one.s(key), enqueue_once_key=key, return_keys="who")[0]


@app.task(bind=True, returns="children")
def ask_once_together(self, key, callers):
    asked = self.enqueue_in_parallel(
        [ask_once.s(key, callers) for _ in range(callers)], raise_exception_on_failure=True
    )
    return [caller.result["child"] for caller in asked]


@app.task(returns="square", use_cache=True)
def square(number, key):
    say(f"{key}.ran")
    return number**2


@app.task(bind=True, returns="squares")
def squares_at_once(self, number, key, times):
    asked = self.enqueue_in_parallel([square.s(number, key) for _ in range(times)], raise_exception_on_failure=True)
    return [one.result["square"] for one in asked]


# ── retry, limits, options ───────────────────────────────────────────────────────────────


@app.task(bind=True, returns="attempts", max_retries=2)
def succeed_at_third(self, box):
    if self.request.retries < 2:
        # Without a pause Celery may write "retry" over the success of the next attempt.
        raise self.retry(exc=ValueError("not yet"), countdown=0.2)
    return self.request.retries + 1


@app.task(bind=True, max_retries=1)
def never_succeed(self):
    raise self.retry(exc=ValueError("still not"), countdown=0)


@app.task(bind=True, returns="fate")
def hit_soft_limit(self, seconds=30):
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return f"soft limit of {self.request_soft_time_limit:g} s"
    return f"ended under {self.request_soft_time_limit:g} s"


@app.task
def sleep_on(seconds=30):
    time.sleep(seconds)


@app.task(bind=True, returns=("queue", "priority"))
def tell_options(self):
    return self.request.delivery_info["routing_key"], self.request.delivery_info["priority"]


# ── converters, flame, what needs the product ────────────────────────────────────────────


@app.task(returns="area", flame=["side", "area"])
def convert(side, unit="m"):
    return side * side


@ConverterRegister.register_for_task(convert)
@SingleArgDecorator("side")
def to_number(value):
    return int(value)


@ConverterRegister.register_for_task(convert, False)
def with_unit(bag):
    return {"area": f"{bag['area']} square {bag.get('unit', 'metres')}", "note": "from the converter after"}


@app.task(bind=True)
@flame("progress", on_next=True, on_next_args=("begun",))
@flame("size", bind=True, formatter=lambda value, task: f"{task.short_name} has {value}")
@returns("size")
def show(self, size):
    self.update_firex_data(progress="half")
    self.send_firex_html(page="<b>done</b>")
    return size


@app.task(bind=True, returns="told")
def tell_surroundings(self):
    try:
        uid = self.uid
    except UidNotInjectedInAbog as error:
        uid = str(error)
    logger.info("a line of its own")
    paths = (self.task_logfile, self.task_log_url, self.worker_log_file, self.worker_log_url, self.task_logging_dirpath)
    return {"uid": uid, "paths": paths, "has_start": self.start_time() <= time.time(), "has_root": bool(self.bag)}


# ── forgetting ───────────────────────────────────────────────────────────────────────────


class Lingering(FireXTask):
    """Stores its result some time before its process is done with it."""

    def on_success(self, retval, task_id, args, kwargs):
        if key := kwargs.get("key"):
            hear(f"{key}.leave")


@app.task(base=Lingering, name=f"{__name__}.linger")
def linger(key):
    return {"stays": key}


@app.task(bind=True, returns="left")
def forget_lingering(self, key):
    """The child's process still has its post-run record to write when the child is forgotten."""
    child = self.enqueue_child(linger.s(key=key), block=True)
    self.forget_child_result(child)
    say(f"{key}.leave")
    return child.id


@app.task(bind=True, returns=("sent", "left"))
def forget_tree(self):
    """The keys that a chain with children adds, and those that it leaves when it is forgotten."""
    client = app.backend.client
    # What this task tells of its own start may be still under way.
    wait_until(lambda: client.exists(f"{self.request.id}_starttime"), what="the record of this start")
    before = keys_of_tasks(client)
    child = self.enqueue_child(mix.s(1, 2) | nest.s(levels=2) | frame.s("@violet"), block=True)
    sent = keys_of_tasks(client) - before
    wait_until(lambda: get_task_postrun_info(child), what="end of the last process")
    self.forget_child_result(child)
    left = keys_of_tasks(client) - before
    return sorted(sent), sorted(left)


@app.task(bind=True, returns="answers")
def use_everything(self, key):
    """Once, cache, children and forgetting, all in one."""
    ids = self.enqueue_child_once_and_extract(only_one.s(key), enqueue_once_key=key, return_keys="who")
    child = self.enqueue_child(square.s(3, key) | square.s(number=3), block=True)
    self.forget_child_result(child)
    other = self.enqueue_child(mix.s(1, 2), block=True, forget=True)
    return [*ids, child.id, other.id]
