"""Ends that are not what they seem: replaced tasks, silent retries, errors pickle does not carry, plain successors."""

from pathlib import Path

import pytest

from firexkit import WireError
from firexkit.result import ChainInterruptedException, get_results, wait_on_async_results
from worker.apps import odd_ends
from worker.apps.odd_ends import KeywordError, TwoPartError, app

APP = "worker.apps.odd_ends"


@pytest.fixture(autouse=True, params=["prefork", "threads"])
def pool(request, worker_for):
    worker_for(APP, pool=request.param, concurrency=4)


def test_a_replaced_task_ends_with_its_replacement():
    """The wait for a task that replaced itself ends when the replacement has ended."""
    result = odd_ends.replaced.s().enqueue()
    wait_on_async_results(result, max_wait=30)

    assert get_results(result) == {"value": 7}


def test_a_silent_task_that_retries_is_waited_for():
    """The wait for a task with ignore_result lasts until its last attempt."""
    wait_on_async_results(odd_ends.silent_second_attempt.s("silent").enqueue(), max_wait=30)

    assert app.backend.client.lpop("silent") == b"done"


@pytest.mark.parametrize(
    ("task", "kind", "attributes", "cause"),
    [
        (odd_ends.two_parts, TwoPartError, {"args": ("x",), "b": [1]}, KeyError),
        (odd_ends.keywords, KeywordError, {"args": ("code 3",), "code": 3}, type(None)),
    ],
)
def test_errors_that_pickle_does_not_carry_arrive_whole(task, kind, attributes, cause):
    """An error keeps class, arguments, attributes and cause, whatever its constructor takes."""
    with pytest.raises(ChainInterruptedException) as interrupted:
        task.s().enqueue(block=True)
    error = interrupted.value.__cause__

    assert type(error) is kind
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert type(error.__cause__) is cause


def test_a_plain_successor_that_cannot_be_served_is_told():
    """What no plain task can be sent fails the task that returned it, with names, key and type."""
    with pytest.raises(ChainInterruptedException) as interrupted:
        (odd_ends.locate.s() | odd_ends.plain.s()).enqueue(block=True)

    assert isinstance(interrupted.value.__cause__, WireError)
    for part in (odd_ends.locate.name, odd_ends.plain.name, "['path']", "PosixPath"):
        assert part in str(interrupted.value.__cause__)


def test_callbacks_carry_their_arguments():
    """A task linked to another gets its own arguments as they were."""
    odd_ends.final.apply_async(link=odd_ends.close.s(path=Path("/a"))).get(timeout=20)

    assert app.backend.client.blpop("closed", timeout=20)[1] == type(Path("/a")).__name__.encode()
