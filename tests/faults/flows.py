"""The flows that faults strike. Loaded by `firex worker -t faults.flows` and by the client's process."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import zlib
from typing import Any, Final

from faults import stacks
from faults.ledger import body, directory, read
from firexkit import FireX, returns
from firexkit.result import ChainRevokedException, WaitOnChainTimeoutError, get_results

MODE: Final = "FIREXKIT_FAULTS_MODE"
LEASE: Final = "FIREXKIT_FAULTS_LEASE"
POLL: Final = 0.05

app = FireX(
    "faults",
    firexkit_on_lost=os.environ.get(MODE, "retry"),
    firexkit_lease_time=float(os.environ.get(LEASE, "3")),
)
if "FIREXKIT_FAULTS_DIRECTORY" in os.environ:
    stacks.offer(directory())


def named(result: Any, name: str) -> Any:
    """What a task has returned under a name."""
    (value,) = get_results(result, (name,))
    return value


def value_of(key: str) -> int:
    """What a task at a place in a flow is worth."""
    return zlib.crc32(key.encode()) % 1000


# ── the tree: 1 → 3 → 9 ──────────────────────────────────────────────────────────────────


@app.task(bind=True)
@returns("total")
def tree(self: Any, key: str, widths: list[int], seconds: float):
    """What all places at and below this one are worth; leaves take time."""
    with body(self, key) as told:
        told["value"] = value_of(key)
        if widths:
            below = [tree.s(key=f"{key}.{n}", widths=widths[1:], seconds=seconds) for n in range(widths[0])]
            sent = self.enqueue_in_parallel(below, raise_exception_on_failure=True)
            told["value"] += sum(named(child, "total") for child in sent)
        else:
            time.sleep(seconds)
    return told["value"]


def tree_value(key: str, widths: list[int]) -> int:
    """What the tree must return."""
    below = [f"{key}.{n}" for n in range(widths[0])] if widths else []
    return value_of(key) + sum(tree_value(child, widths[1:]) for child in below)


# ── four tasks: a parent, a chain of two, one beside it ──────────────────────────────────


@app.task(bind=True)
@returns("total")
def parent(self: Any, key: str, seconds: float = 0.0):
    """What the four are worth."""
    with body(self, key) as told:
        chain = self.enqueue_child(first.s(key_of_first=f"{key}.first") | second.s(key_of_second=f"{key}.second"))
        aside = self.enqueue_child(beside.s(key=f"{key}.beside", seconds=seconds))
        self.wait_for_children(raise_exception_on_failure=True)
        told["value"] = value_of(key) + named(chain, "two") + named(aside, "worth")
    return told["value"]


@app.task(bind=True)
@returns("one")
def first(self: Any, key_of_first: str):
    """Worth itself."""
    with body(self, key_of_first) as told:
        told["value"] = value_of(key_of_first)
    return told["value"]


@app.task(bind=True)
@returns("two")
def second(self: Any, one: int, key_of_second: str):
    """Worth itself and the one before."""
    with body(self, key_of_second) as told:
        told["value"] = one + value_of(key_of_second)
    return told["value"]


@app.task(bind=True)
@returns("worth")
def beside(self: Any, key: str, seconds: float = 0.0):
    """Worth itself, after some time."""
    with body(self, key) as told:
        time.sleep(seconds)
        told["value"] = value_of(key)
    return told["value"]


def parent_value(key: str) -> int:
    """What the four must return."""
    return sum(value_of(place) for place in (key, f"{key}.first", f"{key}.second", f"{key}.beside"))


@app.task(bind=True, max_retries=1)
@returns("worth")
def flaky(self: Any, key: str):
    """Worth what the four are, which its second attempt sends; the first one asks for that."""
    with body(self, f"{key}.try{self.request.retries}") as told:
        if not self.request.retries:
            raise self.retry(countdown=0)
        sent = self.enqueue_child(parent.s(key=key), block=True, raise_exception_on_failure=True)
        told["value"] = named(sent, "total")
    return told["value"]


# ── once and cache ───────────────────────────────────────────────────────────────────────


@app.task(bind=True)
@returns("answers")
def several(self: Any, key: str, how: str, callers: int, gate: str = ""):
    """What so many callers are answered, each a task of its own."""
    with body(self, key) as told:
        asking = [ask.s(key=f"{key}.{n}", about=f"{key}.answer", how=how, gate=gate) for n in range(callers)]
        sent = self.enqueue_in_parallel(asking, raise_exception_on_failure=True)
        told["value"] = [named(child, "answer") for child in sent]
    return told["value"]


@app.task(bind=True)
@returns("answer")
def ask(self: Any, key: str, about: str, how: str, gate: str = ""):
    """What all callers get: of a task that is sent once, or of a cached one."""
    with body(self, key) as told:
        wait_for(gate)
        if how == "once":
            sent = self.enqueue_child_once(
                answer.s(about=about), enqueue_once_key=about, block=True, raise_exception_on_failure=True
            )
        else:
            sent = self.enqueue_child(answer_kept.s(about=about), block=True, raise_exception_on_failure=True)
        told["value"] = named(sent, "worth")
    return told["value"]


@app.task(bind=True)
@returns("worth")
def answer(self: Any, about: str):
    """Another value in each body, so that who got whose can be told."""
    with body(self, about) as told:
        told["value"] = f"{about} by {os.getpid()} at {time.monotonic_ns()}"
    return told["value"]


@app.task(bind=True, use_cache=True)
@returns("worth")
def answer_kept(self: Any, about: str):
    """The same, kept."""
    with body(self, about) as told:
        told["value"] = f"{about} by {os.getpid()} at {time.monotonic_ns()}"
    return told["value"]


# ── ways to wait for a task whose worker dies ────────────────────────────────────────────

DOOMED: Final = "doomed"
"""The queue of a worker that dies."""


@app.task(bind=True)
@returns("worth")
def waits(self: Any, key: str, way: str):
    """Wait in some way for a task that runs elsewhere."""
    with body(self, key) as told:
        told["value"] = WAYS[way](self, key)
    return told["value"]


def _doomed(key: str, number: int = 0) -> Any:
    return gated.s(key=f"{key}.child{number}", gate="never").set(queue=DOOMED)


def _wait_for_any(task: Any, key: str) -> Any:
    task.enqueue_child(_doomed(key))
    return [named(child, "worth") for child in task.wait_for_any_children()]


def _wait_for_cached(task: Any, key: str) -> Any:
    """For one that has the answer to come; another call of it is under way in the other worker."""
    about = {"key": f"{key}.child0", "gate": "opened at death"}
    under_way = task.enqueue_child(gated_kept.s(**about).set(queue=DOOMED))
    while not any(line.key == about["key"] for line in read(directory())):
        time.sleep(POLL)
    again = task.enqueue_child(gated_kept.s(**about), block=True, raise_exception_on_failure=True)
    task.revoke_child(under_way)
    return named(again, "worth")


_RAISING: Final = {"raise_exception_on_failure": True}
WAYS: Final[dict[str, Any]] = {
    "block": lambda task, key: task.enqueue_child(_doomed(key), block=True, **_RAISING),
    "any": _wait_for_any,
    "parallel": lambda task, key: task.enqueue_in_parallel([_doomed(key), _doomed(key, 1)], **_RAISING),
    "window": lambda task, key: task.enqueue_in_parallel(
        [_doomed(key), _doomed(key, 1)], max_parallel_chains=1, **_RAISING
    ),
    "once": lambda task, key: task.enqueue_child_once(_doomed(key), enqueue_once_key=key, block=True, **_RAISING),
    "cached": _wait_for_cached,
    "chain": lambda task, key: task.enqueue_child(
        first.s(key_of_first=f"{key}.first") | _doomed(key), block=True, **_RAISING
    ),
}


@app.task(bind=True, use_cache=True)
@returns("worth")
def gated_kept(self: Any, key: str, gate: str):
    """Worth itself when the gate opens, and kept."""
    with body(self, key) as told:
        wait_for(gate)
        told["value"] = value_of(key)
    return told["value"]


# ── what happens inside an outage: bodies go on when the gate's file is there ────────────


def wait_for(gate: str) -> None:
    """Wait until a file is there; none for an empty name."""
    while gate and not (directory() / gate).exists():
        time.sleep(POLL)


@app.task(bind=True)
@returns("worth")
def gated(self: Any, key: str, gate: str, seconds: float = 0.0):
    """Worth itself; the body ends some seconds after the gate opens."""
    with body(self, key) as told:
        wait_for(gate)
        time.sleep(seconds)
        told["value"] = value_of(key)
    return told["value"]


@app.task(bind=True)
@returns("total")
def sender(self: Any, key: str, gate: str):
    """Send a child when the gate opens, and wait for it."""
    with body(self, key) as told:
        wait_for(gate)
        sent = self.enqueue_child(beside.s(key=f"{key}.child"), block=True, raise_exception_on_failure=True)
        told["value"] = value_of(key) + named(sent, "worth")
    return told["value"]


@app.task(bind=True)
@returns("total")
def waiter(self: Any, key: str, gate: str, seconds: float = 0.0):
    """Wait for a child whose body ends some seconds after the gate opens."""
    with body(self, key) as told:
        child = gated.s(key=f"{key}.child", gate=gate, seconds=seconds)
        sent = self.enqueue_child(child, block=True, raise_exception_on_failure=True)
        told["value"] = value_of(key) + named(sent, "worth")
    return told["value"]


@app.task(bind=True)
@returns("revoked")
def revoker(self: Any, key: str, gate: str):
    """Revoke a child when the gate opens, and hear so by waiting; the child's gate never opens."""
    with body(self, key) as told:
        sent = self.enqueue_child(gated.s(key=f"{key}.child", gate=f"{key}.never"))
        wait_for(gate)
        self.revoke_child(sent, wait=True)
        told["value"] = ""
        try:
            self.wait_for_specific_children(sent)
        except ChainRevokedException:  # whether its body had begun or not
            told["value"] = revoked_value()
    return told["value"]


def revoked_value() -> str:
    """What `revoker` must return."""
    return ChainRevokedException.__name__


def two_levels(key: str, gate: str) -> int:
    """What `sender` and `waiter` must return."""
    return value_of(key) + value_of(f"{key}.child")


# ── step by step ─────────────────────────────────────────────────────────────────────────


@app.task(bind=True)
@returns("steps")
def interpreter(self: Any, key: str, address: str):
    """Do what is asked over a socket, one step after the other; how many there were."""
    with body(self, key) as told, socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        steps, told["value"] = Steps(self, key), 0
        with line.makefile("rw") as asked:
            for text in asked:
                asked.write(json.dumps(steps.take(**json.loads(text))) + "\n")
                asked.flush()
                told["value"] = steps.taken
    return told["value"]


class Steps:
    """What `interpreter` can be asked.

    Attributes:
        taken: how many steps it has taken.
    """

    def __init__(self, task: Any, key: str) -> None:
        self._task = task
        self._key = key
        self._sent: dict[str, Any] = {}
        self.taken = 0

    def take(self, do: str, name: str) -> Any:
        """Take a step; what came, or how it failed."""
        self.taken += 1
        try:
            return getattr(self, do)(name)
        except ChainRevokedException:  # whether its body had begun or not
            return revoked_value()
        except WaitOnChainTimeoutError as error:
            return type(error).__name__

    def once(self, name: str) -> Any:
        """What the task answers that is sent once."""
        sent = self._task.enqueue_child_once(answer.s(about=f"{self._key}.{name}"), enqueue_once_key=name, block=True)
        self._sent.setdefault(name, sent)
        return named(sent, "worth")

    def cache(self, name: str) -> Any:
        """What the cached task answers."""
        sent = self._task.enqueue_child(answer_kept.s(about=f"{self._key}.{name}"), block=True)
        self._sent.setdefault(name, sent)
        return named(sent, "worth")

    def forget(self, name: str) -> None:
        """Forget the child that answered first under that name, and with it that it answers for others."""
        self._task.forget_child_result(
            self._sent.pop(name),
            do_not_forget_enqueue_once_nodes=False,
            do_not_forget_cache_enabled_tasks_results=False,
        )

    def send(self, name: str) -> None:
        """Send a task that waits for its gate."""
        self._sent[name] = self._task.enqueue_child(gated.s(key=f"{self._key}.{name}", gate=f"{self._key}.{name}"))

    def revoke(self, name: str) -> None:
        """Revoke a task that was sent."""
        self._task.revoke_child(self._sent[name], wait=True)

    def wait(self, name: str) -> Any:
        """Wait for a task that was sent."""
        self._task.wait_for_specific_children(self._sent[name])
        return named(self._sent[name], "worth")

    def look(self, name: str) -> Any:
        """Wait for it no longer than a moment."""
        self._task.wait_for_specific_children(self._sent[name], max_wait=0.1)
        return named(self._sent[name], "worth")


@app.task(bind=True)
def poison(self: Any, key: str):
    """Kill the process that runs it."""
    with body(self, key):
        os.kill(os.getpid(), signal.SIGKILL)
