"""How a side's client is told what to do: one JSON line in, one JSON line out. Imports neither Celery nor firexkit."""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

Verb = Callable[..., dict[str, Any]]
_verbs: Final[dict[str, Verb]] = {}


def verb(function: Verb) -> Verb:
    """Let the function be asked for by its name."""
    _verbs[function.__name__] = function
    return function


def milliseconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = perf_counter()
    action()
    return (perf_counter() - start) * 1e3


def serve(*, imports_firexkit: bool) -> None:
    """Answer requests `{"verb": …, "arguments": {…}}` until the pipe closes; what is printed goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"value": _verbs[request["verb"]](**request["arguments"])}
            check_imports(imports_firexkit)
        except Exception:
            answer = {"error": traceback.format_exc()}
        gc.collect()  # Celery's results unsubscribe when they go: the workload that made them pays, not the next one
        print(json.dumps(answer), file=answers)


def check_imports(imports_firexkit: bool) -> None:
    """Importing firexkit patches Celery: only firexkit's own side may have done it.

    Raises:
        RuntimeError: if this process is not what its side must be.
    """
    if ("firexkit" in sys.modules) is not imports_firexkit:
        raise RuntimeError(f"firexkit imported: {not imports_firexkit}; this side measures something else")
