"""What a worker tells the broker of the messages that it has, seen from the broker."""

from __future__ import annotations

import json

import pytest

from firexkit._celery import receipts
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
    """It stands in kombu's own keys, in kombu's own form, from when it was taken until then."""
    first, second = channel.basic_get("work"), channel.basic_get("work")
    first.ack()
    receipts._receipts_of(channel.qos).confirm()

    with own_server.client() as client:
        (raw,) = client.hvals("p:unacked")
        message, _, routing_key = json.loads(raw)
        assert (message["headers"]["id"], routing_key) == (second.headers["id"], "work")
        assert client.zrange("p:unacked_index", 0, -1) == [second.delivery_tag.encode()]


def test_a_message_is_put_back_whatever_is_still_under_way(channel, own_server: Server):
    """Another connection puts it back; that it was taken has been told before."""
    message = channel.basic_get("work")
    channel.qos.reject(message.delivery_tag, requeue=True)

    with own_server.client() as client:
        assert client.llen("p:work") == 2
        assert not client.exists("p:unacked", "p:unacked_index")
