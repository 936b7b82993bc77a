"""Parents that forget what their children left, and children whose results others may still ask for."""

from firexkit.report import report
from firexkit.result import get_task_postrun_info
from worker.rig import keys_of_tasks, make_app, wait_until

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


def keys_now():
    return keys_of_tasks(app.backend.client)


def wait_for_last_records(results):
    """A task's process may still write when its result is there."""
    wait_until(lambda: all(map(get_task_postrun_info, results)), what="end of the bodies")


@app.task(returns="doubled")
def double(number):
    return number * 2


@app.task(returns="kept", use_cache=True)
def remember(number):
    return number


@report("reported")
@app.task(returns="reported")
def tell(number):
    return number


@app.task(returns="cargo")
def load(weight):
    return "x" * weight


@app.task(bind=True, returns="total")
def branch(self, number):
    """A tree: below each member of a chain there is one more task."""
    return self.enqueue_child_and_get_results(double.s(number), return_keys="doubled")[0]


@app.task(bind=True, returns=("made", "left", "commands", "tracked"))
def forget_many(self, number):
    """Send that many trees, wait for all, forget them at once."""
    before = keys_now()
    self.enqueue_in_parallel([branch.s(at) | double.s("@total") for at in range(number)], max_parallel_chains=2)
    self.wait_for_children()
    results = [*self.enqueued_children, *(result.parent for result in self.enqueued_children)]
    wait_for_last_records(results)
    made = keys_now() - before
    client = app.backend.client
    client.config_resetstat()
    self.forget_enqueued_children_results()
    commands = {name.removeprefix("cmdstat_"): told["calls"] for name, told in client.info("commandstats").items()}
    return len(made), sorted(keys_now() - before), commands, len(self.enqueued_children)


@app.task(bind=True, returns=("kept", "dropped"))
def forget_needed(self, **options):
    """Send one child of each kind that others may need, and one that nobody needs, and forget them together."""
    children = {
        "once": self.enqueue_child_once(branch.s(1), enqueue_once_key="k", block=True),
        "cached": self.enqueue_child(remember.s(2), block=True),
        "reported": self.enqueue_child(tell.s(3), block=True),
        "plain": self.enqueue_child(double.s(4), block=True),
    }
    wait_for_last_records(children.values())
    self.forget_specific_children_results(list(children.values()), **options)
    left = {kind for kind, child in children.items() if app.backend.client.exists(f"celery-task-meta-{child.id}")}
    return sorted(left), sorted(children.keys() - left)
