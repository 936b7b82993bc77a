"""The pytest plugin, as its users have it: pytest is a process, and its outcome is looked at."""

import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import psutil
import pytest

from product.blocks import follow
from product.firex import PATIENCE, Home, eventually

ROOT = Path(__file__).parents[2]
SOURCE = str(ROOT / "src")
FLOW = """\
import os
import time

from firexkit import FireX, get_results, returns

app = FireX("flow")


@app.task
@returns("doubled")
def double(size: int):
    print(f"doubling <b> {size}")
    return 2 * size


@app.task(bind=True)
@returns("total")
def add_up(self, sizes: list):
    found = self.enqueue_in_parallel([double.s(size=size) for size in sizes])
    return sum(get_results(one)["doubled"] for one in found)


@app.task
def fail(doubled: int):
    raise ValueError(f"{doubled} is too much")


@app.task
def wait_long():
    time.sleep(600)


@app.task(bind=True)
def wait_for_it(self):
    self.enqueue_child(wait_long.s(), block=True)
"""


class Desk(Home):
    """A directory with the file `flow.py` and tests, and what pytest says of them."""

    def pytest(self, tests: str, *options: str, config: str = "") -> "Outcome":
        """Run tests that are in a file `test_flow.py`."""
        (self.path / "test_flow.py").write_text(tests)
        (self.path / "pytest.ini").write_text(f"[pytest]\n{config}")
        done = subprocess.run(
            self.command(*options),
            check=False,
            cwd=self.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Outcome(done.returncode, done.stdout + done.stderr, self.path / "report.xml")

    def command(self, *options: str) -> list[str]:
        quiet = ("-q", "-p", "no:cacheprovider", "-p", "firexkit.pytest", "-W", "error")
        return [sys.executable, "-m", "pytest", *quiet, "--basetemp=base", "--junitxml=report.xml", *options]


class Outcome:
    """What came of the tests."""

    def __init__(self, code: int, output: str, report: Path) -> None:
        self.code = code
        self.output = output
        self.suite = ET.parse(report).getroot().find("testsuite") if report.exists() else None

    def __str__(self) -> str:
        return self.output

    @property
    def is_good(self) -> bool:
        """Whether tests ran, and all of them passed."""
        return self.code == 0 and int(self.suite.get("tests")) > 0

    def message(self) -> str:
        """What the one failing test failed with."""
        (failure,) = [*self.suite.iter("failure"), *self.suite.iter("error")]
        return failure.get("message")


@pytest.fixture
def desk(tmp_path):
    """A desk that nothing is left on: no process, no directory of a server."""
    desk = Desk(tmp_path / "desk")
    (desk.path / "flow.py").write_text(FLOW)
    desk.env["PYTHONPATH"] = SOURCE
    yield desk
    eventually(lambda: desk.leftovers() == [] or print(desk.leftovers()), 15, "nothing is left behind")


# ── runs that go well ─────────────────────────────────────────────────────────────────────

BOTH = """
import pytest
from flow import *
from firexkit import InjectArgs

@pytest.fixture(params=["firex_run", "firex_eager"])
def run(request):
    return request.getfixturevalue(request.param)

"""


@pytest.mark.parametrize(
    "body",
    [
        "assert run(double.s(size=2)).results == {'doubled': 4}",
        "assert run(double, size=2).results == {'doubled': 4}",
        "assert run('double', size=2).results == {'doubled': 4}",
        "assert run(InjectArgs(size=2) | double.s() | double.s(size='@doubled')).results == {'doubled': 8}",
        "assert run(add_up, sizes=[1, 2]).results == {'total': 6}",
        "r = run(double, size=2); r.assert_succeeded(); assert r.succeeded and r.error is None",
        "r = run(add_up, sizes=[1, 2]); assert [t.name for t in r.tasks()] == ['add_up', 'double', 'double']",
        "assert run(double, size=2).task('double').argument('size') == 2",
        "assert run(double, size=2).task('flow.double').result('doubled') == 4",
        "run(add_up, sizes=[1]).assert_ran('add_up', 'double')",
        "run(add_up, sizes=[1]).assert_not_ran('fail')",
        "run(double.s(size=2) | fail.s()).assert_failed()",
        "run(double.s(size=2) | fail.s()).assert_failed('fail', error=ValueError, match='4 is too')",
        "assert run(double.s(size=2) | fail.s() | double.s()).results == {'doubled': 4}",
        "assert run(double.s(size=2) | fail.s()).task('fail').error == 'ValueError: 4 is too much'",
        "assert run(double, size=2 + 1j).task('double').argument('size') == 2 + 1j",
    ],
)
def test_a_run_tells_what_came_of_it(desk, body):
    """On a worker and in the test's process, from a task, a signature or a name."""
    done = desk.pytest(f"{BOTH}def test_it(run):\n    {body}\n")

    assert done.is_good, done.output


def test_the_log_of_a_task_is_text(desk):
    """It has what the task printed, and nothing of the page around it."""
    test = "from flow import *\ndef test_it(firex_run):\n    log = firex_run(double, size=2).logs('double')\n"
    done = desk.pytest(f"{test}    assert 'doubling <b> 2' in log and log.startswith('[')")

    assert done.is_good, done.output


def test_a_test_has_tasks_of_its_own(desk):
    """What a test defines or patches is in its worker, and in no other test; a directory is there for its files."""
    done = desk.pytest(
        """
import flow, os, pathlib

def test_first(firex_app, firex_run, monkeypatch):
    @firex_app.task(bind=True, returns="made")
    def make(self):
        path = pathlib.Path(self.uid.logs_dir, "made")
        path.write_text(os.environ["WORD"])
        return path
    monkeypatch.setenv("WORD", "hello")
    run = firex_run("make")
    assert run.results["made"].read_text() == "hello"
    assert run.results["made"].parent == run.directory

def test_second(firex_app, firex_run):
    assert not [name for name in firex_app.tasks if name.endswith("make")]
"""
    )

    assert done.is_good, done.output


def test_files_of_a_project_are_loaded(desk):
    """Names are looked up in the tasks of the project's settings and of the marker, also in the next test."""
    (desk.path / "more.py").write_text("from flow import app\n@app.task(returns='word')\ndef speak(): return 'hello'")
    (desk.path / "pyproject.toml").write_text('[tool.firex]\ntasks = ["flow.py"]\n')
    done = desk.pytest(
        """
import pytest

@pytest.mark.parametrize("size", [1, 2])
def test_project(firex_run, size):
    assert firex_run("double", size=size).results == {"doubled": 2 * size}

@pytest.mark.firex(tasks="more.py")
def test_marker(firex_run):
    assert firex_run("double,speak", size=1).results == {"doubled": 2, "word": "hello"}
"""
    )

    assert done.is_good, done.output


def test_runs_do_not_see_each_others_keys(desk):
    """Each finds an empty server: what is cached, or done once, in one run is done again in the next."""
    done = desk.pytest(
        """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_keys(firex_app, firex_run, _firex_embedded, number):
    with _firex_embedded.client() as client:
        assert client.dbsize() == 0
    @firex_app.task(use_cache=True, returns="pid")
    def pid():
        import os
        return os.getpid()
    assert firex_run(pid).results != firex_run(pid).results
"""
    )

    assert done.is_good, done.output


def test_many_processes_and_sessions_at_a_time(desk):
    """With pytest-xdist each process has its server, and so has each of two sessions."""
    tests = (
        "import pytest\nfrom flow import *\n@pytest.mark.parametrize('size', range(4))\n"
        "def test_it(firex_run, size):\n    assert firex_run(double, size=size).results == {'doubled': 2 * size}\n"
    )
    (desk.path / "test_other.py").write_text(tests)
    other = subprocess.Popen(
        [*desk.command()[:-2], "--basetemp=other", "test_other.py"],
        cwd=desk.path,
        env=desk.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    done = desk.pytest(tests, "-n", "2", "test_flow.py")
    output, _ = other.communicate(timeout=PATIENCE)

    assert done.is_good, done.output
    assert other.returncode == 0, output


# ── runs that fail ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "firex_run(double.s(size=2) | fail.s()).assert_succeeded()",
            r"the run failed: fail failed with ValueError: 4 is too much\n.*✔ double .*✘ fail failed.*flow\.py",
        ),
        ("firex_run(double, size=2).assert_failed()", "the run succeeded, but was expected to fail"),
        (
            "firex_run(double.s(size=2) | fail.s()).assert_failed('double')",
            "double was expected to fail the run, but it failed otherwise: fail failed",
        ),
        (
            "firex_run(double.s(size=2) | fail.s()).assert_failed(error=(KeyError, OSError))",
            "KeyError or OSError was expected, but the run failed otherwise: fail failed",
        ),
        ("firex_run(double.s(size=2) | fail.s()).assert_failed(match='wrong')", "'wrong' is not found in what"),
        (
            "firex_run(double.s(size=2) | fail.s()).assert_ran('fail', 'double')",
            "double did not run after fail; these began: double, fail",
        ),
        ("firex_run(double, size=2).assert_ran('duble')", "duble did not run, did you mean double?"),
        ("firex_run(double, size=2).assert_not_ran('double')", "double ran"),
        ("firex_run(double, size=2).task('duble')", "the run has no task called duble, did you mean double?"),
        ("firex_run(add_up, sizes=[1, 2]).task('double')", r"the run has 2 tasks called double; tasks\('double'\)"),
        ("firex_run(double, size=2).task('double').argument('x')", "double took no argument 'x'; there is size"),
        ("firex_run(double, size=2).results['x']", "nothing was returned as 'x'; there is doubled"),
        ("firex_run(double)", "required by .*double"),
        ("firex_run('duble')", "no task is called 'duble'; did you mean double?"),
        ("firex_run(3)", "a run needs a signature, a task, or names of tasks"),
        ("firex_run(double, size=2, timeout=0)", "a timeout above 0"),
        ("firex_run(double, size=object())", "can't be sent|cannot be"),
    ],
)
def test_what_is_wrong_is_told(desk, body, told):
    """A test that fails says what happened instead, with the tree of the run."""
    done = desk.pytest(f"from flow import *\ndef test_it(firex_run):\n    {body}\n")

    assert done.code == 1
    assert re.search(told, done.message(), re.DOTALL), done.output


def test_a_failed_test_shows_what_its_worker_logged(desk):
    """Below the failure is the end of the worker's log, as text."""
    done = desk.pytest(
        "from flow import *\ndef test_it(firex_run):\n    assert not firex_run(double, size=2).succeeded"
    )

    assert done.code == 1
    assert "log of the worker of FireX-" in done.output
    assert "doubling <b> 2" in done.output


@pytest.mark.parametrize("how", ["timeout=1", ""])
def test_a_run_that_hangs_tells_where(desk, how):
    """After its time it is ended; the message has the tree, and the lines in which tasks are."""
    test = f"from flow import *\ndef test_it(firex_run):\n    firex_run(wait_for_it, {how})"
    done = desk.pytest(test, config="" if how else "firex_timeout = 1")

    assert "the run has not ended within 1 s" in done.message()
    assert re.search(r"… wait_for_it waiting.*\n +▶ wait_long running", done.message())
    assert re.search(r"flow\.py\", line \d+ in wait_long", done.message())


def test_a_worker_that_dies_is_told(desk):
    """Nobody waits for what its worker took along."""
    done = desk.pytest(
        """
import os, time

def test_it(firex_app, firex_run):
    @firex_app.task
    def kill():
        os.kill(os.getppid(), 9)
        time.sleep(600)
    firex_run(kill)
"""
    )

    assert "the worker's main process was killed by SIGKILL" in done.message()


@pytest.mark.parametrize(
    ("test", "config", "told"),
    [
        ("@pytest.mark.firex('flow.py')\n", "", "the marker firex takes tasks=... and plugins=..., not 'flow.py'"),
        ("@pytest.mark.firex(task='flow.py')\n", "", "the marker firex takes tasks=... and plugins=..., not task"),
        ("@pytest.mark.firex(tasks='flwo.py')\n", "", "there is no such file"),
        ("", "firex_timeout = soon", "firex_timeout is a number of seconds above 0, not 'soon'"),
    ],
)
def test_bad_configuration_is_told(desk, test, config, told):
    """What the plugin can't understand is an error that says what it takes."""
    done = desk.pytest(f"import pytest\n{test}def test_it(firex_run):\n    pass", config=config)

    assert done.code == 1
    assert told in done.output


def test_a_session_that_is_killed_leaves_nothing(desk):
    """Server and worker end with the process of the tests, whatever ends that; the desk is clean in the end."""
    (desk.path / "test_flow.py").write_text("from flow import *\ndef test_it(firex_run):\n    firex_run(wait_for_it)")
    session = subprocess.Popen(desk.command(), cwd=desk.path, env=desk.env, stdout=subprocess.DEVNULL)
    eventually(lambda: len(psutil.Process(session.pid).children(recursive=True)) > 4, what="the worker's pool is there")
    session.send_signal(signal.SIGKILL)

    assert session.wait(PATIENCE) == -signal.SIGKILL


# ── the plugin itself ─────────────────────────────────────────────────────────────────────


def test_sessions_without_workflows_pay_nothing(desk):
    """The plugin is loaded in every session of its environment, so it imports nothing that is heavy."""
    heavy = "{'celery', 'redis', 'msgspec', 'psutil', 'jinja2', 'kombu'}"
    done = desk.pytest(f"import sys\ndef test_it():\n    assert not {heavy} & set(sys.modules)")

    assert done.is_good, done.output


def test_an_eager_test_needs_no_server(desk):
    """Nothing is started for a test that only uses tasks of a file."""
    done = desk.pytest(
        """
from flow import *
import psutil

def test_it(firex_eager):
    assert firex_eager(add_up, sizes=[1, 2]).results == {"total": 6}
    assert psutil.Process().children() == []
    assert not app.conf.task_always_eager
"""
    )

    assert done.is_good, done.output


def test_the_examples_are_tested(tmp_path):
    """The tests of the greetings pass."""
    env = {**os.environ, "PYTHONPATH": SOURCE}
    options = ("-q", "-p", "no:cacheprovider", "-p", "firexkit.pytest", f"--basetemp={tmp_path / 'base'}")
    command = [sys.executable, "-m", "pytest", *options, "-c", os.devnull, "--rootdir=.", "test_greetings.py"]
    done = subprocess.run(
        command, check=False, cwd=ROOT / "examples", env=env, capture_output=True, text=True, timeout=PATIENCE
    )

    assert done.returncode == 0, done.stdout


def test_the_page_about_tests(tmp_path, monkeypatch):
    """Whoever writes the files of the page and types its commands sees what it shows."""
    monkeypatch.setenv("PYTEST_PLUGINS", "firexkit.pytest")
    monkeypatch.setenv("PYTHONPATH", SOURCE)

    follow(ROOT / "docs" / "testing.md", tmp_path)
