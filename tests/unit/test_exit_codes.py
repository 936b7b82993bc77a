"""Exit codes that tasks ask for: what they may be, how they travel, where they are found."""

import pickle

import pytest

from firexkit._serialization import decode_exception, encode_exception
from firexkit.firex_exceptions import FireXReturnCodeException, exit_code_of
from firexkit.result import ChainInterruptedException, ChainRevokedException, MultipleFailuresException


class BuildFailed(FireXReturnCodeException):
    """A kind of its own, with a constructor of its own."""

    def __init__(self, target):
        super().__init__(9, f"{target} does not build")
        self.target = target


@pytest.mark.parametrize("code", [1, 255])
def test_an_exit_code_is_kept(code):
    """The smallest and the largest there are."""
    assert FireXReturnCodeException(code).firex_returncode == code


@pytest.mark.parametrize("code", [0, 256, -1, "3", None, 2.5])
def test_what_is_no_exit_code_of_a_failure_is_refused(code):
    """Zero means success, and a shell has no others."""
    with pytest.raises(ValueError, match="1 to 255"):
        FireXReturnCodeException(code)


def test_the_text_tells_message_and_code():
    """The code alone, if there is no message."""
    assert str(FireXReturnCodeException(3, "no licence")) == "no licence (exit code 3)"
    assert str(FireXReturnCodeException(3)) == "exit code 3"


@pytest.mark.parametrize("error", [FireXReturnCodeException(3), FireXReturnCodeException(4, "why"), BuildFailed("app")])
def test_it_travels(error):
    """On the wire nothing is lost, also not of a class with another constructor."""
    arrived = decode_exception(encode_exception(error))

    assert type(arrived) is type(error)
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))


def test_it_is_pickled():
    """Some apps send pickles."""
    arrived = pickle.loads(pickle.dumps(FireXReturnCodeException(4, "why")))

    assert (arrived.firex_returncode, arrived.message) == (4, "why")


def caused(error, cause):
    error.__cause__ = cause
    return error


def several(*failures):
    error = MultipleFailuresException(["a", "b"])
    error.failures = list(failures)
    return error


CODED = FireXReturnCodeException(7)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CODED, 7),
        (BuildFailed("app"), 9),
        (ValueError("plain"), None),
        (ChainRevokedException("id"), None),
        (ChainInterruptedException("id", "m.t", CODED), 7),
        (ChainInterruptedException("id", "m.p", ChainInterruptedException("id", "m.t", CODED)), 7),
        (ChainInterruptedException("id", "m.t", caused(ValueError("plain"), CODED)), 7),
        (caused(FireXReturnCodeException(8), CODED), 8),
        (several(ValueError(), ChainInterruptedException("id", "m.t", CODED), FireXReturnCodeException(8)), 7),
        (several(caused(ValueError(), CODED), FireXReturnCodeException(8)), 7),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_exit_code_is_found_down_the_causes(error, code):
    """The first one counts, of several failures the first failure's."""
    assert exit_code_of(error) == code


def test_causes_in_a_circle_end():
    """Python allows them."""
    first, second = ValueError(1), ValueError(2)
    caused(first, second)
    caused(second, first)

    assert exit_code_of(first) is None
