"""A broker that has lost its data tells every waiter so in seconds; one that is only away, or slow, tells nobody."""

import os
import shutil
import signal
import time

import pytest
from celery import Celery

from firexkit.result import (
    BrokerDataLostError,
    data_loss,
    wait_for_any_results,
    wait_on_async_results,
    wait_on_async_results_and_maybe_raise,
)
from firexkit.result.data_loss import check_data, note_epoch
from firexkit.task import FireXTask
from worker.rig import BACKEND, BROKER, wait_until

QUEUE = "worker.apps.lost"
SECONDS = 10
WAYS = ["blocking", "waiting_for_any", "throttled", "once_as_guest", "last_of_chain"]
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def client(own_server):
    """An app on this test's server, whose queue nobody serves unless a test starts a worker."""
    app = Celery("client", broker=own_server.url, backend=own_server.url, set_as_current=False, task_cls=FireXTask)
    app.conf.task_default_queue = QUEUE

    @app.task(name="shop.buy", shared=False)
    def buy(what):
        """Nobody runs it."""

    return app


@pytest.fixture
def begin_anew():
    """Let this process know nothing of any broker, as one that has just begun."""
    return data_loss._first_seen.clear


def sent(client, what="bread"):
    return client.tasks["shop.buy"].delay(what)


def flush(server):
    with server.client() as valkey:
        valkey.flushall()


def restart_empty(server):
    """As a server without persistence does."""
    server.kill()
    shutil.rmtree(server.directory / "appendonlydir")
    server.start()


def restart(server):
    """On its data."""
    server.kill()
    server.start()


def ended(function):
    """How a wait ends, and after how many seconds."""
    start = time.monotonic()
    with pytest.raises(BrokerDataLostError) as raised:
        function()
    return raised.value, time.monotonic() - start


# ── one look ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lose", [flush, restart_empty])
def test_a_task_sent_before_the_loss_is_lost(own_server, client, lose):
    """Also when nobody had looked before: the sender had seen what the broker had."""
    bread = sent(client)
    lose(own_server)

    error, _ = ended(lambda: check_data(client.backend, [bread]))

    assert error.tasks == {bread.id: "shop.buy"}


def test_a_task_sent_after_the_loss_is_not(own_server, client):
    """The process goes on with the broker as it is now, and those that wait for older tasks are still told."""
    bread = sent(client)
    flush(own_server)
    milk = sent(client, "milk")
    check_data(client.backend, [milk])

    error, _ = ended(lambda: check_data(client.backend, [milk, bread]))

    assert [*error.tasks] == [bread.id]
    check_data(client.backend, [milk])


def test_a_server_that_was_killed_and_kept_its_data_has_lost_nothing(own_server, client):
    """The value comes back with the data."""
    bread = sent(client)
    restart(own_server)

    check_data(client.backend, [bread])


def test_a_server_that_is_away_has_lost_nothing(own_server, client):
    """Nobody knows, so nobody says so."""
    bread = sent(client)
    own_server.kill()

    check_data(client.backend, [bread])


def test_a_server_that_is_stopped_has_lost_nothing(own_server, client):
    """A look that is not answered in time tells nothing."""
    client.conf.redis_socket_timeout = 0.2
    bread = sent(client)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        check_data(client.backend, [bread])
    finally:
        os.kill(own_server.pid, signal.SIGCONT)


def test_a_value_that_is_gone_alone_is_no_loss(own_server, client):
    """A server that throws keys away when it is full may throw away this one; the tasks are there."""
    bread = sent(client)
    with own_server.client() as valkey:
        valkey.delete("FIREXKIT_EPOCH")

    check_data(client.backend, [bread])


def test_a_new_process_takes_the_broker_as_it_is(own_server, client, begin_anew):
    """It can't know of a loss before its time, so an id that nobody knows is waited for as ever."""
    note_epoch(client.backend)
    flush(own_server)
    begin_anew()

    check_data(client.backend, [client.AsyncResult("unknown")])
    check_data(client.backend, [client.AsyncResult("unknown")])


def test_a_look_costs_one_command(own_server, client):
    """As long as nothing is lost."""
    bread = sent(client)
    with own_server.client() as valkey:
        before = commands(valkey)
        check_data(client.backend, [bread])
        note_epoch(client.backend)

        assert commands(valkey) - before == 2  # one of them is this test's question


def commands(valkey):
    return valkey.info("stats")["total_commands_processed"]


# ── every way of waiting ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lose", [flush, restart_empty])
@pytest.mark.parametrize(
    "wait",
    [
        wait_on_async_results,
        lambda results: list(wait_for_any_results(results)),
        lambda results: wait_on_async_results_and_maybe_raise(results, raise_exception_on_failure=False),
    ],
    ids=["all", "any", "quietly"],
)
def test_a_client_that_waits_is_told(own_server, client, wait, lose):
    """Whichever way it waits; also one that wants no errors of tasks."""
    results = [sent(client), sent(client, "milk")]
    lose(own_server)

    error, seconds = ended(lambda: wait(results))

    assert error.tasks == {result.id: "shop.buy" for result in results}
    assert seconds < SECONDS


def test_tasks_that_wait_are_told(own_server, client, start_worker):
    """Each parent fails with that error, as its worker says: the broker knows nothing of the parents either."""
    env = {BROKER: own_server.url, BACKEND: own_server.url}
    worker = start_worker(QUEUE, env=env, app=client, concurrency=2 * len(WAYS))
    parents = {way: client.send_task(f"{QUEUE}.{way}", [way]).id for way in WAYS}
    for way in WAYS:
        assert client.backend.client.blpop(way, timeout=20), f"the child of {way} did not begin"
    wait_until(lambda: guests(client, parents.values()), what="the wait of the guest: it hears the result's channel")

    flush(own_server)

    ends = [f"{QUEUE}.{way}[{parent}] raised unexpected: BrokerDataLostError" for way, parent in parents.items()]
    wait_until(lambda: all(worker.says(end) for end in ends), SECONDS, what="the end of every parent")


def guests(client, parents):
    """Channels of results that somebody hears who has not sent the task."""
    channels = client.backend.client.pubsub_channels("celery-task-meta-*")
    return {channel.decode() for channel in channels} - {f"celery-task-meta-{parent}" for parent in parents}
