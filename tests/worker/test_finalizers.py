"""Results that are collected say nothing to their broker, whatever has become of that."""

from __future__ import annotations

import gc

import pytest
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


@pytest.mark.parametrize(("count", "times"), [(50, 2), pytest.param(1000, 200, marks=pytest.mark.soak)])
@pytest.mark.timeout(600)
def test_open_results_survive_a_server_that_dies_again_and_again(own_server: Server, count: int, times: int):
    """In cycles, so that they are collected wherever that strikes; others are followed at that time."""
    app = Celery("finalizers", broker=own_server.url, backend=own_server.url)
    waiting = [[app.send_task("nobody.knows")] for _ in range(count)]
    for cycle in waiting:
        cycle.append(cycle)
    for _ in range(times):
        del waiting[: count // times]
        own_server.kill()
        gc.collect()
        own_server.start()
        assert app.send_task("nobody.knows").state == "PENDING"
    waiting.clear()
    gc.collect()

    last = app.send_task("nobody.knows")
    with own_server.client() as client:
        channels = client.pubsub_channels("celery-task-meta-*")
    assert f"celery-task-meta-{last.id}".encode() in channels
    assert len(channels) <= 2  # one that was followed when the server died may be left
    app.backend.result_consumer.stop()
