"""Rows of the quirk registers that show only with a real worker, named after the row (tasks: fix, results: q)."""

import psutil
import pytest
from celery import Celery
from celery.result import AsyncResult

from firexkit.result import (
    ChainInterruptedByZombieTaskException,
    ChainRevokedException,
    find_unsuccessful_in_chain,
    forget_chain_results,
    was_queue_ready,
)
from firexkit.revoke import revoke_result
from worker.apps import fix_rows as tasks
from worker.apps.fix_rows import hear, say
from worker.ear import Ear
from worker.rig import BACKEND, BROKER, Worker, wait_until

APP = "worker.apps.fix_rows"
LOGGING_QUEUE = f"{APP}.logged"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=9)


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def result_of(task_id):
    return AsyncResult(task_id, app=tasks.app)


# ── tasks: once (1, 2) ───────────────────────────────────────────────────────────────────


def test_fix_01_a_second_caller_gets_the_first_ones_answer(worker, client):
    """Two tasks that ask for the same key run one child, and both have its answer."""
    got = tasks.ask_twice.delay().get(timeout=10)["got"]

    assert got == [int(hear("ran"))] * 2
    assert not client.exists("ran")


def test_fix_02_the_key_of_an_owner_that_failed_is_free(worker):
    """A caller that comes after the owner failed to send owns the key at once."""
    assert tasks.ask_after_failure.delay().get(timeout=10)["got"] == 2


def test_fix_02_a_caller_that_waits_already_takes_over(worker):
    """A caller that waits for an owner that fails to send does not wait in vain."""
    assert tasks.ask_beside_failure.delay().get(timeout=15)["got"] == 3


# ── tasks: chains (4, 5, 6) ──────────────────────────────────────────────────────────────


def test_fix_04_a_signature_may_be_used_again(worker):
    """A signature twice in a chain, in two chains, and a chain applied twice give what they say."""
    again = tasks.increase.s()
    chain, other = tasks.increase.s(1) | again | again, tasks.increase.s(10) | again
    ends = [one.delay() for one in (chain, chain, other, chain)]

    assert [end.get(timeout=10)["n"] for end in ends] == [4, 4, 12, 4]
    assert dict(again.kwargs) == {}


def test_fix_05_a_bag_that_is_passed_on_leaves_the_chain_depth_behind(worker):
    """A lone child that is given the bag of a later chain member keeps the dict it was given."""
    chain = tasks.increase.s(1) | tasks.pass_all_on.s(7)

    assert chain.delay().get(timeout=10)["took"] == {"own": 7}


def test_fix_06_an_immutable_member_keeps_its_dict(worker):
    """A dict given to an immutable member is its argument, not the previous result."""
    chain = tasks.increase.s(1) | tasks.take.si({"n": "mine"}) | tasks.increase.si(5)
    result = chain.delay()

    assert result.get(timeout=10)["n"] == 6
    assert result.parent.result["took"] == {"n": "mine"}


# ── tasks: cache, log files, contexts (17, 20, 21) ───────────────────────────────────────


@pytest.mark.parametrize("point_at_failure", [False, True], ids=["result gone", "task failed"])
def test_fix_17_a_useless_cache_entry_is_replaced(worker, client, point_at_failure):
    """An entry whose result is gone or failed counts as none: the task runs, and the next call has its answer."""
    bag = tasks.ask_cache_in_vain.delay(point_at_failure).get(timeout=10)

    assert bag["doubles"] == [8, 8]
    assert client.llen("ran") == 2


@pytest.fixture
def logging_process(server, tmp_path):
    """The one process of a pool whose tasks have log files."""
    options = ("--logfile", str(tmp_path / "main.log"), "-Q", LOGGING_QUEUE)
    worker = Worker(APP, tmp_path, concurrency=1, options=options)
    worker.log = tmp_path / "main.log"
    (pid,) = worker.start().children
    yield psutil.Process(pid)
    worker.kill()


@pytest.mark.parametrize("pool", ["prefork"], scope="module")
def test_fix_20_log_files_are_closed(logging_process, pool, tmp_path):
    """After fifty more tasks with log files the process has no more files open than before."""
    open_files = []
    for _ in range(2):
        results = [tasks.increase.apply_async((1,), queue=LOGGING_QUEUE) for _ in range(50)]
        assert [result.get(timeout=10)["n"] for result in results] == [2] * 50
        open_files.append(logging_process.num_fds())

    assert len(list(tmp_path.rglob("*.html"))) == 100
    assert open_files[1] <= open_files[0]


def test_fix_21_executions_of_one_task_do_not_mix(worker):
    """Eight executions at a time, each of which has called itself twice, see their own arguments all along."""
    results = [tasks.mirror.delay(number=number, company=8) for number in range(8)]
    seen = [result.get(timeout=20)["seen"] for result in results]

    assert [[one["number"], one["bound"], one["kwargs"]] for one in seen] == [[number] * 3 for number in range(8)]
    assert [one["id"] for one in seen] == [result.id for result in results]
    assert {one["name"] for one in seen} == {tasks.mirror.name}


# ── tasks: waits (27, 28) ────────────────────────────────────────────────────────────────


def test_fix_27_a_failure_nobody_waited_for_fails_nobody(worker):
    """The wait at the end of a parent leaves its success alone when a child failed."""
    result = tasks.forget_to_wait.delay()
    result.get(timeout=10)

    assert [child.state for child in result.children] == ["FAILURE"]


@pytest.mark.parametrize(("revoked", "failing"), [(1, 0), (2, 0), (1, 1), (2, 2)])
def test_fix_28_a_revocation_is_raised_though_failures_are_not(worker, revoked, failing):
    """Whether one child was revoked or several, alone or beside failures, the parent is told."""
    parent = tasks.do_not_raise.delay(revoked, failing)
    ids = [hear("id") for _ in range(revoked)]
    for task_id in ids:
        revoke_result(result_of(task_id))
    with pytest.raises(ChainRevokedException) as told:
        parent.get(timeout=10)

    assert told.value.task_id in ids


# ── results ──────────────────────────────────────────────────────────────────────────────


def test_q01_a_task_revoked_without_being_ended_is_waited_for(worker):
    """The wait for a running task that was revoked but not terminated goes on until its body has ended."""
    parent = tasks.wait_for_listener.delay("k")
    child = result_of(hear("id"))
    hear("k.started")
    revoke_result(child, terminate=False)
    # Time for several looks at the child: another whole task runs.
    tasks.increase.delay(1).get(timeout=10)
    running = not parent.ready()
    say("k", "the end")
    parent.get(timeout=10)

    assert running
    assert child.result["heard"] == "the end"


def test_q05_what_never_ran_is_told_as_such(worker):
    """Behind a failed member the rest of the chain is not failed but was not run."""
    last = (tasks.increase.s(1) | tasks.fail.s() | tasks.increase.s() | tasks.take.s(2)).delay()
    wait_until(last.ready, what="end of the chain")
    found = {fate: [member.id for member in members] for fate, members in find_unsuccessful_in_chain(last).items()}

    assert found == {"failed": [last.parent.parent.id], "not_run": [last.parent.id, last.id]}


def test_q14_a_wait_survives_a_broker_that_goes_away(start_worker, own_server, pool, tmp_path):
    """A parent that waits while the broker is killed and started again goes on, and so does its child."""
    url = own_server.url
    # The sender has no backend: its results would subscribe to a server that is gone when they are collected.
    sender, reader = (Celery("client", broker=url, backend=backend, set_as_current=False) for backend in (None, url))
    worker = start_worker(APP, pool=pool, concurrency=2, env={BROKER: url, BACKEND: url}, app=reader)
    parent = reader.AsyncResult(sender.send_task(tasks.wait_for_file.name, [str(tmp_path)], queue=APP).id)
    wait_until((tmp_path / "started").exists, what="start of the child")
    own_server.kill()
    wait_until(lambda: worker.says("onnection to broker lost"), what="the worker to notice")
    own_server.start()
    (tmp_path / "end").touch()
    wait_until(lambda: parent.state == "SUCCESS", 20, what="end of the parent")

    assert parent.result["waited"] is True


def test_q16_nothing_on_record_stays_of_a_forgotten_task(worker, client):
    """Result, record and start time of a task are there, and after it is forgotten they are not."""
    result = tasks.increase.delay(1)
    result.get(timeout=10)
    before = {key.decode() for key in client.keys(f"*{result.id}*")}
    forget_chain_results(result)

    assert before == {result.id, f"{result.id}_starttime", f"celery-task-meta-{result.id}"}
    assert client.keys(f"*{result.id}*") == []


@pytest.mark.parametrize("pool", ["prefork"], scope="module")
def test_q18_a_task_in_a_queue_whose_worker_left_is_dead(worker, start_worker):
    """A worker announces its queues when it is ready; a child in one that nobody consumes any more is told dead."""
    queue = f"{APP}.short-lived"
    unknown = was_queue_ready(queue)
    start_worker(APP, concurrency=1, options=("-Q", queue)).stop()
    parent = tasks.wait_for_queue.delay(queue)
    with pytest.raises(ChainInterruptedByZombieTaskException) as dead:
        parent.get(timeout=20)

    assert (unknown, bool(was_queue_ready(queue))) == (False, True)
    assert dead.value.task_name == tasks.take.name


def test_q22_a_revocation_outlives_those_who_heard_it(server, start_worker, pool):
    """A worker that started after a queued task was revoked knows it at once."""
    nobodys = tasks.take.apply_async((1,), queue=tasks.NOBODYS_QUEUE)
    revoke_result(nobodys)
    start_worker(APP, pool=pool, concurrency=1, options=("-Q", f"{APP}.late"))
    waiter = tasks.wait_for.apply_async((nobodys.id,), queue=f"{APP}.late")
    with pytest.raises(ChainRevokedException) as told:
        waiter.get(timeout=5)

    assert told.value.task_id == nobodys.id


def test_q23_ids_to_keep_are_found_without_a_scan(worker, client):
    """Once and cache keep lists of their keys, so forgetting beside them needs no walk over all keys."""
    client.config_resetstat()
    tasks.ask_twice.delay().get(timeout=10)
    tasks.ask_cache_in_vain.delay(True).get(timeout=10)
    used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}

    assert {"smembers", "sadd"} <= used
    assert not used & {"keys", "scan"}


def test_q26_the_second_caller_tells_the_extra_edge(worker):
    """A caller that joins a task that runs already tells monitors that this is a child of its, too."""
    with Ear(worker.app) as ear:
        result = tasks.ask_twice_myself.delay()
        ear.told_by(result)

    (told,) = ear.of_type("task-send-flame", result.id)
    assert told["additional_children"] == [result.get(timeout=1)["id"]]
