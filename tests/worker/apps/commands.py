"""Tasks that run commands."""

from firexkit import process
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


@app.task(returns="output")
def command(script, **options):
    return process.check_output(script, **options)


@app.task(time_limit=2)
def limited(script, **options):
    process.run(script, **options)


@app.task(soft_time_limit=1)
def softly_limited(script, **options):
    process.run(script, **options)
