"""The rig itself: each fault does what it says, and the truth is told. Nothing here needs leases."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from faults import ledger
from faults.brokers import SlowServer
from faults.flows import tree_value, value_of
from faults.ledger import END, START, Line
from faults.points import crash_points, group_of
from faults.proxy import Command, Loss, Proxy
from faults.rig import HUNG, RIGHT, World
from firexkit.broker_address import password_in
from worker.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(120)

COMES_BY = """
import os
from firexkit._crash_points import crash_point
children = []
for _ in range(4):
    if not (pid := os.fork()):
        for _ in range(3):
            crash_point("test: here")
            crash_point("test: elsewhere")
        os._exit(0)
    children.append(pid)
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""


def come_by(**env: str) -> list[int]:
    """The exit codes of four processes that come by a point three times each."""
    done = subprocess.run(
        [sys.executable, "-c", COMES_BY], env={**os.environ, **env}, text=True, capture_output=True, check=True
    )
    return sorted(map(int, done.stdout.split()))


# ── crash points ─────────────────────────────────────────────────────────────────────────


def test_one_process_dies_at_the_hit_that_is_asked_for(tmp_path: Path) -> None:
    """Hits are counted over all processes that share the token."""
    token = tmp_path / "token"
    codes = come_by(FIREXKIT_CRASH_POINT="test: here@5", FIREXKIT_CRASH_TOKEN=str(token))

    assert codes == [-signal.SIGKILL, 0, 0, 0]
    assert token.stat().st_size >= 5


def test_nobody_dies_unless_the_environment_says_so(tmp_path: Path) -> None:
    """Neither at another point nor without a token."""
    assert come_by(FIREXKIT_CRASH_POINT="test: nowhere", FIREXKIT_CRASH_TOKEN=str(tmp_path / "token")) == [0] * 4
    assert come_by(FIREXKIT_CRASH_POINT="test: here") == [0] * 4


def test_names_of_crash_points_tell_who_and_where_and_stand_once() -> None:
    """Each is a literal with a group, found in the sources."""
    names = [name for name, _ in crash_points()]

    assert names
    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert [name for name in names if not group_of(name) or group_of(name) == name] == []


# ── the ledger ───────────────────────────────────────────────────────────────────────────


def line(at: float, what: str, task: str = "t", pid: int = 1) -> Line:
    return Line(at, what, "a", task, pid)


@pytest.mark.parametrize(
    ("lines", "accepted", "expected"),
    [
        ([line(1, START), line(2, END)], {"t": 2.5}, 0),
        ([line(1, START), line(2, START, pid=2), line(3, END, pid=2)], {"t": 3.5}, 0),  # the first died
        ([line(1, START), line(2, END), line(3, START, pid=2)], {}, 0),  # its result never came
        ([line(1, START), line(2, END), line(3, START, pid=2)], {"t": 2.5}, 1),
        ([line(1, START), line(2, END), line(3, START, "other", 2)], {"t": 2.5, "other": 4}, 1),  # under another id
    ],
)
def test_a_body_that_starts_after_its_result_was_accepted_ran_again(
    lines: list[Line], accepted: dict[str, float], expected: int
) -> None:
    """Whatever its id is then."""
    assert len(ledger.again(lines, accepted)) == expected


def test_what_runs_is_what_has_started_and_not_ended() -> None:
    """In each process for itself."""
    lines = [line(1, START), line(2, START, pid=2), line(3, END, pid=2)]

    assert [one.pid for one in ledger.running(lines)] == [1]


# ── the proxy ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with SlowServer() as server:
        yield server


@pytest.fixture
def proxy(server: SlowServer) -> Iterator[Proxy]:
    proxy = Proxy(server)
    proxy.role_of = lambda pid: "we"
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(("loss", "done"), [(Loss.REQUEST, b"1"), (Loss.REPLY, b"2")])
def test_a_lost_request_is_not_done_and_one_whose_reply_is_lost_is(
    server: SlowServer, proxy: Proxy, loss: Loss, done: bytes, protocol: int
) -> None:
    """In the middle of a pipeline, too: what was sent before is done and what comes after is not."""
    proxy.lose(Command("we INCRBY a", 2), loss)
    client = redis.Redis(
        unix_socket_path=str(server.directory / "p"),
        password=password_in(server.url),
        protocol=protocol,
        retry=Retry(NoBackoff(), 0),
    )
    with client, client.pipeline(transaction=False) as pipe, pytest.raises(redis.ConnectionError):
        pipe.incr("a").incr("a").incr("b").execute()

    assert proxy.has_lost
    with server.client() as direct:
        assert direct.mget("a", "b") == [done, None]


def test_commands_are_known_without_what_differs_from_flow_to_flow(server: SlowServer, proxy: Proxy) -> None:
    """By who sends them, what they do and to what; published messages are no replies."""
    proxy.record()
    options = {"unix_socket_path": str(server.directory / "p"), "password": password_in(server.url)}
    with redis.Redis(**options) as client, client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe("news")
        client.set("celery-task-meta-0123456789abcdef0123456789abcdef", '{"status": "SUCCESS"}')
        client.publish("news", "x")
        wait_until(lambda: heard.get_message(timeout=1), what="the message")
        heard.unsubscribe("news")
        client.ping()
    commands = [str(command) for command in proxy.recorded()]

    assert "we SET celery-task-meta-<id> SUCCESS #1" in commands
    assert [text for text in commands if "news" in text] == [
        "we SUBSCRIBE news #1",
        "we PUBLISH news #1",
        "we UNSUBSCRIBE news #1",
    ]


# ── a world ──────────────────────────────────────────────────────────────────────────────


def test_a_server_that_loads_says_so(server: SlowServer) -> None:
    """For as long as it was told to."""
    server.fill_for(1.0)
    server.kill()
    starting = threading.Thread(target=server.start)
    starting.start()
    wait_until(lambda: b"LOADING" in _ping(server), what="an answer while it loads")
    starting.join()

    assert b"PONG" in _ping(server)


def _ping(server: SlowServer) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(server.socket))
            connection.sendall(f"AUTH {password_in(server.url)}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answers:
                return b"".join(answers.readline() for _ in range(2))
    except OSError:
        return b""


def test_a_world_without_faults_and_one_whose_task_hangs(tmp_path: Path) -> None:
    """A tree ends with its value; a run at its limit is hung, and the stacks of all processes tell where."""
    with World(tmp_path) as world:
        arguments = {"key": "0", "widths": [3, 3], "seconds": 0.0}
        tree = world.run("tree", arguments, returns="total", expected=tree_value("0", [3, 3]))
        stuck = {"key": "stuck", "gate": "never"}
        hung = world.run("gated", stuck, returns="worth", expected=value_of("stuck"), limit=1.0)
        before = world.worker.main
        world.kill_main()
        wait_until(lambda: world.worker.main != before, what="another main process")
        pids = {*world.worker.pids(), *world.client.pids()}

    assert (tree.kind, tree.broken(mode="retry"), len(world.starts())) == (RIGHT, "", 14)
    assert len(world.accepted.successes) == 13
    assert hung.kind == HUNG
    assert "in wait_for\n" in hung.report
    assert "in wait_on_async_results\n" in hung.report
    assert not [pid for pid in pids if _is_there(pid)]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_python_has_the_wall_clock_that_a_test_sets(tmp_path: Path) -> None:
    """Nobody else's clock changes, nor its own that cannot be set."""
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("d", 3600.0))
    env = {"PYTHONPATH": str(Path(__file__).parent / "clock"), "FIREXKIT_FAULTS_CLOCK": str(clock)}
    told = "from time import monotonic, time; print(time(), monotonic())"
    output = subprocess.run([sys.executable, "-c", told], env={**os.environ, **env}, capture_output=True, check=True)
    wall, monotonic = map(float, output.stdout.split())

    assert 3500 < wall - time.time() < 3700
    assert abs(monotonic - time.monotonic()) < 100
