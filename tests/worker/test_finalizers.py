"""Results that are collected say nothing to their broker, whatever has become of that."""

from __future__ import annotations

from celery import Celery

from firexkit.runtime.server import Server


def test_collected_results_survive_a_server_that_is_gone(own_server: Server):
    """What they followed is left when the next result is followed, of a server that is back."""
    app = Celery("finalizers", broker=own_server.url, backend=own_server.url)
    results = [app.send_task("nobody.knows") for _ in range(50)]
    with own_server.client() as client:
        assert len(client.pubsub_channels("celery-task-meta-*")) == 50

    own_server.kill()
    results.clear()  # pytest fails what a finalizer raises
    own_server.start()
    last = app.send_task("nobody.knows")

    with own_server.client() as client:
        assert client.pubsub_channels("celery-task-meta-*") == [f"celery-task-meta-{last.id}".encode()]
    app.backend.result_consumer.stop()
