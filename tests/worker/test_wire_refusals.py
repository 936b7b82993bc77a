"""What can't travel, or must not be believed, says so within a second, by name, key path and type."""

import json
import time

import pytest
from celery.result import AsyncResult
from kombu import Producer, Queue
from kombu.utils.uuid import uuid

from firexkit import _wire
from firexkit._serialization import WireError
from firexkit.result import ChainInterruptedException
from worker.apps import wire as tasks
from worker.apps.wire import REFUSED
from worker.rig import keys_of_tasks

APP = "worker.apps.wire"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=3)


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def within_a_second():
    """The test's body is quick, whatever it does."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 1


# ── enqueue ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("where", ["argument 1", "argument 'value'", "a chain's second", "eager"])
def test_an_argument_is_refused_and_nothing_is_sent(client, within_a_second, name, where):
    """The error names task, argument, key path and type; no message and no key is there."""
    bad, text = REFUSED[name]
    by_position, by_name = tasks.take.s(name, bad), tasks.take.s(name, value=bad)
    chain = {"argument 1": by_position, "a chain's second": tasks.give.s("set") | by_name}.get(where, by_name)
    chain.app.conf.task_always_eager = where == "eager"
    try:
        with pytest.raises(
            WireError, match=rf"argument (1|'value') of task {tasks.take.name} cannot be sent: .*{text}"
        ):
            chain.apply_async()
    finally:
        chain.app.conf.task_always_eager = False

    assert not keys_of_tasks(client)


@pytest.mark.parametrize("name", REFUSED)
def test_a_child_is_refused_in_its_parent(worker, within_a_second, name):
    """A parent fails with the same error where it enqueues, and has no child."""
    parent = tasks.refused_child.delay(name)
    with pytest.raises(WireError, match=rf"argument 1 of task {tasks.take.name} cannot be sent: .*{REFUSED[name][1]}"):
        parent.get(timeout=5)

    assert parent.children == []


# ── return ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", REFUSED)
def test_a_return_is_refused(worker, within_a_second, name):
    """A task that returns it has failed, and its failure names task, key path and type."""
    path = r"what task worker\.apps\.wire\.give_refused returned cannot be sent: \['refused'\]\['inside'\]"
    with pytest.raises(WireError, match=rf"{path}.*{REFUSED[name][1]}"):
        tasks.give_refused.delay(name).get(timeout=5)


def test_a_return_refused_in_mid_chain_breaks_the_chain(worker):
    """The parent of such a chain learns which member it was, and the next one never runs."""
    result = (tasks.give_refused.s("stranger") | tasks.take.s("set", "@refused")).delay()
    with pytest.raises((WireError, ChainInterruptedException), match="give_refused returned"):
        result.get(timeout=5)

    assert result.parent.state == "FAILURE"


# ── forged ───────────────────────────────────────────────────────────────────────────────


def forged(class_name, tag="object"):
    """A value that claims to be an instance of a class."""
    return {_wire.ENVELOPE: _wire.WIRE_VERSION, "value": {_wire.TAG: tag, "class": class_name, "value": {"x": 1}}}


def publish_raw(value):
    """A message as nobody but kombu wrote it; the id of its task."""
    task_id = uuid()
    headers = {"lang": "py", "task": tasks.take.name, "id": task_id, "root_id": task_id, _wire.ENCODED_HEADER: 1}
    with tasks.app.connection_for_write() as connection:
        Producer(connection).publish(
            [[], {"name": "set", "value": value}, {}],
            routing_key=APP,
            headers=headers,
            correlation_id=task_id,
            serializer="json",
            declare=[Queue(APP, routing_key=APP)],
        )
    return task_id


@pytest.mark.parametrize(
    "class_name", ["subprocess:Popen", "os:system", "worker.apps.wire:NotMentioned", "worker.apps.wire:Stranger", "x:y"]
)
def test_a_forged_message_is_refused(worker, class_name):
    """A message that names a class that no task mentions makes nothing of that class: its task fails and says why."""
    task_id = publish_raw(forged(class_name))
    with pytest.raises(WireError, match=f"'{class_name}' is no class that may be rebuilt here"):
        AsyncResult(task_id, app=tasks.app).get(timeout=5)

    assert tasks.take.delay("set", tasks.VALUES["set"]).get(timeout=5)["verdict"] == "same"


def test_a_forged_result_is_refused(worker, client):
    """A result that names such a class is refused by whoever reads it."""
    meta = {"status": "SUCCESS", "result": forged("subprocess:Popen"), "traceback": None, "children": []}
    client.set("celery-task-meta-forged", json.dumps({**meta, "task_id": "forged"}))
    with pytest.raises(WireError, match="'subprocess:Popen' is no class that may be rebuilt here"):
        AsyncResult("forged", app=tasks.app).get(timeout=5)


def test_a_forged_exception_is_no_code(worker, client):
    """A failure that names something other than an exception class comes as a stand-in."""
    told = {"class": "subprocess:Popen", "text": "ls", "arguments": ["ls"]}
    stored = {"exc_type": "Popen", "exc_message": ["ls"], "exc_module": "subprocess", _wire.EXCEPTION_EXTRA: told}
    meta = {"status": "FAILURE", "result": stored, "traceback": None, "children": [], "task_id": "forged"}
    client.set("celery-task-meta-forged", json.dumps(meta))

    assert repr(AsyncResult("forged", app=tasks.app).result).startswith("RemoteError('subprocess.Popen'")
