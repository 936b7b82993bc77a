"""Which of the awaited tasks a broker that has lost its data has lost, and how that is told."""

import pickle

import pytest

from firexkit import _serialization
from firexkit.result import BrokerDataLostError, ChainInterruptedException
from firexkit.result.data_loss import check_data, lost_among
from unit.results_support import MEMORY, FakeResult, scripted_chain


class Group:
    """Several results that are waited for as one."""

    def __init__(self, *results):
        self.id, self.results, self.parent = "group", results, None


@pytest.mark.parametrize(
    ("known", "lost"),
    [({"a", "b"}, []), ({"a"}, ["b"]), (set(), ["a", "b"])],
    ids=["nothing", "one", "everything"],
)
def test_a_task_without_a_trace_is_lost(known, lost):
    """What was sent after the loss has a record."""
    results = [FakeResult(id="a"), FakeResult(id="b")]

    assert [result.id for result in lost_among(results, known)] == lost


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_chain_lives_as_long_as_one_member_has_a_trace(at):
    """The members after it are not sent yet, those before it have ended."""
    chain = scripted_chain("PENDING", "PENDING", "PENDING")

    assert lost_among([chain[-1]], {chain[at].id}) == []
    assert lost_among([chain[-1]], set()) == [chain[-1]]


def test_the_end_of_a_member_that_is_remembered_is_no_trace():
    """Its successor was sent, and that is gone."""
    first, last = scripted_chain("PENDING", "PENDING")
    first._cache = {"status": "SUCCESS", "result": None}

    assert lost_among([last], {first.id}) == [last]


def test_a_group_needs_all_that_have_not_ended():
    """One lost member never ends, and so the group does not."""
    ended, running = scripted_chain("PENDING", "PENDING")
    ended._cache = {"status": "SUCCESS", "result": None}
    group = Group(ended, running)

    assert lost_among([group], {running.id}) == []
    assert lost_among([group], {ended.id}) == [group]


def test_other_backends_lose_nothing():
    """Only Redis is asked."""
    check_data(MEMORY.backend, [FakeResult()])


def test_the_error_names_the_tasks_and_says_what_to_do():
    """A name that is not known is left out; whoever handles broken chains handles it."""
    error = BrokerDataLostError({"id1": "shop.buy", "id2": ""})

    assert isinstance(error, ChainInterruptedException)
    assert "shop.buy[id1], [id2]" in str(error)
    assert "Run it again" in str(error)
    assert (error.task_id, error.task_name) == ("id1", "shop.buy")


def test_the_error_travels():
    """By pickle, as by the wire of results."""
    error = BrokerDataLostError({"id1": "shop.buy"})

    assert pickle.loads(pickle.dumps(error)).tasks == {"id1": "shop.buy"}
    assert str(_serialization.decode(_serialization.encode(error))) == str(error)
