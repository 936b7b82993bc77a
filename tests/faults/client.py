"""A client in a process of its own: what it is asked comes as lines of JSON, and so go its answers.

It waits without a limit of its own: whether a wait hangs is for the test to say, which can then end the process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from faults.flows import named
from firexkit.result import wait_on_async_results
from firexkit.revoke import revoke_result
from firexkit.runtime import broker
from firexkit.runtime.preparation import Sources, loaded_app

FLOWS = "faults.flows"
MOST_CAUSES = 30


class Client:
    """What the process does."""

    def __init__(self, address: str) -> None:
        self._app = loaded_app(Sources([FLOWS]))
        self._app.set_default()
        broker.use(self._app, address)
        self._output = threading.Lock()

    def serve(self) -> None:
        """Answer each line, all at the same time, until no more come."""
        self._say(ready=True)
        for line in sys.stdin:
            threading.Thread(target=self._answer, kwargs=json.loads(line), daemon=True).start()

    def _answer(self, number: int, do: str, **given: Any) -> None:
        try:
            self._say(number=number, value=getattr(self, do)(**given))
        except BaseException as error:
            self._say(number=number, error=told(error))

    def _say(self, **words: Any) -> None:
        with self._output:
            print(json.dumps(words), flush=True)

    # ── what it can be asked ──────────────────────────────────────────────────────────────

    def send(self, task: str, arguments: dict[str, Any], queue: str | None = None) -> str:
        """Send a task; its id."""
        return self._app.tasks[f"{FLOWS}.{task}"].s(**arguments).apply_async(queue=queue).id

    def wait(self, task_id: str, returns: str) -> Any:
        """What a task returns under a name."""
        result = self._app.AsyncResult(task_id)
        wait_on_async_results(result)
        return named(result, returns)

    def run(self, task: str, arguments: dict[str, Any], returns: str) -> Any:
        """Send a task and wait for what it returns under a name."""
        result = self._app.tasks[f"{FLOWS}.{task}"].s(**arguments).apply_async()
        wait_on_async_results(result)
        return named(result, returns)

    def revoke(self, task_id: str) -> None:
        """Revoke a task."""
        revoke_result(self._app.AsyncResult(task_id))


def told(error: BaseException | None) -> list[str]:
    """An error, the failures in it and their causes, each with its class and text."""
    if error is None:
        return []
    failures = getattr(error, "failures", None) or []
    below = [line for cause in [error.__cause__, *failures] for line in told(cause)]
    return [f"{type(error).__name__}: {error}", *below][:MOST_CAUSES]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        Client(os.environ["FIREXKIT_FAULTS_BROKER"]).serve()
    os._exit(0)  # connections to a broker that is away must not keep it
