"""Tasks for rows of the two quirk registers that show only in a worker."""

import time
from pathlib import Path

from kombu.exceptions import OperationalError

from firexkit.chain import InjectArgs, InvalidChainArgsException
from firexkit.result import wait_on_async_results
from firexkit.task import FireXTask, get_current_cache_enabled_uid_dbkeys
from worker.rig import make_app, wait_until

app = make_app(__name__, task_cls="firexkit.task:FireXTask")

NOBODYS_QUEUE = f"{__name__}.nobody"


def say(key, word="go"):
    """Put a word into a list; from the test to a body, or back."""
    app.backend.client.rpush(key, word)


def hear(key, timeout=20):
    """Wait for a word and take it."""
    heard = app.backend.client.blpop(key, timeout=timeout)
    assert heard, f"nobody said {key} within {timeout} s"
    return heard[1].decode()


@app.task(returns="n")
def increase(n):
    return n + 1


@app.task(returns="took")
def take(value):
    return value


@app.task
def fail():
    raise ValueError("broken")


@app.task(returns="heard")
def listen(key):
    say(f"{key}.started")
    return hear(key)


# ── once ─────────────────────────────────────────────────────────────────────────────────


class Unsendable(FireXTask):
    """Cannot be sent, and takes its time to find out."""

    def apply_async(self, *args, **kwargs):
        say("sending")
        hear("send")
        raise OperationalError("the broker is away")


@app.task(base=Unsendable)
def unsendable():
    pass


@app.task(returns="number")
def one_of_its_kind(number):
    say("ran", number)
    return number


@app.task(bind=True, returns="got")
def ask_once(self, number):
    return self.enqueue_child_once_and_extract(one_of_its_kind.s(number), enqueue_once_key="k", return_keys="number")[0]


@app.task(bind=True)
def ask_wrongly(self):
    """The owner of the key fails before anything is sent."""
    self.enqueue_child_once(one_of_its_kind.s(), enqueue_once_key="k")


@app.task(bind=True)
def ask_slowly(self):
    self.enqueue_child_once(unsendable.s(), enqueue_once_key="k")


@app.task(bind=True, returns="got")
def ask_after_failure(self):
    """The key of an owner that failed goes to the next caller."""
    failed = self.enqueue_child(ask_wrongly.s(), block=True, raise_exception_on_failure=False)
    assert isinstance(failed.result, InvalidChainArgsException)
    return self.enqueue_child_and_get_results(ask_once.s(2), return_keys="got")[0]


@app.task(bind=True, returns="got")
def ask_beside_failure(self):
    """The key of an owner that fails goes to a caller that waits for it already."""
    self.enqueue_child(ask_slowly.s())
    hear("sending")
    guest = self.enqueue_child(ask_once.s(3))
    wait_until(lambda: app.backend.client.exists(f"{guest.id}_starttime"), what="start of the guest")
    say("send")
    self.wait_for_specific_children(guest, max_wait=10)
    return guest.result["got"]


@app.task(bind=True, returns="got")
def ask_twice(self):
    children = [self.enqueue_child(ask_once.s(number)) for number in (4, 5)]
    self.wait_for_children()
    return [child.result["got"] for child in children]


@app.task(bind=True, returns="id")
def ask_twice_myself(self):
    first, second = (self.enqueue_child_once(one_of_its_kind.s(6), enqueue_once_key="k", block=True) for _ in range(2))
    assert first.id == second.id
    return second.id


# ── chains ───────────────────────────────────────────────────────────────────────────────


@app.task(bind=True, returns="took")
def pass_all_on(self, value):
    """A child gets the whole bag, chain depth and return keys among it, and a dict of its own."""
    child = InjectArgs(**self.abog) | take.s({"own": value})
    return self.enqueue_child_and_get_results(child, return_keys="took")[0]


# ── cache ────────────────────────────────────────────────────────────────────────────────


@app.task(returns="double", use_cache=True)
def cached(number):
    say("ran", number)
    return number * 2


@app.task(bind=True, returns="doubles")
def ask_cache_in_vain(self, point_at_failure):
    """The cache names a task whose result is gone, or failed."""
    double = cached.s(4)
    first = self.enqueue_child(double, block=True)
    client = app.backend.client
    (key,) = get_current_cache_enabled_uid_dbkeys(app.backend)
    if point_at_failure:
        failed = self.enqueue_child(fail.s(), block=True, raise_exception_on_failure=False)
        client.set(key, failed.id)
    else:
        client.delete(app.backend.get_key_for_task(first.id))
    return [self.enqueue_child_and_get_results(double, return_keys="double")[0] for _ in range(2)]


# ── contexts ─────────────────────────────────────────────────────────────────────────────


@app.task(bind=True, returns="seen")
def mirror(self, number, company, levels=2):
    """What the task sees of itself, when as many others run and when it has called itself."""
    if levels:
        inner = self(number=-number, company=1, levels=levels - 1)["seen"]
        assert inner["number"] == -number
    come = app.backend.client.incr(f"company{company}")
    wait_until(lambda: int(app.backend.client.get(f"company{company}")) >= company, 15, what=f"all, was {come}")
    kept = {"number": self.bag["number"], "bound": self.bound_args["number"], "kwargs": self.kwargs["number"]}
    return {**kept, "children": len(self.enqueued_children), "id": self.request.id, "name": self.name}


# ── waits ────────────────────────────────────────────────────────────────────────────────


@app.task(bind=True)
def forget_to_wait(self):
    self.enqueue_child(fail.s())


@app.task(bind=True)
def do_not_raise(self, revoked, failing):
    """Children that nobody runs, to be revoked, beside some that fail and one that does well."""
    chains = [take.s(1), *(fail.s() for _ in range(failing)), *(take.s(1) for _ in range(revoked))]
    for chain in chains[1 + failing :]:
        chain.set_queue(NOBODYS_QUEUE)
    children = [self.enqueue_child(chain) for chain in chains]
    for child in children[1 + failing :]:
        say("id", child.id)
    self.wait_for_children(raise_exception_on_failure=False)


@app.task(bind=True)
def wait_for_listener(self, key):
    self.enqueue_child(listen.s(key), block=True, apply_async_epilogue=lambda result: say("id", result.id))


@app.task(bind=True)
def wait_for(self, task_id):
    wait_on_async_results(self.AsyncResult(task_id), caller_task=self)


@app.task(bind=True)
def wait_for_queue(self, queue):
    child = take.s(1)
    child.set_queue(queue)
    self.enqueue_child(child, block=True, check_task_worker_frequency=0.1, fail_on_worker_failures=1)


@app.task(bind=True)
def wait_and_ask(self, key):
    """Asks all workers while it waits, over and over."""
    self.enqueue_child(listen.s(key), block=True, check_task_worker_frequency=0.1)


@app.task
def doze(seconds):
    time.sleep(seconds)


@app.task
def until_file(directory):
    Path(directory, "started").touch()
    wait_until(Path(directory, "end").exists, 30, what="file named end")


@app.task(bind=True, returns="waited")
def wait_for_file(self, directory):
    self.enqueue_child(until_file.s(directory), block=True)
    return True
