"""Commands as they travel to the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firexkit._celery.dispatch import packed

redis_connection = pytest.importorskip("redis.connection")
words = st.one_of(st.text(), st.binary(), st.integers(), st.floats(allow_nan=False))


@given(st.lists(st.lists(words, min_size=1).map(tuple)))
def test_they_travel_as_the_client_would_send_them(commands):
    """The name of a command is a text; the client splits it at spaces, we don't."""
    named = [("SET", *command) for command in commands]
    connection = redis_connection.Connection()

    assert packed(named) == b"".join(bytes(part) for part in connection.pack_commands(named))


def test_views_of_bytes_travel_as_they_are():
    assert packed([("SET", memoryview(b"a"), bytearray(b"b"))]) == b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"
