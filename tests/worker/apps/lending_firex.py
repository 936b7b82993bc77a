"""A FireX app as users make it."""

import os

from firexkit import FireX
from worker.rig import BROKER

app = FireX(__name__, broker=os.environ[BROKER], backend=os.environ[BROKER], set_as_current=False)
app.conf.task_default_queue = __name__
