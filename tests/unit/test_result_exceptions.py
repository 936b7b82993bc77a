"""What the errors of a wait carry, how they travel, and how to walk along their causes (spec result §7, §10)."""

import pickle

import pytest
from celery.states import FAILURE

import firexkit.result
from firexkit.result import (
    ChainException,
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    MultipleFailuresException,
    WaitOnChainTimeoutError,
    first_non_chain_interrupted_exception,
    last_causing_chain_interrupted_exception,
)
from unit.results_support import stored

BASES = {
    WaitOnChainTimeoutError: Exception,
    ChainException: Exception,
    ChainRevokedException: ChainException,
    ChainRevokedPreRunException: ChainRevokedException,
    ChainInterruptedException: ChainException,
    ChainInterruptedByZombieTaskException: ChainInterruptedException,
    MultipleFailuresException: ChainInterruptedException,
}
REVOKED_TEXT = "The chain has been interrupted by the revocation of microservice "
INTERRUPTED_TEXT = "The chain has been interrupted by a failure in microservice "
MULTIPLE_TEXT = "The chain has been interrupted by multiple failing microservices: %s"
OF_ONE_TASK = [
    (ChainRevokedException, REVOKED_TEXT, ""),
    (ChainRevokedPreRunException, REVOKED_TEXT, ""),
    (ChainInterruptedException, INTERRUPTED_TEXT, ""),
    (ChainInterruptedByZombieTaskException, INTERRUPTED_TEXT, ": (zombie task)"),
]


# ── what they are ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("error", "base"), BASES.items())
def test_error_has_its_documented_base(error, base):
    """Who catches a base catches what stands below it."""
    assert issubclass(error, base)


@pytest.mark.parametrize("error", BASES)
def test_error_says_the_public_module(error):
    """Celery writes an error's module on the wire: it is the documented one."""
    assert error.__module__ == firexkit.result.__name__ == "firexkit.result"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ChainRevokedException, REVOKED_TEXT),
        (ChainInterruptedException, INTERRUPTED_TEXT),
        (MultipleFailuresException, MULTIPLE_TEXT),
    ],
)
def test_message_is_the_documented_text(error, message):
    """The texts of the reference are kept to the letter."""
    assert message == error.MESSAGE


# ── what they say ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("error", "message", "suffix"), OF_ONE_TASK)
@pytest.mark.parametrize(
    ("args", "who"), [(("id1", "wash"), "wash[id1]"), (("id1",), "[id1]"), ((None, "wash"), "wash"), ((), "")]
)
def test_text_is_message_then_name_then_id(error, message, suffix, args, who):
    """The text tells who failed, as far as that is known."""
    assert str(error(*args)) == f"{message}{who}{suffix}"


def test_text_of_several_failures_names_the_ids():
    """Every failed id stands in the text."""
    assert str(MultipleFailuresException(("id1", "id2", "id3"))).startswith(MULTIPLE_TEXT.removesuffix("%s"))
    assert all(id in str(MultipleFailuresException(("id1", "id2", "id3"))) for id in ("id1", "id2", "id3"))


def test_text_of_a_timeout_is_its_message():
    """A time-out says what it was given."""
    assert str(WaitOnChainTimeoutError("too long")) == "too long"


# ── what they carry ──────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("error", [error for error, _text, _suffix in OF_ONE_TASK])
def test_error_knows_id_and_name(error):
    """The error tells which task it is about, and keeps its arguments."""
    raised = error("id1", "wash")

    assert (raised.task_id, raised.task_name) == ("id1", "wash")
    assert raised.args[:2] == ("id1", "wash")


@pytest.mark.parametrize("error", [ChainInterruptedException, ChainInterruptedByZombieTaskException])
def test_cause_is_the_third_argument(error):
    """The cause is kept as `__cause__` and travels as the third argument."""
    cause = OSError("disk full")

    raised = error("id1", "wash", cause)

    assert raised.__cause__ is cause
    assert raised.args == ("id1", "wash", cause)


def test_cause_may_be_named():
    """The documented parameter names work as keywords."""
    cause = OSError("disk full")

    raised = ChainInterruptedException(task_id="id1", task_name="wash", cause=cause)

    assert (raised.task_id, raised.task_name, raised.__cause__) == ("id1", "wash", cause)


def test_error_without_a_cause_has_none():
    """No cause given: none is made up."""
    assert ChainInterruptedException("id1", "wash").__cause__ is None


def test_repr_leads_with_class_and_id():
    """Viewers recognise a chain failure by the start of its repr, and read the id from the first argument."""
    assert repr(ChainInterruptedException("id1", "wash")).startswith("ChainInterruptedException('id1'")


def test_several_failures_know_their_ids():
    """The ids are kept; the default says that nobody knows them."""
    assert MultipleFailuresException(("id1", "id2", "id3")).task_ids == ("id1", "id2", "id3")
    assert MultipleFailuresException().task_ids == ("UNKNOWN",)


# ── how they travel ──────────────────────────────────────────────────────────────────────
TRAVELLERS = [
    WaitOnChainTimeoutError("too long"),
    *(error("id1", "wash") for error, _text, _suffix in OF_ONE_TASK),
    *(error() for error, _text, _suffix in OF_ONE_TASK),
    MultipleFailuresException(("id1", "id2")),
]


@pytest.mark.parametrize("error", TRAVELLERS, ids=repr)
def test_pickled_error_comes_back(error):
    """Class, arguments, text and attributes survive pickling."""
    back = pickle.loads(pickle.dumps(error))

    assert type(back) is type(error)
    assert (back.args, str(back), vars(back)) == (error.args, str(error), vars(error))


@pytest.mark.parametrize("error", [ChainInterruptedException, ChainInterruptedByZombieTaskException])
def test_pickled_error_keeps_its_cause(error):
    """Pickle drops `__cause__`; ours comes back all the same, at any depth."""
    deep = error("id1", "wash", ChainInterruptedException("id2", "dry", OSError("disk full")))

    back = pickle.loads(pickle.dumps(deep))

    assert back.__cause__.task_id == "id2"
    assert repr(back.__cause__.__cause__) == repr(OSError("disk full"))


def test_pickled_failures_come_back():
    """The failures that the wait loop gathered travel with the error."""
    error = MultipleFailuresException(("id1", "id2"))
    error.failures = [ChainInterruptedException("id1", "wash"), ChainInterruptedException("id2", "dry")]

    back = pickle.loads(pickle.dumps(error))

    assert [failure.task_id for failure in back.failures] == ["id1", "id2"]


@pytest.mark.parametrize("error", [error for error, _text, _suffix in OF_ONE_TASK])
def test_stored_error_comes_back_from_the_backend(error):
    """Celery's backend writes JSON and gives the same class with the same id and name back."""
    back = stored(FAILURE, error("id1", "wash")).result

    assert type(back) is error
    assert (back.task_id, back.task_name) == ("id1", "wash")


# ── walking along the causes ─────────────────────────────────────────────────────────────
ROOT = OSError("disk full")
DEEPEST = ChainInterruptedException("id3", "dry", ROOT)
MIDDLE = ChainInterruptedException("id2", "rinse", DEEPEST)
TOP = ChainInterruptedException("id1", "wash", MIDDLE)
ROOTLESS = ChainInterruptedException("id5", "fold")
TOP_OF_ROOTLESS = ChainInterruptedException("id4", "iron", ROOTLESS)
WALKS = [
    (TOP, ROOT, DEEPEST),
    (MIDDLE, ROOT, DEEPEST),
    (DEEPEST, ROOT, DEEPEST),
    (ROOT, ROOT, ROOT),
    (ROOTLESS, ROOTLESS, ROOTLESS),
    (TOP_OF_ROOTLESS, ROOTLESS, ROOTLESS),
]


@pytest.mark.parametrize(("error", "first_other", "_last"), WALKS)
def test_first_error_that_is_no_chain_interruption(error, first_other, _last):
    """The walk ends at what really went wrong, or at the last reachable error."""
    assert first_non_chain_interrupted_exception(error) is first_other


@pytest.mark.parametrize(("error", "_first", "last"), WALKS)
def test_last_chain_interruption(error, _first, last):
    """The walk ends at the deepest chain interruption."""
    assert last_causing_chain_interrupted_exception(error) is last


def test_foreign_cause_is_not_walked_into():
    """A chain interruption below another kind of error is that error's own affair."""
    outer = ValueError("outer")
    outer.__cause__ = TOP
    wrapped = ChainInterruptedException("id6", "hang", outer)

    assert first_non_chain_interrupted_exception(wrapped) is outer
    assert last_causing_chain_interrupted_exception(wrapped) is wrapped
