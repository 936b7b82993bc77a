"""An outage of ten seconds costs ten seconds: what is sent, stored, waited for and revoked meanwhile gets through."""

import json
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from threading import Thread

import pytest
from celery import Celery, Task
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as AwayError

from firexkit._celery import delivery
from firexkit.result import WaitOnChainTimeoutError, get_results, wait_for_any_results, wait_on_async_results
from firexkit.revoke import revoke_result
from firexkit.task import FireXTask
from worker.apps import outage as tasks
from worker.rig import BACKEND, BROKER, wait_until

APP = "worker.apps.outage"
TEN_SECONDS = 10
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def client(own_server):
    """An app of this test alone with the module's tasks: the module's own talks to the other server."""
    return client_of(own_server.url)


def client_of(url, **settings):
    app = Celery("client", broker=url, backend=url, set_as_current=False, task_cls=FireXTask)
    app.conf.update(task_default_queue=APP, **settings)
    return app


def noted(client, *args, **options):
    """Send it from here."""
    return client.tasks[tasks.noted.name].s(*args).apply_async(**options)


@pytest.fixture
def start(own_server, client, start_worker):
    """Start a worker on the server that is to be away."""

    def start(**options):
        env = {BROKER: own_server.url, BACKEND: own_server.url}
        return start_worker(APP, env=env, app=client, **options)

    return start


@contextmanager
def away(server, seconds=TEN_SECONDS):
    """The server is killed, and started again on its data when its time has passed."""
    server.kill()
    back = time.monotonic() + seconds
    try:
        yield
    finally:
        time.sleep(max(0.0, back - time.monotonic()))  # the outage itself, nothing is waited for
        server.start()


def away_for_long(server):
    """The outage that the default patience is for."""
    return away(server, 60)


@contextmanager
def paused(server, seconds=TEN_SECONDS):
    """The server is stopped for a while."""
    pid, back = server.pid, time.monotonic() + seconds
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        time.sleep(max(0.0, back - time.monotonic()))  # the outage itself, nothing is waited for
        os.kill(pid, signal.SIGCONT)


def in_threads(*calls):
    """Call functions at the same time; a function that gives what they returned, or raises what one raised."""
    results = {}

    def run(number, call):
        try:
            results[number] = call()
        except Exception as error:
            results[number] = error

    threads = [Thread(target=run, args=one, daemon=True) for one in enumerate(calls)]
    for thread in threads:
        thread.start()

    def joined():
        for thread in threads:
            thread.join(60)
        for result in results.values():
            if isinstance(result, Exception):
                raise result
        return [results.get(number, "hung") for number in range(len(calls))]

    return joined


def starts_in(directory):
    """How often each body started."""
    return Counter({path.stem: len(path.read_text()) for path in directory.glob("*.started")})


def sent(client, task, *args):
    """A task of the module, sent by name."""
    return client.send_task(f"{APP}.{task}", args)


@pytest.mark.parametrize("outage", [away, paused, pytest.param(away_for_long, marks=pytest.mark.soak)])
def test_an_outage_costs_its_time_only(own_server, client, start, tmp_path, outage):
    """Tasks that send, end, tell, wait and revoke, and a client that does: all of it gets through, and once."""
    start(concurrency=10)
    directory = str(tmp_path)
    noting = client.tasks[tasks.noted.name]
    acting = [sent(client, task, directory, task) for task in ("sending", "sending_a_chain", "telling", "revoking")]
    ending = noted(client, directory, "ending", 3)
    patient = sent(client, "waiting", directory, "waiting", TEN_SECONDS / 2)
    told = noted(client, directory, "told", 3)
    unwanted = noted(client, directory, "unwanted", 120)
    begun = {"ending", "told", "unwanted", "revoking-child", "waiting-child"}
    wait_until(lambda: begun <= starts_in(tmp_path).keys(), 30, what="the bodies that the outage meets")

    with outage(own_server):
        for task in ("sending", "sending_a_chain", "telling", "revoking"):
            (tmp_path / f"{task}.go").touch()
        joined = in_threads(
            lambda: noted(client, directory, "from-here"),
            (noting.s(directory, "first") | noting.si(directory, "second")).apply_async,
            lambda: wait_on_async_results(told),
            lambda: revoke_result(unwanted),
        )
    back = time.monotonic()
    from_here, chain, _, _ = joined()
    wait_on_async_results([*acting, ending, patient, from_here, chain], max_wait=40)
    assert time.monotonic() - back < 15
    values = [get_results(result)["value"] for result in acting]

    assert values[:2] == ["sending-child", "sending_a_chain-second"]
    assert [get_results(one)["value"] for one in (ending, patient, told)] == ["ending", "waiting-child", "told"]
    assert get_results(chain)["value"] == "second"
    for revoked in (unwanted, client.AsyncResult(values[3])):
        wait_until(lambda revoked=revoked: revoked.state == "REVOKED", what="the end of what was revoked")
    assert set(starts_in(tmp_path).values()) == {1}
    if outage is not paused:
        assert values[2] < TEN_SECONDS / 2, "events waited for the broker"


def test_a_sender_says_what_it_could_not_send_and_where(own_server):
    """After the patience of the app, and not before: the task, the broker without its password, and what to do."""
    client = client_of(own_server.url, firexkit_patience=0.8)
    own_server.kill()
    start = time.monotonic()
    with pytest.raises(OperationalError) as raised:
        noted(client, "/nowhere", "never")
    elapsed = time.monotonic() - start

    assert 0.8 <= elapsed < 10
    assert f"{tasks.noted.name} was not sent: the broker redis+socket://" in str(raised.value)
    assert "firexkit_patience" in str(raised.value)
    assert own_server.url not in str(raised.value)


def test_a_sender_that_wants_no_retry_is_told_at_once(own_server):
    """What Celery's own options say about trying again goes before the patience."""
    client = client_of(own_server.url)
    own_server.kill()
    start = time.monotonic()
    with pytest.raises(OperationalError):
        noted(client, "/nowhere", "never", retry=False)

    assert time.monotonic() - start < 10


@pytest.mark.parametrize("use", ["send", "read", "revoke", "store"])
def test_refused_credentials_are_not_tried_again(own_server, use):
    """A wrong password stays wrong, however long the patience is."""
    wrong = own_server.url.replace(own_server.url.split("@")[0], "redis+socket://:wrong")
    client = client_of(wrong, result_backend_always_retry=True)
    uses = {
        "send": lambda: noted(client, "/nowhere", "never"),
        "read": lambda: client.AsyncResult("some-id").state,
        "revoke": lambda: revoke_result(client.AsyncResult("some-id")),
        "store": lambda: client.backend.store_result("some-id", 1, "SUCCESS"),
    }
    start = time.monotonic()
    with pytest.raises((OperationalError, AwayError), match=r"(?i)auth|invalid|wrongpass"):
        uses[use]()

    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "wait", [wait_on_async_results, lambda *args, **limit: [*wait_for_any_results(*args, **limit)]]
)
def test_a_wait_with_a_limit_ends_at_it(own_server, client, wait):
    """Whether the broker is there or not; the error names the task."""
    result = noted(client, "/nowhere", "never")
    own_server.kill()
    start = time.monotonic()
    with pytest.raises(WaitOnChainTimeoutError, match=rf"Still waiting for {tasks.noted.name}\[{result.id}\]"):
        wait(result, max_wait=1.5)

    assert 1.5 <= time.monotonic() - start < 10


def test_a_stored_result_is_given_up_after_the_patience(own_server):
    """Also when Celery is told to try for ever; and a read is."""
    client = client_of(own_server.url, firexkit_patience=0.4, result_backend_always_retry=True)
    own_server.kill()
    start = time.monotonic()
    for use in (lambda: client.backend.store_result("id", 1, "SUCCESS"), lambda: client.AsyncResult("id").state):
        with pytest.raises(AwayError):
            use()

    assert time.monotonic() - start < 10


def test_a_message_sent_again_is_the_same_message(own_server):
    """Both copies have one delivery tag, so that who keeps account of messages can tell. Another has its own."""
    client = client_of(own_server.url)
    send = partial(Task.apply_async, client.tasks[tasks.noted.name], ("/nowhere", "twice"), task_id="one")
    with delivery.one_delivery("one"):
        send()
        send()
    send()
    with own_server.client() as valkey:
        tags = [json.loads(copy)["properties"]["delivery_tag"] for copy in valkey.lrange(APP, 0, -1)]

    assert tags[1] == tags[2]
    assert tags[0] != tags[1]
