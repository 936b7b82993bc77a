"""Tasks that are enqueued once, and tasks with cached results; each body counts itself and gives a value of its own."""

from uuid import uuid4

from firexkit.app import lend_slots
from firexkit.chain import InjectArgs
from firexkit.result import WaitOnChainTimeoutError
from firexkit.task import FireXTask, PendingChildStrategy
from worker.rig import make_app

DOOMED = f"{__name__}.doomed"
"""The queue of a worker that is going to be killed."""

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.update(firexkit_lease_time=1, task_track_started=True)
lend_slots(app)


def say(key, word="go"):
    """Put a word into a list; from the test to a body, or back."""
    app.backend.client.rpush(key, word)


def hear(key, timeout=20):
    """Wait for a word and take it."""
    heard = app.backend.client.blpop(key, timeout=timeout)
    assert heard, f"nobody said {key} within {timeout} s"
    return heard[1].decode()


def bodies(key):
    """How many bodies have begun."""
    return int(app.backend.client.get(f"{key}.bodies") or 0)


def begin(key):
    """Count a body; which one it is."""
    return app.backend.client.incr(f"{key}.bodies")


def values(children, name):
    """What each of some children returned; None for one that failed."""
    return [child.result[name] if child.successful() else None for child in children]


# ── once ─────────────────────────────────────────────────────────────────────────────────


@app.task(returns="value")
def only_one(key):
    begin(key)
    return uuid4().hex


@app.task(returns="value")
def and_after(key, value):
    begin(f"{key}.after")
    return f"{value} and after"


class Stalling(FireXTask):
    """Takes its time to be sent."""

    def apply_async(self, *args, **kwargs):
        say("sending")
        hear("send")
        return super().apply_async(*args, **kwargs)


@app.task(base=Stalling, returns="value")
def slowly_sent(key):
    begin(key)
    return uuid4().hex


@app.task(bind=True, returns="got")
def ask(self, key, in_chain=False):
    chain = only_one.s(key) | and_after.s(key=key) if in_chain else only_one.s(key)
    return self.enqueue_child_once_and_extract(chain, enqueue_once_key=key, return_keys="value")[0]


@app.task(bind=True, returns="got")
def ask_slowly(self, key):
    return self.enqueue_child_once_and_extract(slowly_sent.s(key), enqueue_once_key=key, return_keys="value")[0]


@app.task(bind=True, returns="got")
def ask_for_nothing(self):
    """Arguments alone are nothing to send."""
    return [self.enqueue_child_once(InjectArgs(x=1), enqueue_once_key="k") for _ in range(2)]


@app.task(bind=True, returns="got")
def ask_all(self, keys):
    got = [self.enqueue_child_once(only_one.s(key), enqueue_once_key=key, block=True) for key in keys]
    return [one.result["value"] for one in got]


@app.task(bind=True, returns="got")
def ask_with_limit(self, key):
    try:
        self.enqueue_child_once(only_one.s(key), enqueue_once_key=key, block=True, max_wait=0.3)
    except WaitOnChainTimeoutError as error:
        return str(error)


@app.task(bind=True, returns="got", on_lost="retry", acks_late=True)
def ask_again_if_lost(self, key):
    """What it has sent is its child, in whichever body: without a wait of its own it ends after it."""
    self.enqueue_child_once(only_one.s(key), enqueue_once_key=key)
    return [child.id for child in self.pending_enqueued_children]


@app.task(bind=True, returns="got")
def race(self, callers):
    """The callers come at the same time; one of them may fail."""
    children = self.enqueue_in_parallel([app.signature(caller) for caller in callers])
    return values(children, "got")


@app.task(bind=True, returns="got", pending_child_strategy=PendingChildStrategy.Continue)
def after_a_stalled_one(self, first, others):
    """The others come when the first has the key and sends."""
    self.enqueue_child(app.signature(first))
    hear("sending")
    children = [self.enqueue_child(app.signature(other)) for other in others]
    say("others", len(children))
    self.wait_for_specific_children(children)
    return values(children, "got")


# ── cache ────────────────────────────────────────────────────────────────────────────────


@app.task(use_cache=True, returns="value")
def compute(key):
    begin(key)
    return uuid4().hex


@app.task(use_cache=True, returns="value")
def compute_when_told(key):
    body = begin(key)
    say(f"{key}.begun", body)
    hear(f"{key}.{body}")
    return uuid4().hex


@app.task(use_cache=True, returns="value")
def fail_first(key):
    body = begin(key)
    hear(f"{key}.{body}")
    if body == 1:
        raise ValueError("the first one fails")
    return uuid4().hex


@app.task(bind=True, use_cache=True, returns="value")
def compute_with_child(self, key):
    begin(key)
    return self.enqueue_child_and_get_results(only_one.s(f"{key}.child"), return_keys="value")[0]


@app.task(bind=True, use_cache=True, returns="value")
def compute_through_itself(self, key):
    """The same call again, one below the other, until there are three."""
    if begin(key) < 3:
        return self.enqueue_child_and_get_results(compute_through_itself.s(key), return_keys="value")[0]
    return "the end"


@app.task(bind=True, returns="got")
def call_together(self, call, times):
    children = self.enqueue_in_parallel([app.signature(call) for _ in range(times)], max_parallel_chains=times)
    return values(children, "value")


@app.task(bind=True, returns="got")
def call_again_without_source(self, key, times, forgets):
    """A first call, whose result is gone then; and others at the same time."""
    first = self.enqueue_child(compute.s(key), block=True)
    if forgets:
        self.forget_child_result(first, do_not_forget_cache_enabled_tasks_results=False)
    else:
        app.backend.client.delete(app.backend.get_key_for_task(first.id))
    return [first.id, *values(self.enqueue_in_parallel([compute.s(key) for _ in range(times)]), "value")]


@app.task(bind=True, returns="got", pending_child_strategy=PendingChildStrategy.Continue)
def call_after_doomed(self, key, times):
    """The first call is computed by a worker that is going to be killed."""
    source = self.enqueue_child(compute_when_told.s(key).set(queue=DOOMED))
    hear(f"{key}.begun")
    children = [self.enqueue_child(compute_when_told.s(key)) for _ in range(times)]
    say("source", source.id)
    self.wait_for_specific_children(children)
    return values(children, "value")
