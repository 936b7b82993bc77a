"""Plugins in real workers: what runs, what is told, and who can run it."""

import importlib

import pytest
from celery import _state

from firexkit.chain import set_queue
from firexkit.result import get_results
from worker.apps import painting
from worker.ear import Ear

APP, PLUGGED = "worker.apps.painting", "worker.apps.painting_plugged"
LAYERS = [
    "top_coat.paint 1",
    "second_coat.paint_orig 2",
    "undercoat.paint_orig_orig 3",
    f"{APP}.paint_orig_orig_orig 4",
    f"{APP}.paint_orig_orig_orig",
]

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def _plugged():
    """The plugins are loaded in this process, too, which sends."""
    before = _state.default_app, _state._tls.current_app
    importlib.import_module(PLUGGED)
    yield
    _state.default_app, _state._tls.current_app = before


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def ear(worker_for, pool):
    """A worker with the plugins, and who hears it."""
    worker_for(PLUGGED, pool=pool, concurrency=8, options=("-E",))
    with Ear(painting.app) as ear:
        yield ear


def test_a_chain_of_three_plugins(ear):
    """The last plugin answers for the task; each has called or sent the one before it."""
    assert painting.paint.s(1).enqueue().get(timeout=20)["colour"] == LAYERS


def test_whoever_sends_the_task_gets_the_plugin(ear):
    """A task that knows nothing of plugins sends them, alone and in a chain."""
    result = painting.decorate.s().enqueue()
    result.get(timeout=20)
    first, then = get_results(result, ("first", "then"))

    assert (first, then[0], len(then)) == (LAYERS, "top_coat.paint 2", len(LAYERS))


def test_events(ear):
    """Monitors are told which task came with a plugin, and which is called as the original; names have no mark."""
    result = painting.paint.s(1).enqueue()
    ear.told_by(result, timeout=20)
    told = [
        (event["long_name"], event["from_plugin"], event["called_as_orig"])
        for event in ear.of_type("task-started-info")
    ]

    # The original itself was called as a function, and so tells nothing.
    assert told == [("top_coat.paint", True, False), ("second_coat.paint", True, True), ("undercoat.paint", True, True)]


def test_a_retry_of_the_original(ear):
    """An original that is sent as a child and fails is tried again, as the original."""
    assert painting.varnish.s().enqueue().get(timeout=20)["colour"] == f"{APP}.varnish_orig 1"


def test_a_new_task_of_a_plugin(ear):
    """A task that replaces nothing is sent under its own name."""
    chain = painting.paint.s(1) | painting.app.tasks["top_coat.dry"].s()

    assert chain.enqueue().get(timeout=20)["dried"] == "top_coat.dry"


# ── a worker without the plugins ─────────────────────────────────────────────────────────


@pytest.fixture
def run_unplugged(start_worker):
    """Run a signature or chain in a worker that knows the tasks and none of the plugins."""
    start_worker(APP, app=painting.app, concurrency=4, options=("-Q", "unplugged"))

    def run(signature):
        set_queue(signature, "unplugged")
        return signature.enqueue().get(timeout=20)

    return run


@pytest.mark.parametrize("name", [f"{APP}.paint", "top_coat.paint", "undercoat.paint"])
def test_a_worker_without_plugins_runs_the_original(run_unplugged, name):
    """What was sent by somebody with plugins, from whichever function, is run by who has none."""
    assert run_unplugged(painting.app.tasks[name].s(1))["colour"] == [f"{APP}.paint 1"]


def test_a_worker_without_plugins_runs_a_chain(run_unplugged):
    """Later members of a chain are for everybody, too."""
    assert run_unplugged(painting.paint.s(1) | painting.frame.s() | painting.paint.s(2))["colour"] == [f"{APP}.paint 2"]
