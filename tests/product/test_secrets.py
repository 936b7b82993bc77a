"""A secret of a run is found nowhere: not in the broker, the logs, the events, the record, the screen, or `/proc`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from firexkit.runtime.server import Server
from product.firex import Home, eventually

pytestmark = pytest.mark.timeout(120)

MARKED = "mArKeD-5ecret-value"
LISTED = "LiStEd-5ecret-value"
END = "enough"
FOUND = (MARKED, LISTED)

TASKS = f'''\
"""Tasks that are given secrets."""

import logging
import time
from pathlib import Path

from firexkit import FireX, Secret, flame, returns

app = FireX("guarded")
logger = logging.getLogger(__name__)
PIN, PASSWORD = {MARKED[::-1]!r}[::-1], {LISTED[::-1]!r}[::-1]


@app.task(bind=True, returns="again")
@flame("pin")
@flame("*")
def deploy(self, pin: Secret[str], db_password, user="me"):
    logger.info("deploys with %s as %s", pin, user)
    assert (pin.reveal(), db_password) == (PIN, PASSWORD)
    for _ in range(2):
        self.enqueue_child(known.s(pin=pin, db_password=db_password), block=True)
        key = Secret(f"once {{PIN}}")
        self.enqueue_child_once(guess.s(PIN, db_password=db_password), enqueue_once_key=key, block=True)
    self.enqueue_child(hesitate.s(pin=pin, db_password=db_password) | guess.s(pin=pin), block=True)
    self.enqueue_in_parallel([wrong.s(pin=pin, passwd=db_password)])
    Path("waiting").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return {{"pin": pin, "all": [pin, {{"a": pin}}]}}


@app.task(use_cache=True, returns=("known", "db_password"))
def known(pin: Secret, db_password):
    with open("computed", "a") as file:
        file.write("x")
    return pin, db_password


@app.task
def guess(pin: Secret, db_password=None, **rest):
    assert pin.reveal() == PIN and db_password in (None, PASSWORD)


@app.task(bind=True, max_retries=2)
def hesitate(self, pin: Secret, **kwargs):
    assert kwargs["db_password"] == PASSWORD
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task
def wrong(pin: Secret, passwd):
    print(f"printed {{pin.reveal()}}")
    try:
        raise OSError(5, f"no {{passwd}}", f"/pins/{{pin.reveal()}}")
    except OSError:
        logger.exception("logged %s", pin.reveal())
        raise ValueError(f"the pin {{pin}} is not {{pin.reveal()}}", pin, [pin], passwd)


@app.task(returns="db_password")
def after(again, pin: Secret, db_password):
    assert again == {{"pin": Secret(PIN), "all": [Secret(PIN), {{"a": Secret(PIN)}}]}}
    return db_password


@app.task
def plainly(pin: Secret, count: int = 1):
    assert pin.reveal() == PIN
'''


class Heard:
    """Everything that a server is told, and every event of the tasks."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.commands: list[str] = []
        self.events: list[str] = []
        self._client = client
        self._app = Celery(broker=url, set_as_current=False)
        self._receiver: Any = None
        self._listening = threading.Event()
        hear = (self._hear_commands, self._hear_events)
        self._threads = [threading.Thread(target=one, daemon=True) for one in hear]

    def __enter__(self) -> Heard:
        for thread in self._threads:
            thread.start()
        assert self._listening.wait(10)
        eventually(lambda: self._receiver, 10)
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._client.echo(END)
        for thread in self._threads:
            thread.join(10)

    def _hear_commands(self) -> None:
        with self._client.monitor() as monitor:
            self._listening.set()
            for command in monitor.listen():
                self.commands.append(command["command"])
                if command["command"] == f"ECHO {END}":
                    return

    def _hear_events(self) -> None:
        with self._app.connection_for_read() as connection:
            handlers = {"*": lambda event: self.events.append(repr(event))}
            self._receiver = self._app.events.Receiver(connection, handlers=handlers)
            self._receiver.capture(limit=None, timeout=None, wakeup=False)


def in_store(client: redis.Redis) -> list[str]:
    """All keys and values of a server."""
    readers = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers}
    readers |= {b"list": lambda key: client.lrange(key, 0, -1), b"zset": lambda key: client.zrange(key, 0, -1)}
    readers |= {b"stream": client.xrange}
    return [f"{key!r} {readers[client.type(key)](key)!r}" for key in client.keys("*") if client.type(key) in readers]


def in_files(directory: Path) -> list[str]:
    """All files below a directory, with what is in them."""
    return [
        f"{path}\n{path.read_bytes()!r}"
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name not in ("guarded.py", "pin", "db_password")
    ]


def in_proc(home: Home) -> list[str]:
    """The command lines and environments of a home's processes."""
    pids = [process.pid for process in home.processes()]
    assert len(pids) > 3
    return [(Path("/proc") / str(pid) / name).read_bytes().decode() for pid in pids for name in ("cmdline", "environ")]


def leaks(texts: list[str]) -> list[str]:
    """Where one of the secrets stands, with what is around it."""
    return [text[max(0, at - 200) : at + 60] for text in texts for one in FOUND if (at := text.find(one)) >= 0]


@pytest.fixture
def guarded(home: Home) -> Home:
    """A home with the tasks, and files with the secrets."""
    (home.path / "guarded.py").write_text(TASKS)
    (home.path / "pin").write_text(f"{MARKED}\n")
    (home.path / "db_password").write_text(LISTED)
    return home


def test_a_secret_is_found_nowhere(guarded: Home):
    """It goes through a chain with children, cache, once, a retry and a failure, and nobody can read it."""
    words = ("--secret", "pin=pin", "--secret", "db_password=db_password", "--loglevel", "DEBUG", "-t", "guarded.py")
    with Server() as server, server.client() as client, Heard(server.url, client) as heard:
        run = guarded.start("run", "deploy,after", *words, "--broker", server.url)
        eventually(lambda: (guarded.path / "waiting").exists() or run.poll() is not None)
        while_running = [*in_store(client), *in_proc(guarded)] if run.poll() is None else []
        (guarded.path / "go").touch()
        output, errors = run.communicate(timeout=60)
        stored = in_store(client)

    assert (run.returncode, "command line" in errors) == (0, False), errors
    assert "db_password = '***'" in output
    assert (guarded.path / "computed").read_text() == "x"
    assert guarded.record()["inputs"] == {"pin": "***", "db_password": "***"}
    assert leaks([output, errors]) == []
    assert leaks(while_running) == []
    assert leaks(stored) == []
    assert leaks(heard.commands) == []
    assert leaks(heard.events) == []
    assert leaks(in_files(guarded.path)) == []
    assert len(heard.events) > 20
    assert len(heard.commands) > 100
    for told in ("deploys with *** as me", "printed ***", "logged ***", "/pins/***", "the pin *** is not ***"):
        assert any(told in text for text in in_files(guarded.latest)), told


def test_a_typed_secret_is_masked_and_warned_about(guarded: Home):
    """What stands on the command line can be read there for a moment; nothing else keeps it."""
    done = guarded.firex("run", "plainly", "-t", "guarded.py", "--pin", MARKED)

    assert done.returncode == 0, done.stderr
    assert "everybody on this machine could read --pin" in done.stderr
    assert guarded.record()["submission_cmd"][-2:] == ["--pin", "***"]
    assert leaks([done.stdout, done.stderr, *in_files(guarded.path)]) == []


def test_secrets_from_the_standard_input(guarded: Home):
    """Each one is a line, in the order in which they are asked for."""
    process = guarded.start("run", "plainly", "-t", "guarded.py", "--secret", "pin", stdin=-1)
    output, errors = process.communicate(f"{MARKED}\n", timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert leaks([output, errors, *in_files(guarded.path)]) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--secret", "pin=missing"), "--secret pin=FILE: the file can't be read: No such file or directory"),
        (("--secret", "pin"), "--secret pin: there is no value"),
        (("--secret", "pin=pin", "--secret", "pin=pin"), "--secret pin is there twice"),
        (("--secret", "pin=pin", "--pin", "x"), "--pin is given by --secret, too"),
        (("--secret", "count=pin", "--pin", "x"), "--count: the value does not fit (count: int, wanted by plainly)"),
        (("--secret", "1=2"), "--secret takes the name of an argument, or NAME=FILE"),
    ],
)
def test_bad_input(guarded: Home, words: tuple[str, ...], message: str):
    """What is wrong with a secret is told without it."""
    done = guarded.firex("run", "plainly", "-t", "guarded.py", *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert leaks([done.stdout, done.stderr]) == []
