"""A recorder reads the stream of a run on a real broker, and leaves no more there than others need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firexkit import _wire
from firexkit.journal import stream
from firexkit.journal.claim import Role
from firexkit.journal.model import Queued, encoded
from firexkit.journal.recorder import Recorder
from firexkit.journal.store import Journal, JournalError
from firexkit.runtime.server import Server
from firexkit.uid import new_run_id

KEPT = 600
"""Seconds."""


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client
        client.delete(_wire.RECORDS_ALL)


@pytest.fixture
def run_id() -> str:
    return new_run_id()


@pytest.fixture
def tell(client: Any, run_id: str) -> Callable[..., None]:
    """Tell that tasks were sent."""

    def tell(*tasks: str) -> None:
        for task in tasks:
            fact = encoded(Queued(at=1.0, task=task, name=task))
            client.execute_command(*stream.addition(run_id, [fact], {}))
        for command in stream.keeping(run_id, KEPT):
            client.execute_command(*command)

    return tell


class Recorders:
    """Those of a run, each with a file of its own."""

    def __init__(self, run_id: str, client: Any, directory: Path) -> None:
        self._run_id, self._client, self._directory = run_id, client, directory
        self.open: list[Recorder] = []

    def start(self, name: str = "own", role: Role = Role.OWN) -> Recorder:
        self.open.append(Recorder(self._run_id, self._client, self._directory / name, role))
        return self.open[-1]

    def end(self, recorder: Recorder, *, is_over: bool = True) -> None:
        self.open.remove(recorder)
        recorder.close(None, is_over=is_over)


@pytest.fixture
def recorders(client: Any, run_id: str, tmp_path: Path) -> Iterator[Recorders]:
    recorders = Recorders(run_id, client, tmp_path)
    yield recorders
    for one in [*recorders.open]:
        recorders.end(one)


def tasks_in(journal: Path) -> list[str]:
    with Journal(journal) as opened:
        return [fact.task for _, fact in opened.facts()]


def waiting(client: Any, run_id: str) -> int:
    return client.xlen(stream.key_of(run_id))


def test_what_was_recorded_is_taken_off_the_stream(client, run_id, tell, recorders, tmp_path):
    tell("a", "b")
    assert recorders.start().step(None) == 2
    assert (tasks_in(tmp_path / "own"), waiting(client, run_id)) == (["a", "b"], 0)


def test_who_records_all_gets_what_a_run_has_recorded_itself(client, run_id, tell, recorders, tmp_path):
    """Also what it told before that recorder came, once the run knows that there is one."""
    client.set(_wire.RECORDS_ALL, 1)
    tell("a", "b")
    own = recorders.start()
    own.step(None)
    of_all = recorders.start("all", Role.CLUSTER)
    of_all.step(None)
    tell("c")
    of_all.step(None)
    own.step(None)

    assert tasks_in(tmp_path / "own") == tasks_in(tmp_path / "all") == ["a", "b", "c"]
    assert waiting(client, run_id) == 3


def test_the_last_of_both_leaves_a_stream_that_soon_expires(client, run_id, tell, recorders):
    client.set(_wire.RECORDS_ALL, 1)
    tell("a")
    own, of_all = recorders.start(), recorders.start("all", Role.CLUSTER)
    recorders.end(own)
    assert client.zscore(_wire.JOURNALS, run_id)
    recorders.end(of_all)

    assert client.zscore(_wire.JOURNALS, run_id) is None
    assert 0 < client.ttl(stream.key_of(run_id)) <= 3600


def test_who_records_all_and_ends_leaves_the_rest_for_the_next(client, run_id, tell, recorders, tmp_path):
    tell("a")
    first = recorders.start("all", Role.CLUSTER)
    first.step(None)
    tell("b")
    recorders.end(first, is_over=False)
    assert client.zscore(_wire.JOURNALS, run_id)
    second = recorders.start("all", Role.CLUSTER)
    second.step(None)

    assert tasks_in(tmp_path / "all") == ["a", "b"]


@pytest.mark.parametrize("role", Role)
def test_a_second_recorder_of_a_kind_is_told_about_the_first(recorders, role):
    recorders.start("first", role)
    with pytest.raises(JournalError, match=r"is recorded by .*first already; end that recorder first"):
        recorders.start("second", role)
