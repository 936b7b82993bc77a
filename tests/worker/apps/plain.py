"""Plain Celery tasks, to test the rig itself and what Celery does without us."""

import os
import time
from pathlib import Path

from worker.rig import make_app

app = make_app(__name__)


@app.task
def add(x, y):
    return x + y


@app.task
def pid():
    return os.getpid()


@app.task
def long_body(directory, seconds):
    """Leave a file when the body starts and one when it ends."""
    Path(directory, "started").touch()
    time.sleep(seconds)
    Path(directory, "ended").touch()
    return "the body's result"
