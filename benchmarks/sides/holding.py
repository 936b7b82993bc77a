"""Circumstances, made by redis-py alone: tasks held and let go, keys that belong to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import unquote, urlsplit

import redis

from benchmarks.settings import broker

PATIENCE = 60
STEP = 1000
"""Keys in one command."""


@cache
def connection() -> redis.Redis:
    """This process's client of the private Valkey."""
    return client_of(broker())


def client_of(url: str) -> redis.Redis:
    """A client for Celery's kind of address of a Unix socket, which redis-py does not read; it waits for ever."""
    parts = urlsplit(url)
    return redis.Redis(unix_socket_path=unquote(parts.path), password=parts.password, socket_timeout=None)


@contextmanager
def foreign_keys(count: int) -> Iterator[None]:
    """Keys of somebody else's on the same broker, for a while."""
    names = [f"benchmarks:foreign:{number}" for number in range(count)]
    for start in range(0, count, STEP):
        connection().mset(dict.fromkeys(names[start : start + STEP], "of somebody else's"))
    yield
    for start in range(0, count, STEP):
        connection().delete(*names[start : start + STEP])


def release(group: str, tasks: int) -> None:
    """Let held tasks of a group end."""
    connection().rpush(f"benchmarks:{group}", *["go"] * tasks)


def wait_for_release(group: str) -> None:
    """Block until one is released.

    Raises:
        TimeoutError: if nobody does.
    """
    if connection().blpop([f"benchmarks:{group}"], timeout=PATIENCE) is None:
        raise TimeoutError(f"group {group} was not released within {PATIENCE} s")
