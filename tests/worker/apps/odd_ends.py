"""Tasks whose end is not what it seems at first."""

from pathlib import Path

from celery import Task

from firexkit.chain import returns
from worker.rig import make_app

app = make_app(__name__, task_cls="firexkit.task:FireXTask")


class TwoPartError(Exception):
    """Takes more than it gives to its base."""

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


class KeywordError(Exception):
    """Takes keywords only."""

    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code


@app.task
@returns("value")
def final():
    return 7


@app.task(bind=True)
@returns("value")
def replaced(self):
    return self.replace(final.s().set(countdown=0.5))


@app.task(bind=True, ignore_result=True, max_retries=1)
def silent_second_attempt(self, key):
    if not self.request.retries:
        raise self.retry(countdown=0.5)
    app.backend.client.rpush(key, "done")


@app.task
def two_parts():
    try:
        raise KeyError("k")
    except KeyError as error:
        raise TwoPartError("x", [1]) from error


@app.task
def keywords():
    raise KeywordError(code=3)


@app.task
@returns("path")
def locate():
    return Path("/srv")


@app.task(base=Task)
def plain(bag):
    return bag


@app.task
@returns("closed")
def close(*rest, path):
    app.backend.client.rpush("closed", type(path).__name__)
    return True
