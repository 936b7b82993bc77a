"""Task files with Celery apps of their own, in the worker of a run."""

import importlib
import sys

import pytest
from celery import _state

from firexkit.result import get_results

APP = "worker.apps.shop_run"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    before = _state.default_app, _state._tls.current_app
    importlib.import_module(APP)
    yield
    _state.default_app, _state._tls.current_app = before


@pytest.fixture(autouse=True, params=["prefork", "threads"])
def run(request, worker_for):
    """The run's app, with a worker."""
    return worker_for(APP, pool=request.param, concurrency=4).app


def test_tasks_of_another_app_send_each_other(run):
    """A task of another app runs in the run's worker, and what it sends comes back to it."""
    result = run.tasks["plain_shop.sell"].s(2).enqueue()
    result.get(timeout=20)

    assert get_results(result, ("price", "app")) == (6, APP)


def test_children_of_another_app_in_parallel(run):
    """Many children of another app are waited for."""
    result = run.tasks["plain_shop.sell_many"].s([1, 2, 3]).enqueue()

    assert result.get(timeout=20)["prices"] == [3, 6, 9]


def test_the_other_apps_own_signatures(run):
    """What is sent through the other app reaches the run's worker, and its result is found there."""
    shop = sys.modules["plain_shop"]
    chain = shop.price.s(5) | shop.sell.s(amount="@price")

    assert chain.delay().get(timeout=20)["price"] == 45


def test_plain_tasks_of_another_app(run):
    """What the code of a plain app sends is run by the run's worker, as a FireXTask: a return needs a name."""
    shop = sys.modules["plain_shop"]
    assert shop.add_by_name.delay(2, 3).get(timeout=20)["total"] == 5
    assert shop.add.delay(2, 3).get(timeout=20) == {"x": 2, "y": 3}
