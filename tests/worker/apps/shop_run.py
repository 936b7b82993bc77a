"""A run's app with the tasks of a file that has Celery apps of its own."""

import os
from pathlib import Path

from firexkit.app import FireX
from firexkit.runtime.loading import load_tasks
from worker.rig import BACKEND, BROKER

app = FireX(__name__, broker=os.environ[BROKER], backend=os.environ[BACKEND], set_as_current=False)
app.conf.task_default_queue = __name__
load_tasks(app, [Path(__file__).parents[1] / "sources" / "plain_shop.py"])
