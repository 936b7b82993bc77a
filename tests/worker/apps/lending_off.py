"""The same tasks in a worker that was told to lend no slots."""

from worker.apps.lending import app

app.conf.firexkit_lend_slots = False
