"""A run with reports: tasks that succeed and fail, one that is replaced in the registry, one of another run."""

from firexkit.report import report, report_data
from firexkit.task import FireXTask
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


@report_data("owners", table=dict)
@app.task(returns="owners")
def find_owners():
    return [("parser", "Ada"), ("printer", "Bob")]


@report("seconds", text="{:.1f} s".format)
@report("size", priority=-1)
@app.task(returns=("seconds", "size"))
def build(target):
    return len(target) / 4, len(target)


@report("seconds")
@app.task(returns="seconds")
def fail(target):
    raise ValueError(f"{target} does not build")


@report("size")
@app.task(returns=FireXTask.DYNAMIC_RETURN)
def measure(target):
    return {"weight": len(target)}


@app.task
def unreported():
    """Nothing of it is in any report."""


@app.task(bind=True)
def root(self):
    """One task after the other, so that they start in this order; what was forgotten is reported all the same."""
    for chain in (build.s("printer"), fail.s("scanner"), build.s("parser"), find_owners.s(), measure.s("m")):
        self.enqueue_child(chain, block=True, raise_exception_on_failure=False)
    self.enqueue_child(unreported.s(), block=True, forget=True)
    self.forget_enqueued_children_results()
