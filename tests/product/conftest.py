"""A home for each test, which must be clean in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firexkit.runtime.server import Server
from product.firex import Home, eventually

TASKS = '''\
"""Tasks for tests."""

import time
from pathlib import Path
from typing import Literal, Optional

from firexkit import FireX, FireXReturnCodeException, returns

app = FireX("work")


def note(text):
    with open("notes", "a") as file:
        file.write(f"{text}\\n")


@app.task(bind=True, returns="count")
def parent(self, children: int = 2, seconds: float = 0.0):
    """Wait for children.

    Args:
        children: how many.
        seconds: how long each of them takes.
    """
    note("begun")
    try:
        self.enqueue_in_parallel((child.s(number=n, seconds=seconds) for n in range(children)),
                                 raise_exception_on_failure=True)
    finally:
        time.sleep(0.2)  # a second signal would cut this off
        note("parent cleaned up")
    return children


@app.task(bind=True)
def child(self, number: int, seconds: float):
    note(f"child {self.request.hostname}")
    try:
        time.sleep(seconds)
    finally:
        note("child cleaned up")


@app.task
def fail(code: int = 0):
    """Fail, with an exit code if one is given."""
    print("<b>about to fail</b>")
    if code:
        raise FireXReturnCodeException(code, "as asked")
    raise ValueError("nothing <i>works</i>")


@app.task(bind=True)
def outer(self):
    self.enqueue_child(fail.s(), block=True)


@app.task(bind=True, returns=("uid", "same", "user", "logs"))
def identity(self):
    return str(self.uid), self.uid == str(self.uid), self.uid.user, self.uid.logs_dir


@app.task(returns="got")
def types(flag: bool = False, size: int = 0, ratio: float = 0.0, names: list[str] = (), where: Path = Path(),
          mode: Literal["fast", "safe"] = "safe", maybe: Optional[int] = None, either: int | str = 0,
          table: dict[str, int] = {}, plain=None):
    return repr((flag, size, ratio, list(names), where, mode, maybe, either, table, plain))


@app.task(returns="opened")
def gated():
    """Wait until somebody removes the gate."""
    while Path("gate").exists():
        time.sleep(0.05)
    return True


@app.task(bind=True, max_retries=1)
def twice(self):
    """Fail once."""
    note(f"attempt {self.request.retries}")
    if not self.request.retries:
        raise self.retry(countdown=4)


@app.task(bind=True)
def impatient(self):
    """Wait for a retry and for a task with a queue of its own."""
    self.enqueue_in_parallel([twice.s(), aside.s()], raise_exception_on_failure=True)


@app.task(queue="slow")
def aside():
    note("aside")
    time.sleep(60)


@app.task(returns="taken")
def taken(queue: str = "none", text: str = "none"):
    return f"{queue} {text}"


@app.task(returns="doubled")
def double(size: int):
    return 2 * size
'''


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with the task file `work.py`; nothing may live in it when the test is over."""
    home = Home(tmp_path / "home")
    (home.path / "work.py").write_text(TASKS)
    yield home
    eventually(lambda: home.leftovers() == [] or print(home.leftovers()), 15, "nothing is left behind")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    """A server that runs share."""
    with Server() as server:
        yield server
