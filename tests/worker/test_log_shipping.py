"""Logs in chunks through a real broker: bounded, taken off when they are written, whole at the end."""

from __future__ import annotations

import threading

import pytest
from celery import Celery, signals

from firexkit import _wire
from firexkit.journal import logs
from firexkit.journal.logs import MOST_BYTES, MOST_ENTRIES, Chunk, Receiver
from firexkit.runtime.shipping import shipped_logs
from firexkit.uid import new_run_id

PLACE = "second@host/work.child_1.html"


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def run_id():
    return new_run_id()


def chunks_of(text, size=4, ended=9.0):
    parts = [Chunk(place=PLACE, at=at, text=text[at : at + size]) for at in range(0, len(text), size)]
    return [*parts, Chunk(place=PLACE, at=len(text), ended=ended)]


def test_what_was_sent_is_in_the_directory_and_off_the_broker(client, run_id, tmp_path):
    logs.send(client, run_id, chunks_of(b"a log of some length"))
    lasting = client.ttl(logs.key_of(run_id))
    receiver = Receiver(client, run_id, tmp_path)
    receiver.receive()

    assert (tmp_path / PLACE).read_bytes() == b"a log of some length"
    assert receiver.ended == {PLACE: 9.0}
    assert client.xlen(logs.key_of(run_id)) == 0
    assert 0 < lasting <= 24 * 3600


def test_a_receiver_goes_on_where_another_was(client, run_id, tmp_path):
    """Also if it begins anew, and a worker sends again what it was not sure of."""
    first = Receiver(client, run_id, tmp_path)
    logs.send(client, run_id, chunks_of(b"begun and ended")[:2])
    position = first.receive()
    for begins in (position, "0"):
        logs.send(client, run_id, chunks_of(b"begun and ended"))
        Receiver(client, run_id, tmp_path, begins).receive()

    assert (tmp_path / PLACE).read_bytes() == b"begun and ended"


def test_a_stream_that_nobody_reads_stays_small(client, run_id, tmp_path):
    """Workers are told to hold on before it is full; the oldest goes if they do not."""
    logs.want(client, run_id, tmp_path)
    before = logs.wanted_by(client, [run_id])[run_id][1]
    full = [Chunk(place=PLACE, at=at * MOST_BYTES, text=b"x" * MOST_BYTES) for at in range(MOST_ENTRIES + 9)]
    logs.send(client, run_id, full)

    assert before > 0 > logs.wanted_by(client, [run_id])[run_id][1]
    assert client.xlen(logs.key_of(run_id)) == MOST_ENTRIES


def test_what_is_no_part_of_a_log_is_told_and_what_follows_is_written(client, run_id, tmp_path):
    client.xadd(logs.key_of(run_id), {_wire.FIELD_CHUNKS: b"nonsense"})
    client.xadd(logs.key_of(run_id), {"other": b"nonsense"})
    logs.send(client, run_id, [Chunk(place="../passwd", text=b"!"), *chunks_of(b"a log")])
    receiver = Receiver(client, run_id, tmp_path / "logs")
    (tmp_path / "logs").mkdir()
    receiver.receive()

    assert (tmp_path / "logs" / PLACE).read_bytes() == b"a log"
    assert [problem for problem in receiver.problems if "'../passwd' is no place" in problem]
    assert [problem for problem in receiver.problems if "can't be read" in problem]


def test_the_rest_is_waited_for(client, server, run_id, tmp_path):
    """Until the log says that its task has ended, at the time that was told or later."""
    receiver = Receiver(client, run_id, tmp_path)
    logs.send(client, run_id, chunks_of(b"first attempt", ended=5.0))

    def send_late():
        with server.client() as other:
            logs.send(other, run_id, chunks_of(b"first attempt, second attempt", ended=9.0))

    receiver.receive()
    worker = threading.Thread(target=send_late)
    worker.start()
    left = receiver.receive_rest({PLACE: 8.0}, patience=30)
    worker.join()

    assert left == []
    assert (tmp_path / PLACE).read_bytes() == b"first attempt, second attempt"


def test_what_does_not_come_is_told(client, run_id, tmp_path):
    logs.send(client, run_id, chunks_of(b"a log"))

    assert Receiver(client, run_id, tmp_path).receive_rest({PLACE: 1.0, "w/lost": 1.0}, patience=0.1) == ["w/lost"]


def test_nobody_is_asked_any_more_when_a_run_is_over(client, run_id, tmp_path):
    logs.want(client, run_id, tmp_path)
    asked = client.ttl(f"{_wire.LOGS_WANTED}{run_id}")
    wanted, _ = logs.wanted_by(client, [run_id, "another run"])[run_id]
    was_seen = logs.is_seen(wanted)
    logs.want_no_more(client, run_id, tmp_path)

    assert asked > 0
    assert (was_seen, logs.is_seen(wanted)) == (True, False)
    assert logs.wanted_by(client, [run_id]) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_ends_sends_what_is_left(client, server, run_id, tmp_path):
    """In less time than it takes to look for the first time."""

    class Request:
        """What Celery tells of a task that was received."""

        id, root_id, time_start, task = "t", run_id, None, Task

    (tmp_path / "run").mkdir()
    logs.want(client, run_id, tmp_path / "run")
    (tmp_path / "run" / ".seen-by").write_text("another machine's")
    log = tmp_path / "far" / "second@host" / "work.child_t.html"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"a log")
    Task.log, request = str(log), Request()
    with shipped_logs(Celery("worker", broker=server.url, backend=server.url, set_as_current=False)):
        signals.task_received.send(sender=None, request=request)
    receiver = Receiver(client, run_id, tmp_path / "run")
    receiver.receive()

    assert (tmp_path / "run" / "second@host" / log.name).read_bytes() == b"a log"
    assert list(receiver.ended) == [f"second@host/{log.name}"]


class Task:
    log = ""

    @classmethod
    def get_task_logfile_from_request(cls, request):
        return cls.log
