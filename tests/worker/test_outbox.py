"""What a task tells, and when it has arrived."""

import time

import pytest
from celery import Celery
from celery.app.task import Context
from celery.result import AsyncResult
from celery.states import EXCEPTION_STATES, READY_STATES

from firexkit.result import get_task_postrun_info
from firexkit.revoke import revoke_result
from worker.apps import waking as tasks
from worker.apps.waking import hear, say
from worker.ear import Ear
from worker.rig import BACKEND, BROKER, wait_until

APP = "worker.apps.waking"

pytestmark = pytest.mark.timeout(60)
only_prefork = pytest.mark.parametrize("pool", ["prefork"], scope="module")


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=10, env={tasks.ONLY_WOKEN: "yes"})


# ── code of a user around the function ───────────────────────────────────────────────────


@pytest.mark.parametrize("task", [tasks.talks, tasks.talks_of_nothing], ids=["a result", "no result"])
def test_what_hooks_send_arrives_at_once(worker, task):
    """A hook of a task may send a task and wait for what that does: nothing is kept until the hook ends."""
    result = task.delay(1)
    wait_until(lambda: tasks.app.backend.client.hget(result.id, "TASK_POST_RUN") or result.ready(), what="its end")

    assert "nobody said" not in worker.log_tail()


def test_what_was_told_has_arrived_when_a_hook_runs(worker):
    """While a user's code before the function takes its time, monitors know the start, and so does the backend."""
    with Ear(worker.app) as ear:
        result = tasks.slow_to_begin.delay("k")
        hear("k.started")

        assert result.state == "STARTED"
        wait_until(lambda: ear.of_type("task-started-info", result.id), what="its event")
    revoke_result(result)


@only_prefork
@pytest.mark.parametrize("task", [tasks.slow_to_begin, tasks.slow_to_show], ids=["hook", "formatter"])
def test_a_task_that_is_ended_before_its_function_stays_revoked(worker, task):
    """Nothing that was still to be told of its start is told over its end."""
    result = task.delay("k")
    hear("k.started")
    revoke_result(result)
    hear("k.ended")
    wait_until(lambda: get_task_postrun_info(result), what="its end")

    assert tasks.app.backend.get_task_meta(result.id)["status"] == "REVOKED"


# ── events ───────────────────────────────────────────────────────────────────────────────


def test_events_are_those_of_celerys_dispatcher(worker):
    """What leaves with a state carries what Celery adds to an event that a body sends, with a clock that goes on."""
    with Ear(worker.app) as ear:
        result = tasks.tells_in_its_body.delay()
        types = ear.told_by(result)
    started, sent, told = ear.events(result.id)
    own = {"firex_result", "told", *(started.keys() - told.keys())}

    assert types == ["task-started-info", "task-of-a-user", "task-results"]
    assert told.keys() - own == sent.keys() - own
    assert {**told, **sent, "told": "body"}.items() >= sent.items()
    assert (told["hostname"], told["pid"]) == (sent["hostname"], sent["pid"])
    assert started["clock"] < sent["clock"] < told["clock"]
    assert told["firex_result"] == {"told": "end"}


def test_a_monitor_that_comes_later_misses_nothing(worker):
    """That nobody heard the start of a task does not mean that nobody hears its end."""
    result = tasks.told_to.delay("k", 1)
    hear("k.started")
    with Ear(worker.app) as ear:
        say("k")

        assert ear.told_by(result) == ["task-results"]


# ── states that come late ────────────────────────────────────────────────────────────────


def request(**options):
    return Context({"task": tasks.quick.name, "id": "late", "retries": 0, "delivery_info": {}, **options})


AGAIN, REDELIVERED = {"retries": 1}, {"delivery_info": {"redelivered": True}}


@pytest.mark.parametrize(
    ("stored", "late", "options"),
    [
        ("SUCCESS", "STARTED", AGAIN),
        ("SUCCESS", "STARTED", REDELIVERED),
        ("SUCCESS", "SUCCESS", REDELIVERED),
        ("SUCCESS", "RETRY", {}),
        ("SUCCESS", "FAILURE", {}),
        ("SUCCESS", "REVOKED", {}),
        ("SUCCESS", "REVOKED", None),
        ("FAILURE", "RETRY", {}),
        ("REVOKED", "RETRY", {}),
    ],
)
def test_a_late_state_replaces_no_end(server, stored, late, options):
    """How a task ended stays, whatever another attempt, another worker or a revocation writes after it."""
    backend = tasks.app.backend
    backend.store_result("late", value_of(stored, 1), stored, request=request())
    backend.store_result("late", value_of(late, 2), late, request=None if options is None else request(**options))

    told = backend.get_task_meta("late")
    assert (told["status"], str(told["result"])) == (stored, "1")


def value_of(state, number):
    return ValueError(number) if state in EXCEPTION_STATES else number


@pytest.mark.parametrize("later", ["SUCCESS", "FAILURE", "REVOKED"])
@pytest.mark.parametrize("earlier", ["STARTED", "RETRY"])
def test_an_end_replaces_what_was_before(server, earlier, later):
    """Of another attempt, too."""
    backend = tasks.app.backend
    for options in ({}, AGAIN, REDELIVERED):
        backend.store_result("late", value_of(earlier, 1), earlier, request=request())
        backend.store_result("late", value_of(later, 2), later, request=request(**options))

        assert backend.get_task_meta("late")["status"] == later
        backend.forget("late")


# ── while the server is away ─────────────────────────────────────────────────────────────


class Elsewhere:
    """A worker and a client with another server, for both or for the results alone."""

    def __init__(self, start_worker, broker, backend, **options):
        self.client = Celery("client", broker=broker.url, backend=backend.url, set_as_current=False)
        self.client.conf.task_default_queue = APP
        self.env = {BROKER: broker.url, BACKEND: backend.url, tasks.ONLY_WOKEN: "yes"}
        self.worker = start_worker(APP, env=self.env, app=self.client, concurrency=6, **options)

    def send(self, task, *args, **kwargs):
        """The id alone: a result would hear the server that is to die, and look for it for a long time."""
        return self.client.send_task(task.name, args, kwargs).id

    def meta(self, task_id):
        return self.client.backend.get_task_meta(task_id)

    def returned(self, task_id):
        wait_until(lambda: self.meta(task_id)["status"] in READY_STATES, 30, what=f"end of {task_id}")
        return self.meta(task_id)["result"]


def break_off(server):
    """Crash the server; it comes back on the same data."""
    server.kill()
    time.sleep(0.2)  # the outage itself, nothing is waited for
    server.start()


def test_an_outage_in_the_middle_of_a_wait(own_server, start_worker, tmp_path):
    """Who waits goes on when the child has ended after it; and so does who has sent a child and waits later."""
    run = Elsewhere(start_worker, own_server, own_server)
    waiting = run.send(tasks.of_one_through_an_outage, str(tmp_path / "one"))
    later = run.send(tasks.of_one_sent_before_an_outage, str(tmp_path / "two"))
    for name in ("one", "two"):
        wait_until((tmp_path / f"{name}.started").exists, what=f"start of {name}")
    break_off(own_server)
    for name in ("two.wait", "one", "two"):
        (tmp_path / name).touch()

    assert run.returned(waiting)["seen"] == [1, 2]
    assert run.returned(later)["seen"] == 1
    assert [(tmp_path / f"{name}.started").read_text() for name in ("one", "two")] == ["x", "x"]


def test_an_outage_between_the_start_of_a_task_and_its_end(own_server, start_worker, tmp_path):
    """What the server had not confirmed is told again before the end: the record is whole, the state is the end's."""
    run = Elsewhere(start_worker, own_server, own_server)
    task_id = run.send(tasks.until_file, str(tmp_path / "one"), answer=1, ends=own_server.pid)
    wait_until(lambda: own_server.pid is None, what="the server's end")
    break_off(own_server)
    (tmp_path / "one").touch()

    assert run.returned(task_id)["answer"] == 1
    assert (tmp_path / "one.started").read_text() == "x"
    with own_server.client() as client:
        assert client.hget(task_id, "attempt") == b"1"
        assert client.exists(f"{task_id}_starttime")


# ── two servers ──────────────────────────────────────────────────────────────────────────


def test_a_backend_that_is_not_the_broker(server, own_server, start_worker):
    """Parents are woken, chains are whole, and events come in their order, though nothing can leave together."""
    run = Elsewhere(start_worker, own_server, server)
    with Ear(run.client) as ear:
        parents = [
            run.send(parent)
            for parent in (tasks.of_one, tasks.of_large_ones, tasks.of_many, tasks.of_a_chain, tasks.of_a_broken_chain)
        ]
        seen = [run.returned(parent)["seen"] for parent in parents]
        told = ear.told_by(AsyncResult(parents[0], app=run.client))

    assert seen == [1, [10_000, 10_000], [*range(8)], 1, ["ChainInterruptedException", "broken"]]
    assert told == ["task-started-info", "task-blocked", "task-unblocked", "task-results"]
