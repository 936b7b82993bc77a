"""Forgetting many tasks: nothing of them stays, what others need stays, and it takes few round trips."""

import pytest

from firexkit.result import (
    ChainInterruptedByZombieTaskException,
    forget_chain_results,
    wait_on_async_results_and_maybe_raise,
)
from worker.apps import forgetting as tasks

APP = "worker.apps.forgetting"
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def worker(worker_for):
    return worker_for(APP, concurrency=6)


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def test_many_children_leave_no_key(worker):
    """Trees of chains, forgotten together, leave as many keys as there were; nobody tracks them any more."""
    bag = tasks.forget_many.delay(10).get(timeout=30)

    assert bag["made"] == 10 * 3 * 3  # a result, a record and a start time each
    assert bag["left"] == []
    assert bag["tracked"] == 0


def test_commands_do_not_grow_with_the_children(worker):
    """Fifteen trees are read and deleted in as many steps as five."""
    few, many = (tasks.forget_many.delay(number).get(timeout=30)["commands"] for number in (5, 15))
    steps = ("exec", "unlink", "mget", "get", "lrange", "smembers")

    assert {name: few.get(name, 0) for name in steps} == {name: many.get(name, 0) for name in steps}
    assert many["exec"] == many["unlink"] == 1


def test_foreign_keys_are_not_looked_at(worker, client):
    """Other runs' keys cost nothing: the same commands are sent beside ten thousand of them."""
    alone = tasks.forget_many.delay(5).get(timeout=30)["commands"]
    with client.pipeline() as pipe:
        for at in range(10_000):
            pipe.set(f"ENQUEUE_CHILD_ONCE_UID_foreign:{at}", "x")
        pipe.execute()
    beside = tasks.forget_many.delay(5).get(timeout=30)
    names = alone.keys() & {"exec", "unlink", "mget", "hmget", "lrange", "smembers"}

    assert {name: alone[name] for name in names} == {name: beside["commands"].get(name) for name in names}
    assert not {"keys", "scan"} & beside["commands"].keys()
    assert client.exists("ENQUEUE_CHILD_ONCE_UID_foreign:9999")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, ["cached", "once", "reported"]),
        ({"do_not_forget_report_nodes": False}, ["cached", "once"]),
        ({"do_not_forget_enqueue_once_nodes": False}, ["cached", "reported"]),
        ({"do_not_forget_cache_enabled_tasks_results": False}, ["once", "reported"]),
    ],
)
def test_what_others_need_is_kept(worker, options, kept):
    """Of children forgotten together, those with reports, sent once, or answering from the cache stay."""
    bag = tasks.forget_needed.delay(**options).get(timeout=20)

    assert bag["kept"] == kept
    assert "plain" in bag["dropped"]


def test_large_values_stay_with_a_task_that_may_refer_to_them(worker):
    """What is stored apart from a chain's results stays while a later member is kept."""
    last = (tasks.load.s(300_000) | tasks.double.s(number=1)).delay()
    last.get(timeout=10)
    tasks.wait_for_last_records([last, last.parent])
    values = {key for key in tasks.keys_now() if key.startswith("FIREXKIT_VALUES:")}
    forget_chain_results(last, do_not_forget_nodes=[last])

    assert values
    assert values <= tasks.keys_now()


def test_nothing_stays_of_large_values(worker):
    """A forgotten chain leaves no key, however large its values are."""
    before = tasks.keys_now()
    last = (tasks.load.s(300_000) | tasks.double.s(number=1)).delay()
    last.get(timeout=10)
    tasks.wait_for_last_records([last, last.parent])
    made = tasks.keys_now() - before
    forget_chain_results(last)

    assert [key for key in made if key.startswith("FIREXKIT_VALUES:")]
    assert tasks.keys_now() <= before


def test_a_forgotten_result_is_not_listened_to(worker, client):
    """Whoever waited for a result hears nothing of it any more once it is forgotten."""
    result = tasks.double.delay(1)
    result.get(timeout=10)
    tasks.wait_for_last_records([result])
    forget_chain_results(result)
    key = tasks.app.backend.get_key_for_task(result.id)

    assert key not in tasks.app.backend.result_consumer.subscribed_to
    assert not client.exists(key)


@pytest.mark.parametrize("chain", [False, True], ids=["task", "chain"])
def test_a_result_that_is_gone_is_an_error_for_who_waits(worker, chain):
    """Of what this process has sent nothing is known any more, and nobody has told it of an end."""
    tasks.app.backend.client.delete(tasks.app.backend.get_key_for_task("gone"))
    result = tasks.app.AsyncResult("gone", parent=tasks.app.AsyncResult("gone-before") if chain else None)
    result.firexkit_name = "shop.buy"  # as whoever sends it says
    with pytest.raises(ChainInterruptedByZombieTaskException) as raised:
        wait_on_async_results_and_maybe_raise(result)

    assert "shop.buy[gone] was lost: nothing is known of it any more" in str(raised.value.__cause__)
