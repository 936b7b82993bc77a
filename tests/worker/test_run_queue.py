"""What a run leaves on a broker that others share."""

from __future__ import annotations

import json

from firexkit.app import FireX
from firexkit.runtime import broker
from firexkit.runtime.server import Server


def test_a_run_takes_along_what_its_worker_had_not_acknowledged(own_server: Server):
    """The run may be over before its worker has acknowledged the root; messages of other queues stay held."""
    app = FireX("clearing")
    broker.use(app, own_server.url)
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        for queue in ("queue-of-run", "queue-of-others"):
            app.send_task("nop", queue=queue)
            assert channel.basic_get(queue)

        broker.clear_queue(app, "queue-of-run")

        with own_server.client() as client:
            held = [json.loads(one)[-1] for one in client.hvals("unacked")]
            assert held == ["queue-of-others"]
            assert client.zcard("unacked_index") == 1
            assert not client.smembers("_kombu.binding.queue-of-run")
