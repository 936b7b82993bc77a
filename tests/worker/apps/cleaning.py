"""Tasks that clean up after a child that was revoked, as long as a test wants, and tell how far they are."""

import os

from firexkit import FireX
from firexkit.result import ChainRevokedException
from worker.rig import BROKER

app = FireX(__name__, broker=os.environ[BROKER], backend=os.environ[BROKER], set_as_current=False)
app.conf.task_default_queue = __name__
PATIENCE = 30


def tell(key, word):
    app.backend.client.rpush(f"{key}.told", word)


def await_leave(key):
    app.backend.client.rpush(f"{key}.process", os.getpid())
    app.backend.client.blpop(f"{key}.leave", timeout=PATIENCE)


@app.task(bind=True)
def cleans_up(self, key):
    try:
        self.enqueue_child(sleeps.s(key), block=True)
    finally:
        tell(key, "cleans up")
        await_leave(key)
        tell(key, "is clean")


@app.task(bind=True)
def goes_on(self, key):
    try:
        self.enqueue_child(sleeps.s(key), block=True)
    except ChainRevokedException:
        tell(key, "cleans up")
        await_leave(key)
    try:
        tell(key, "goes on")
        app.backend.client.blpop(f"{key}.never", timeout=PATIENCE)
    finally:
        tell(key, "is ended")


@app.task(bind=True)
def sleeps(self, key):
    app.backend.client.rpush(f"{key}.child", self.request.id)
    app.backend.client.blpop(f"{key}.never", timeout=PATIENCE)
