"""Tasks that wait for others lend their slot: others run meanwhile, no more at a time than were asked for."""

import os
import signal

import pytest
from celery import Celery

from worker.apps import lending as tasks
from worker.apps.lending import app
from worker.ear import Ear
from worker.rig import BACKEND, BROKER, wait_until

APP = "worker.apps.lending"

pytestmark = pytest.mark.timeout(60)
both_pools = pytest.mark.parametrize("pool", ["prefork", "threads"])


def stats(worker):
    """What a worker tells of itself, if it hears; asked over a new connection, as a broker may have ended meanwhile."""
    with worker.app.connection_for_write() as connection:
        inspect = worker.app.control.inspect([worker.name], limit=1, timeout=1, connection=connection)
        return (inspect.stats() or {}).get(worker.name)


def slots(worker):
    """What a worker tells of its slots; one that has just started may not hear the question yet."""
    return wait_until(lambda: stats(worker), 20, what=f"an answer of {worker.name}").get("slots", {})


def settle(worker, **expected):
    """Wait until the worker says so about its slots."""
    wait_until(lambda: expected.items() <= slots(worker).items(), 20, what=f"{expected} of {slots(worker)}")


def begun_at_once():
    """The most tasks that had begun and neither waited nor ended, at any moment when one began."""
    return max(int(seen) for seen in app.backend.client.lrange(tasks.SEEN, 0, -1))


def begins(key, client=app):
    """The process of a task, once it has told that it has begun."""
    heard = client.backend.client.blpop(f"{key}-begun", timeout=20)
    assert heard, f"{key} has not begun"
    return int(heard[1])


def let_go(*keys, client=app):
    """Tell tasks to go on."""
    for key in keys:
        client.backend.client.rpush(key, "go on")


def assert_it_takes(worker, count, client=app, beside=0):
    """The worker runs so many tasks beside those that wait, and fetches no more."""
    keys = [f"hold{number}" for number in range(count + 2)]
    ids = [client.send_task(f"{APP}.hold", (key,)).id for key in keys]
    for key in keys[:count]:
        begins(key, client)
    settle(worker, running=count, blocked=beside, waiting=0)
    assert client.backend.client.llen(APP) == 2
    let_go(*keys, client=client)
    for task in ids:
        wait_until(lambda task=task: client.backend.get_task_meta(task)["status"] == "SUCCESS", 20, what=f"{keys}")
    client.backend.client.delete(*(f"{key}-begun" for key in keys))


@both_pools
def test_a_deep_tree_ends_at_concurrency_one(start_worker, pool):
    """Fifty parents, each waiting for the next, end where one task may run; then the pool is as small as before."""
    worker = start_worker(APP, pool=pool, concurrency=1)

    assert tasks.nested.delay(50).get(timeout=30) == 50
    assert begun_at_once() == 1
    settle(worker, processes=1, blocked=0, running=0)
    wait_until(lambda: len(worker.children) <= 1, what="the end of the other processes")
    assert tasks.nested.delay(2).get(timeout=20) == 2


@both_pools
def test_a_wide_tree_runs_no_more_than_it_may(start_worker, pool):
    """Twenty parents, each waiting for five children, never have more than two tasks begun, whatever is fetched."""
    worker = start_worker(APP, pool=pool, concurrency=2, options=("--prefetch-multiplier", "4"))
    parents = [tasks.parent.delay(5) for _ in range(20)]

    assert [parent.get(timeout=30) for parent in parents] == [5] * 20
    assert begun_at_once() <= 2
    settle(worker, processes=2, blocked=0, running=0, waiting=0)


def test_no_process_is_added_while_one_is_idle(start_worker):
    """A tree of ten levels in a pool of sixteen keeps the pool as it is."""
    worker = start_worker(APP, concurrency=16)
    pool = worker.children

    assert tasks.nested.delay(10).get(timeout=20) == 10
    assert worker.children == pool


def test_processes_that_end_after_each_task_are_replaced(start_worker):
    """A limit of one task for each process goes together with slots that are lent."""
    start_worker(APP, concurrency=1, options=("--max-tasks-per-child", "1"))

    assert tasks.nested.delay(4).get(timeout=20) == 4
    assert tasks.nested.delay(4).get(timeout=20) == 4
    assert begun_at_once() == 1


@pytest.fixture
def blocking(start_worker):
    """Start a worker of two slots in which one task waits; gives the worker, its process and the result."""

    def blocking(pool="prefork", **options):
        worker = start_worker(APP, pool=pool, concurrency=2, **options)
        result = tasks.block.delay("blocked")
        process = begins("blocked")
        settle(worker, blocked=1, running=0)
        return worker, process, result

    return blocking


def test_a_process_that_is_killed_while_its_task_waits_counts_no_more(blocking):
    """The worker lends no more than before, and takes as many tasks as before."""
    worker, process, _ = blocking()

    os.kill(process, signal.SIGKILL)

    settle(worker, blocked=0, running=0)
    assert_it_takes(worker, 2)


def test_a_task_that_is_revoked_while_it_waits_counts_no_more(blocking):
    worker, _, result = blocking()

    result.revoke(terminate=True)

    settle(worker, blocked=0, running=0)
    assert_it_takes(worker, 2)


def test_a_process_that_is_killed_by_a_time_limit_counts_no_more(start_worker):
    worker = start_worker(APP, concurrency=2)
    tasks.limited.delay("limited")
    begins("limited")
    settle(worker, blocked=1, running=0)

    settle(worker, blocked=0, running=0)
    assert_it_takes(worker, 2)


@both_pools
def test_a_task_that_goes_on_takes_its_slot_back(blocking, pool):
    worker, _, result = blocking(pool)

    let_go("blocked")
    result.get(timeout=20)

    settle(worker, blocked=0, running=0)
    assert_it_takes(worker, 2)


def test_a_task_whose_wait_is_cut_short_takes_its_slot_back(start_worker):
    """A soft time limit in the middle of a wait, and the task works on."""
    worker = start_worker(APP, concurrency=1)
    result = tasks.cut_short.delay("cut")
    begins("never")
    settle(worker, blocked=1, running=0)

    begins("cut")

    settle(worker, blocked=0, running=1)
    let_go("cut")
    result.get(timeout=20)


@both_pools
def test_a_task_that_was_fetched_for_a_slot_that_is_needed_again_is_given_back(start_worker, pool):
    """Another worker may have a slot for it: so it must not wait here while a task works on after its wait."""
    worker = start_worker(APP, pool=pool, concurrency=1)
    tasks.block_and_hold.delay("first", "second")
    begins("first")
    settle(worker, blocked=1)
    let_go("first")
    begins("second")

    leaf = tasks.leaf.delay()

    settle(worker, running=1, blocked=0, waiting=0)
    wait_until(lambda: app.backend.client.llen(APP) == 1, what="the message in its queue")
    let_go("second")
    assert leaf.get(timeout=20) == 1


@both_pools
def test_the_counts_are_right_after_a_restart_of_the_broker(own_server, start_worker, tmp_path, pool):
    """A task waits through an outage: beside it one runs and no more, and after it as many as before."""
    client = Celery("client", broker=own_server.url, backend=own_server.url, set_as_current=False)
    client.conf.task_default_queue = APP
    env = {BROKER: own_server.url, BACKEND: own_server.url}
    worker = start_worker(APP, pool=pool, concurrency=1, env=env, app=client)
    os.mkfifo(tmp_path / "pipe")
    client.send_task(f"{APP}.block_on_pipe", ("blocked", str(tmp_path / "pipe")))
    begins("blocked", client)
    settle(worker, blocked=1, running=0)

    own_server.kill()
    own_server.start()

    assert_it_takes(worker, 1, client, beside=1)
    (tmp_path / "pipe").write_text("go on")
    settle(worker, blocked=0, running=0)
    assert_it_takes(worker, 1, client)


def test_the_worker_says_once_what_to_do_when_no_process_is_left(start_worker):
    """Where two processes are allowed and the tasks of both wait, a third task has to wait for one of them."""
    worker = start_worker(APP, concurrency=1, env={tasks.MOST: "2"})
    blocked = [tasks.block.delay(key) for key in ("blocked", "other")]
    for key in ("blocked", "other"):
        begins(key)
    leaves = [tasks.leaf.delay() for _ in range(2)]

    wait_until(lambda: worker.says("firexkit_most_processes is 2"), what="the advice")
    let_go("blocked", "other")

    assert [leaf.get(timeout=20) for leaf in leaves] == [1, 1]
    assert [result.get(timeout=20) for result in blocked] == [None, None]
    assert worker.log.read_text().count("firexkit_most_processes is 2") == 1


def told_by(ear):
    """What the last event about slots told."""
    return (ear.of_type("worker-slots") or [{"blocked": None}])[-1]


@both_pools
def test_what_the_slots_do_is_told_to_monitors(blocking, pool):
    """The last event of the worker tells its last state."""
    with Ear(app) as ear:
        blocking(pool)
        wait_until(lambda: told_by(ear)["blocked"] == 1, what="an event that tells of the wait")
        told = told_by(ear)
        let_go("blocked")
        wait_until(lambda: told_by(ear)["blocked"] == 0, what="an event that tells of its end")

    expected = {"slots": 2, "running": 0, "blocked": 1, "waiting": 0, "limit": None}
    assert told.items() >= expected.items()


def test_workers_of_a_firex_app_lend_slots(start_worker):
    worker = start_worker("worker.apps.lending_firex", concurrency=1)

    assert slots(worker).items() >= {"slots": 1, "blocked": 0}.items()


@pytest.mark.parametrize(
    ("app_module", "options", "reason"),
    [
        ("worker.apps.lending_off", (), ""),
        (APP, ("--autoscale", "2,1"), "--autoscale sizes its pool"),
        (APP, ("--pool", "solo"), "a pool of celery.concurrency.solo can't grow"),
    ],
)
def test_slots_are_kept(start_worker, app_module, options, reason):
    """Where the user says so or it can't be, a task that waits keeps its slot; the log tells why."""
    worker = start_worker(app_module, concurrency=1, options=options)

    assert slots(worker) == {}
    assert worker.says(f"Tasks that wait for others keep their slots in this worker: {reason}") == bool(reason)
