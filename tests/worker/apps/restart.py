"""Plain Celery tasks in a worker that our mends are installed in, for tests that kill the broker."""

import time
from pathlib import Path

from firexkit._celery import recovery
from worker.rig import make_app

recovery.install()
app = make_app(__name__)


@app.task
def add(x, y):
    return x + y


@app.task
def body(directory, name, seconds):
    """Note the start and the end of each run of a body."""
    note(directory, name, "started")
    time.sleep(seconds)
    note(directory, name, "ended")
    return "the body's result"


@app.task(acks_late=True)
def late_body(directory, name, seconds):
    return body(directory, name, seconds)


@app.task(time_limit=6)
def limited_body(directory, name, seconds):
    return body(directory, name, seconds)


def note(directory, name, what):
    with Path(directory, f"{name}.{what}").open("a") as file:
        file.write("x")
