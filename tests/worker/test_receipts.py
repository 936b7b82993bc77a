"""What a worker tells the broker of the messages that it has, seen from the broker."""

from __future__ import annotations

import json

import pytest

from firexkit._celery import receipts
from firexkit._wire import HOLDER_PROPERTY
from firexkit.app import FireX
from firexkit.runtime.server import Server


@pytest.fixture
def channel(own_server: Server):
    """A channel of a broker with two messages in the queue `work`; all keys have a prefix."""
    receipts.install()
    app = FireX("receipts", broker=own_server.url, backend=own_server.url)
    app.conf.broker_transport_options = {"global_keyprefix": "p:"}
    for number in range(2):
        app.send_task("nop", kwargs={"number": number}, queue="work")
    with app.connection_for_read() as connection:
        yield connection.default_channel


def test_a_message_is_held_until_it_is_acknowledged(channel, own_server: Server):
    """It stands in kombu's own keys, in kombu's own form, from when it was taken until then; no transaction is made."""
    with own_server.client() as client:
        before = client.info("commandstats")["cmdstat_multi"]["calls"]
        first, second = channel.basic_get("work"), channel.basic_get("work")
        first.ack()
        (raw,) = client.hvals("p:unacked")
        message, _, routing_key = json.loads(raw)
        assert (message["headers"]["id"], routing_key) == (second.headers["id"], "work")
        assert client.zrange("p:unacked_index", 0, -1) == [second.delivery_tag.encode()]
        assert client.info("commandstats")["cmdstat_multi"]["calls"] == before


def test_a_message_is_acknowledged_over_another_connection_when_one_has_ended(channel, own_server: Server):
    """Somebody on the way may close a connection that was idle for long."""
    message = channel.basic_get("work")
    with own_server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
        message.ack()

        assert not client.exists("p:unacked", "p:unacked_index")


def test_a_message_is_put_back(channel, own_server: Server):
    """It is in its queue again, and nowhere else."""
    message = channel.basic_get("work")
    channel.qos.reject(message.delivery_tag, requeue=True)

    with own_server.client() as client:
        assert client.llen("p:work") == 2
        assert not client.exists("p:unacked", "p:unacked_index")


# ── what is owed ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def queue(own_server: Server):
    """A channel of a broker with two tasks sent, and a client of it."""
    app = FireX("owed", broker=own_server.url, backend=own_server.url)

    @app.task(shared=False)
    def nop():
        """Is never run."""

    for _ in range(2):
        nop.apply_async(queue="work")
    with app.connection_for_read() as connection, own_server.client() as client:
        yield connection.default_channel, client


def test_what_was_put_back_is_still_owed(queue):
    """By nobody in particular: it is in its queue as it was."""
    channel, client = queue
    before = client.hgetall("unacked")
    message = channel.basic_get("work")
    channel.qos.reject(message.delivery_tag, requeue=True)

    after = client.hgetall("unacked")
    (entry,) = (after[tag] for tag in after if before[tag] != after[tag])
    payload = client.lindex("work", 0)
    assert after.keys() == before.keys()
    assert HOLDER_PROPERTY.encode() not in payload
    assert entry.startswith(b"[" + payload + b", ")


def test_what_was_purged_is_owed_no_more(queue):
    """It would be sent again; what a worker has fetched stays."""
    channel, client = queue
    channel.priority_steps = [0, 3]
    fetched = channel.basic_get("work")

    assert channel.queue_purge("work") == 1
    assert client.hkeys("unacked") == [fetched.delivery_tag.encode()]
    assert not client.exists("work")
