"""Tasks that meet an outage: they send, end, wait and revoke while the broker is away."""

import time
from pathlib import Path

from firexkit import returns
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.task_acks_late = True


@app.task
@returns("value")
def noted(directory, name, seconds=0.0):
    """Note each start in a file, and take some time."""
    with (Path(directory) / f"{name}.started").open("a") as file:
        file.write("x")
    time.sleep(seconds)  # the task's work
    return name


@app.task(bind=True)
@returns("value")
def sending(self, directory, name):
    """Send a child once there is a file, and wait for it."""
    until(Path(directory) / f"{name}.go")
    child = noted.s(directory=directory, name=f"{name}-child")
    return self.enqueue_child_and_extract(child)["value"]


@app.task(bind=True)
@returns("value")
def sending_a_chain(self, directory, name):
    """The same with a chain of two."""
    until(Path(directory) / f"{name}.go")
    chain = noted.s(directory=directory, name=f"{name}-first") | noted.si(directory=directory, name=f"{name}-second")
    return self.enqueue_child_and_extract(chain)["value"]


@app.task(bind=True)
@returns("value")
def telling(self, directory, name):
    """Send events in the outage; tell how long that took."""
    until(Path(directory) / f"{name}.go")
    start = time.monotonic()
    for number in range(20):
        self.send_event("task-test", number=number)
    return time.monotonic() - start


@app.task(bind=True)
@returns("value")
def waiting(self, directory, name, seconds):
    """Wait for a child that runs for some seconds."""
    child = noted.s(directory=directory, name=f"{name}-child", seconds=seconds)
    return self.enqueue_child_and_extract(child)["value"]


@app.task(bind=True)
@returns("value")
def revoking(self, directory, name):
    """Revoke a child that runs, once there is a file."""
    child = self.enqueue_child(noted.s(directory=directory, name=f"{name}-child", seconds=120))
    until(Path(directory) / f"{name}-child.started")
    until(Path(directory) / f"{name}.go")
    self.revoke_child(child)
    return child.id


def until(path):
    """Wait for a file: nothing else tells in an outage."""
    while not path.exists():
        time.sleep(0.02)
