"""FireX tasks that take, give, change and pass on values above the threshold."""

import hashlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from celery import Task

from firexkit.argument_conversion import ConverterRegister, SingleArgDecorator
from firexkit.chain import InjectArgs
from firexkit.task import FireXTask, flame
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.result_expires = 1000
if "LARGE_VALUES" in os.environ:
    app.conf.firexkit_large_values = int(os.environ["LARGE_VALUES"])
LIMIT = 64 * 1024


@dataclass
class Build:
    name: str
    log: list[str]
    at: Path


TEXT = "text é " * 20_000
VALUES = {
    "text": TEXT,
    "bytes": bytes(range(256)) * 500,
    "list": [TEXT[:1000]] * 100,
    "dict": {"numbers": list(range(50_000)), (1, 2): {b"\xff"}},
    "dataclass": Build("b", ["line"] * 20_000, Path("/a")),
}


def digest(value):
    """What tells one large value from another, in a few characters."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def text(word):
    """A large text, another for each word."""
    return word + "." * LIMIT


# ── links of chains ──────────────────────────────────────────────────────────────────────


@app.task(returns="value")
def give(name) -> Build:
    """One return that may be a tuple's worth."""
    return (VALUES[name],)


@app.task(returns="big")
def make(word):
    return text(word)


@app.task(returns="passed")
def pass_on(passed=0):
    """A link that takes none of the large values."""
    return passed + 1


@app.task(returns="heard")
def hold(key):
    """Waits for a word from the test."""
    return app.backend.client.blpop(key, timeout=20)[1].decode()


@app.task(returns="seen")
def look(value):
    return digest(value)


@app.task(returns="seen")
def look_at_all(**rest):
    return {name: digest(value) for name, value in rest.items() if name in ("value", "big", "other")}


@app.task(bind=True, returns="seen")
def look_into_bag(self, name):
    """What each way to the bag gives, with the value taken from there."""
    return {
        "abog": digest(self.abog[name]),
        "abog.get": digest(self.abog.get(name)),
        "all abog": digest({**self.abog}[name]),
        "bag": digest(self.bag[name]),
        "bag items": digest(dict(self.bag.items())[name]),
    }


@app.task(bind=True, returns="seen")
def look_at_arguments(self, value, other=None):
    views = self.args, self.kwargs, self.bound_args, dict(self.all_args)
    return [digest(view["value"] if isinstance(view, dict) else view[0]) for view in views if view]


@app.task(returns="lines")
def add_line(value):
    """Changes its argument in place."""
    value.append("added")
    return len(value)


@app.task(returns=("big", "other"))
def give_again(big):
    """Returns what it got, under two names."""
    return big, big


@app.task(returns="shouted")
def shout(big):
    return digest(big)


@ConverterRegister.register_for_task(shout)
@SingleArgDecorator("big")
def upper(value):
    return value.upper()


@app.task(returns="shown")
@flame("big", formatter=lambda value: value[:3])
def show():
    """Shows one value of the bag, which it does not take."""
    return True


# ── children ─────────────────────────────────────────────────────────────────────────────


@app.task(bind=True, returns="seen")
def send_to_many(self, big, count):
    """Children that all get one value of this task's own."""
    own = text("own")
    results = self.enqueue_in_parallel([look_two.s(own, big=big) for _ in range(count)])
    return [result.result["seen"] for result in results]


@app.task(returns="seen")
def look_two(own, big):
    return [digest(own), digest(big)]


@app.task(bind=True, returns="seen")
def inherit(self):
    """A child that gets the whole bag."""
    (seen,) = self.enqueue_child_and_get_results(InjectArgs(**self.abog) | look_at_all.s(), return_keys="seen")
    return seen


@app.task(bind=True, returns="got")
def take_and_forget(self, word):
    """A child whose large result is used here, and which is forgotten."""
    (big,) = self.enqueue_child_and_get_results(
        pass_on.s(other=text("in")) | make.s(word), return_keys="big", forget=True
    )
    return digest(big)


@app.task(bind=True, returns="got")
def return_from_child(self, word):
    (big,) = self.enqueue_child_and_get_results(make.s(word), return_keys="big", forget=True)
    return (big,)


# ── attempts ─────────────────────────────────────────────────────────────────────────────


@app.task(bind=True, max_retries=2, returns=("seen", "attempts"))
def try_again(self, big):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return digest(big), self.request.retries


@app.task(bind=True, max_retries=1, returns=("seen", "big"))
def try_with_other(self, big, other=None):
    """A retry with arguments that this attempt chooses."""
    if other is None:
        raise self.retry(kwargs={"other": text("other")}, args=(big,), countdown=0)
    return [digest(big), digest(other)], big


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True, returns="seen")
def die_once(self, big):
    """Its first attempt ends its process in the middle."""
    if app.backend.client.incr(f"attempts {self.request.id}") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return digest(big)


@app.task(returns="computed", use_cache=True)
def compute(big):
    app.backend.client.incr("computed")
    return text("computed")


@app.task(bind=True, returns="seen")
def compute_twice(self, big):
    bags = [self.enqueue_child_and_get_results(compute.s(big)) for _ in range(2)]
    return [digest(bag["computed"]) for bag in bags]


# ── others ───────────────────────────────────────────────────────────────────────────────


@app.task(base=Task)
def plain(bag):
    """A task of plain Celery gets plain JSON."""
    return {**bag, "seen": digest(bag["big"])}


@app.task(base=Task)
def plain_sum(bags):
    return [digest(bag["big"]) for bag in bags]


class Hooked(FireXTask):
    """Tells in the backend what Celery's hooks are given."""

    def on_success(self, retval, task_id, args, kwargs):
        self.app.backend.client.rpush(f"hooked {task_id}", digest(retval["big"]), digest(dict(retval)["big"]))


@app.task(base=Hooked, returns="done")
def hooked():
    return True


@app.task(returns="got")
def note(bag, key):
    """A callback: it gets what the task before returned as its first argument."""
    app.backend.client.rpush(key, digest(bag["big"]))
    return key
