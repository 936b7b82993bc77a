"""An app of its own for tests of plugins; this module loads none."""

from __future__ import annotations

import os
from typing import Any

from firexkit.app import FireX
from worker.rig import BACKEND, BROKER

app = FireX(__name__, broker=os.environ[BROKER], backend=os.environ[BACKEND], set_as_current=False)
app.conf.task_default_queue = __name__


@app.task(bind=True, shared=False, returns="colour")
def paint(self: Any, red: int) -> list[str]:
    """Who paints, and how."""
    return [f"{self.name} {red}"]


@app.task(bind=True, shared=False, returns="colour", autoretry_for=(LookupError,), default_retry_delay=0.5)
def varnish(self: Any) -> str:
    """Done at the second attempt."""
    if not self.request.retries:
        raise LookupError("no brush")
    return f"{self.name} {self.request.retries}"


@app.task(shared=False, returns="framed")
def frame(colour: Any) -> Any:
    """What is framed."""
    return colour


@app.task(bind=True, shared=False, returns=("first", "then"))
def decorate(self: Any) -> tuple[Any, Any]:
    """What children return that were sent under the task's name, alone and in a chain."""
    (first,) = self.enqueue_child_and_get_results(paint.s(1), return_keys="colour")
    (then,) = self.enqueue_child_and_get_results(paint.s(2) | frame.s(), return_keys="framed")
    return first, then
