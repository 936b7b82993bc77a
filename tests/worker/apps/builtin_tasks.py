"""The tasks that come with the kit in an app with a few of its own, and failures with exit codes."""

import firexkit.tasks  # noqa: F401 - adds its tasks to every app
from firexkit.firex_exceptions import FireXReturnCodeException
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


class BuildFailed(FireXReturnCodeException):
    """A kind of its own, with a constructor of its own."""

    def __init__(self, target):
        super().__init__(9, f"{target} does not build")


@app.task(returns="size")
def size_target(target):
    return len(target)


@app.task(returns="double")
def double_size(size):
    return 2 * size


@app.task
def fail_target(target):
    raise BuildFailed(target)


@app.task
def miss_target(target):
    raise ValueError(target)


@app.task(bind=True)
def failing_parent(self, target):
    self.enqueue_child(fail_target.s(target), block=True)


@app.task(bind=True)
def failing_parent_of_many(self, target):
    self.enqueue_in_parallel([miss_target.s(target), fail_target.s(target)], raise_exception_on_failure=True)
