"""Tasks of an app that tracks starts, so that a result tells which worker holds it."""

from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")
app.conf.task_track_started = True


@app.task
def hold(key):
    app.backend.client.blpop(key, timeout=60)
