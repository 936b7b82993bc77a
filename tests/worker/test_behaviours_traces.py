"""What tasks leave behind: log files only beside a worker's own, keys that expire or can be forgotten, no scans."""

import pytest

from firexkit import _wire
from firexkit.result import forget_chain_results, get_task_postrun_info
from worker.apps import behaviours as tasks
from worker.apps.behaviours import say
from worker.rig import Worker, keys_of_tasks, wait_until

APP = "worker.apps.behaviours"
OWN_QUEUE = f"{APP}.logged"
DAY = 24 * 3600

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=4)


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


# ── log files ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def logging_worker(server, pool, tmp_path):
    log = tmp_path / "main.log"
    worker = Worker(APP, tmp_path, pool=pool, concurrency=2, options=("--logfile", str(log), "-Q", OWN_QUEUE))
    worker.log = log
    yield worker.start()
    worker.kill()


def test_a_worker_with_a_log_file_gets_one_for_each_task(logging_worker):
    """The page of a task stands under the worker's name beside the worker's log, and tells what the task logged."""
    result = tasks.tell_surroundings.apply_async(queue=OWN_QUEUE)
    page, url, log, log_url, directory = result.get(timeout=10)["told"]["paths"]
    directory_expected = logging_worker.log.parent / logging_worker.name
    expected = directory_expected / f"{tasks.tell_surroundings.name}_{result.id}.html"

    assert page == url == str(expected)
    assert (log, log_url) == (str(logging_worker.log), f"{logging_worker.log}#{result.id}")
    assert directory == str(directory_expected)
    assert "a line of its own" in expected.read_text()
    assert list(directory_expected.iterdir()) == [expected]


def test_a_worker_without_a_log_file_writes_none(worker):
    """Nothing is written beside the output of a worker that logs to its terminal."""
    tasks.mix.delay(1, 2).get(timeout=10)

    assert not list(worker.log.parent.rglob("*.html"))


# ── keys ─────────────────────────────────────────────────────────────────────────────────


def test_forgetting_a_child_removes_all_its_keys(worker):
    """A chain with children leaves as many keys as there were before it."""
    bag = tasks.forget_tree.delay().get(timeout=10)

    assert len(bag["sent"]) == 4 * 3  # three tasks and a child: a result, a record and a start time each
    assert bag["left"] == []


def test_forgetting_a_child_whose_process_has_not_finished(worker, client):
    """What the child's process still writes when its result is there and forgotten does not stay."""
    child_id = tasks.forget_lingering.delay("k").get(timeout=10)["left"]
    wait_until(lambda: not client.exists("k.leave"), what="the child's process to go on")
    tasks.mix.delay(1, 2).get(timeout=10)
    tasks.mix.delay(1, 2).get(timeout=10)

    assert not [key for key in keys_of_tasks(client) if child_id in key]


def test_forgetting_from_outside_removes_all_keys_of_a_run(worker, client):
    """Whoever started a run can remove every key that it made, but the results kept for later callers."""
    before = keys_of_tasks(client)
    result = (tasks.mix.s(1, 2) | tasks.nest.s(levels=3) | tasks.frame.s("@violet")).delay()
    result.get(timeout=10)
    wait_until(lambda: get_task_postrun_info(result), what="end of the last process")
    forget_chain_results(result)

    assert keys_of_tasks(client) == before


def test_all_keys_of_tasks_expire(worker, client):
    """With Celery's default, no key of a task that has ended stays for longer than a day, and no claim than a week."""
    before = keys_of_tasks(client)
    tasks.use_everything.delay("once").get(timeout=10)
    say("mine")
    made = keys_of_tasks(client) - before - {"mine", "once.ran", "once.company"}
    claims = {key for key in made if key.startswith(_wire.ONCE_COUNT) or key.endswith(_wire.CLAIM_SUFFIX)}

    assert {client.ttl(key) for key in claims} <= lasting(7 * DAY)
    wait_until(lambda: {client.ttl(key) for key in made - claims} <= lasting(DAY), what="the ends of all bodies")
    assert len(made - claims) > 6


def lasting(seconds):
    return set(range(seconds - 60, seconds + 1))


def test_nobody_scans_the_keys(worker, client):
    """Once, cache, children and forgetting need no command that walks over all keys."""
    client.config_resetstat()
    tasks.use_everything.delay("once").get(timeout=10)
    used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}

    assert "hset" in used
    assert not used & {"keys", "scan", "randomkey", "dbsize", "sort"}
