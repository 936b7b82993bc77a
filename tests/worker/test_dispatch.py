"""Commands whose answers are read later, over connections that break."""

from __future__ import annotations

import os
import signal

import pytest
import redis

from firexkit._celery.dispatch import Dispatch, Dispensable
from firexkit.runtime.server import Server
from worker.rig import wait_until

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def dispatch(own_server: Server, monkeypatch):
    monkeypatch.setattr("firexkit._celery.dispatch._IDLE", 0)
    pool = redis.ConnectionPool.from_url(own_server.url.replace("redis+socket", "unix").replace("?virtual_host", "?db"))
    return Dispatch(pool)


def cut(server: Server):
    """End all connections of clients."""
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)


def value(server: Server, key: str):
    with server.client() as client:
        return client.get(key)


def test_answers_come_with_the_next(dispatch: Dispatch):
    """Those to what was posted first, each to whom it belongs."""
    heard = []
    dispatch.post([("INCR", "a"), ("INCR", "a")], heard.extend)

    assert dispatch.send([("INCR", "a")]) == [3]
    assert heard == [1, 2]


def test_an_outage_between_two_sends(dispatch: Dispatch, own_server: Server):
    """While the server is away each send says so; when it is back, what was posted goes first, and nobody waits."""
    heard = []
    dispatch.send([("PING",)])
    os.kill(own_server.pid, signal.SIGSTOP)
    dispatch.post([("SET", "a", "1"), ("APPEND", "a", "2")], heard.extend)
    own_server.kill()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            dispatch.send([("APPEND", "a", "3")])
    own_server.start()

    assert dispatch.send([("APPEND", "a", "3")]) == [3]
    assert len(heard) == 2
    assert value(own_server, "a") == b"123"


def test_what_was_answered_is_not_sent_again(dispatch: Dispatch, own_server: Server):
    """The connection breaks between two answers: only the rest is repeated."""
    heard = []
    dispatch.post([("INCR", "a"), ("INCR", "b")], heard.extend)
    dispatch._posted.answers.append(dispatch._answer())
    cut(own_server)
    dispatch._connection.disconnect()  # with it goes what had come already
    dispatch._connection.connect()
    dispatch._posted.is_under_way = False

    dispatch.send(())
    assert heard == [1, 2]  # the second is the one that was repeated
    assert value(own_server, "a") == b"1"


def test_a_connection_that_ended_after_its_answers(dispatch: Dispatch, own_server: Server):
    """They are there to be read, and nothing is done twice."""
    heard = []
    dispatch.post([("INCR", "a"), ("INCR", "a")], heard.extend)
    wait_until(lambda: value(own_server, "a") == b"2", what="what was posted")
    cut(own_server)

    assert dispatch.send([("INCR", "b")]) == [1]
    assert (heard, value(own_server, "a")) == ([1, 2], b"2")


@pytest.mark.parametrize("how", ["post", "send"])
def test_a_connection_that_ended_while_idle(dispatch: Dispatch, own_server: Server, how: str):
    """It is replaced before anything is written to it."""
    dispatch.send([("SET", "a", "1")])
    cut(own_server)
    if how == "post":
        dispatch.post([("INCR", "a")], lambda _: None)

    assert dispatch.send([("INCR", "a")]) == [3 if how == "post" else 2]


def test_a_command_that_may_be_refused_stops_no_other(dispatch: Dispatch, own_server: Server):
    """It is logged; a refusal of any other command is an error."""
    told = ("XADD", "a", "*", "b", "c")
    dispatch.send([("SET", "a", "a text")])
    dispatch.send([("SET", "b", "1"), Dispensable(told), ("SET", "c", "2")])

    assert (value(own_server, "b"), value(own_server, "c")) == (b"1", b"2")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        dispatch.send([told])
