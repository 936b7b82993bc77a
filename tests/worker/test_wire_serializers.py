"""Apps that chose another serializer or another backend: values untouched, waits by polling, nothing in the log."""

import importlib

import pytest

from firexkit.result import ChainInterruptedException, get_results
from worker.apps import backendless, filed, fix_rows
from worker.apps.serialized import Custom, CustomError
from worker.rig import Worker, wait_until

pytestmark = pytest.mark.timeout(60)

PICKLED = [Custom(1), (1, (2, [Custom(3)])), {1: {2, 3}}, {"__type__": "x", "__value__": 1}]
MSGPACKED = [{"a": [1, 2.5, None, b"\xff"]}, {"__firexkit_wire__": 1, "value": 2}, (1, (2,)), {"__type__": "x"}]


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture(scope="module")
def serialized_workers(request, pool, tmp_path_factory):
    """Starts the worker of an app once; all of them end with the module.

    Since Celery 5.6.2 every worker on the broker writes down every revocation, in its own serializer.
    """
    request.getfixturevalue("_running_server")
    directory, started = tmp_path_factory.mktemp("serialized"), {}

    def start(name):
        if name not in started:
            # Celery's workers refuse to run as root with pickle, as tests in a container do.
            options = {"pool": pool, "concurrency": 3, "env": {"C_FORCE_ROOT": "1"}}
            started[name] = Worker(f"worker.apps.{name}", directory, **options).start()

    yield start
    for worker in started.values():
        worker.kill()


@pytest.fixture
def tasks_of(server, serialized_workers):
    """The tasks of an app, with a worker for it."""

    def tasks_of(name):
        serialized_workers(name)
        return importlib.import_module(f"worker.apps.{name}").tasks

    return tasks_of


@pytest.mark.parametrize(
    ("name", "value"), [*(("pickled", value) for value in PICKLED), *(("msgpacked", value) for value in MSGPACKED)]
)
def test_another_serializer_carries_what_it_carries_for_celery(tasks_of, name, value):
    """A FireX task gets and gives what a plain Celery task of that app does, also through chains and children."""
    tasks = tasks_of(name)
    plain = tasks.plain.delay(value).get(timeout=10)
    chain = (tasks.echo.s(value) | tasks.echo.s(value="@echoed")).delay().get(timeout=10)

    assert chain["value"] == chain["echoed"] == tasks.parent.delay(value=value).get(timeout=10)["result"] == plain
    assert type(chain["echoed"]) is type(plain)


@pytest.mark.parametrize("name", ["pickled", "msgpacked"])
def test_another_serializer_gets_no_marks(tasks_of, name):
    """No header of ours says that anything was encoded."""
    assert tasks_of(name).marks.delay().get(timeout=10)["marks"] == []


def test_pickle_carries_exceptions_whole(tasks_of):
    """An exception comes back with an argument of any class."""
    with pytest.raises(CustomError) as failed:
        tasks_of("pickled").fail.delay(Custom(5)).get(timeout=10)

    assert failed.value.args == (Custom(5),)


@pytest.mark.parametrize("pool", ["prefork"], scope="module")
@pytest.mark.parametrize("name", ["pickled", "msgpacked"])
def test_workers_that_answer_in_another_serializer_disturb_nobody(tasks_of, worker_for, name):
    """A parent that asks all workers on the broker something takes an answer that it can't read for none."""
    tasks_of(name)
    worker_for("worker.apps.fix_rows", concurrency=9)
    parent = fix_rows.wait_and_ask.delay("k")
    fix_rows.hear("k.started")
    fix_rows.doze.delay(1.5).get(timeout=10)
    fix_rows.say("k", "end")

    assert parent.get(timeout=10)["key"] == "k"


# ── a backend of files ───────────────────────────────────────────────────────────────────


@pytest.fixture
def filed_worker(worker_for, pool):
    return worker_for("worker.apps.filed", pool=pool, concurrency=3)


def quiet(worker):
    """Whether the worker logged nothing but the course of its tasks."""
    told = worker.log_tail()
    return not any(word in told for word in ("ERROR", "WARNING", "Traceback", "CRITICAL"))


def test_other_backends_serve_chains_and_children_quietly(filed_worker):
    """Chains, children, parallel, once, cache and forgetting work by polling, without a word in the log."""
    bag = filed.parent.delay(1).get(timeout=20)

    assert bag["got"] == [22, [1, 2, 3], 2, 2, 1]
    assert quiet(filed_worker)


def test_other_backends_carry_failures(filed_worker):
    """A parent learns of its child's failure and cause, and of results before it."""
    with pytest.raises(ChainInterruptedException) as failed:
        filed.failing_parent.delay().get(timeout=10)

    assert repr(failed.value.__cause__) == "ValueError('broken')"


def test_other_backends_know_revocations_of_their_own_process(filed_worker):
    """A parent may revoke its child, and its end is not held up by it."""
    assert filed.revoking_parent.delay().get(timeout=10)["revoked"]
    assert quiet(filed_worker)


def test_results_are_extracted_from_other_backends(filed_worker):
    """Results of a whole chain are found."""
    result = (filed.one.s(1) | filed.two.s()).delay()
    result.get(timeout=10)

    assert get_results(result) == {"y": 2, "z": 22}
    assert quiet(filed_worker)


# ── no backend ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def backendless_worker(worker_for, pool):
    return worker_for("worker.apps.backendless", pool=pool, concurrency=2)


def test_without_a_backend_chains_and_children_run(backendless_worker):
    """A task may send children though nobody can wait for them; it ends well, and quietly."""
    result = backendless.send_child.delay()
    for end in ("{'n': 3, 'chain_depth': 1", f"{result.id}] succeeded"):
        wait_until(lambda end=end: end in backendless_worker.log_tail(), what=end)

    assert quiet(backendless_worker)


def test_without_a_backend_a_wait_says_why_it_fails(backendless_worker):
    """A task that waits for a child fails, and its failure names what is missing."""
    result = backendless.wait_for_child.delay()
    told = wait_until(lambda: backendless_worker.log_tail(500).partition(f"{result.id}] raised")[2], what="failure")

    assert "esult backend" in told
    assert "AttributeError" not in told
