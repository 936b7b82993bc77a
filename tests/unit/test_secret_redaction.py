"""What a task's function says of its secrets all the same."""

import logging

import pytest

from firexkit import Secret
from firexkit._serialization.redaction import clean, forgetting, know, redacted
from firexkit.secret import SecretNames

WORD, OTHER = "correct-horse", "correct-horse-battery"


@pytest.fixture(autouse=True)
def factory():
    """Who makes records of logs is as it was after a test."""
    before = logging.getLogRecordFactory()
    with forgetting():
        yield
    logging.setLogRecordFactory(before)


def test_texts():
    """All secrets that are known are hidden, the longest first; short ones and other names are not."""
    know(
        {"a": Secret(OTHER), "token": WORD, "b": Secret("abc"), "c": "plain", "d": Secret(b"bytes"), "api_key": "none"},
        SecretNames(),
    )

    assert redacted(f"{WORD} {OTHER} abc plain bytes none") == "*** *** abc plain bytes none"


def test_forgotten():
    """What was known in the block is not known after it."""
    with forgetting():
        know({"a": Secret(WORD)}, SecretNames())

    assert redacted(WORD) == WORD


def test_errors():
    """Arguments, attributes, notes and causes are cleaned; those that hold no secret are the same objects."""
    know({"a": Secret(WORD)}, SecretNames())
    cause = OSError(2, f"no {WORD}", f"/tmp/{WORD}")
    error = ValueError(f"is {WORD}", 5, [WORD])
    error.where, error.__cause__ = WORD, cause
    error.add_note(f"see {WORD}")
    cause.__context__ = error
    same = ValueError(kept := ["plain"])

    clean(error)
    clean(same)

    assert error.args == ("is ***", 5, ["***"])
    assert (error.where, error.__notes__) == ("***", ["see ***"])
    assert WORD not in str(cause)
    assert same.args[0] is kept


def test_logs(caplog):
    """A message is hidden, and a traceback; a record that can't be made is left to whoever handles it."""
    know({"a": Secret(WORD)}, SecretNames())
    logger = logging.getLogger("unit.redaction")
    try:
        raise ValueError(WORD)
    except ValueError:
        logger.exception("it is %s", WORD)

    assert WORD not in caplog.text
    assert "it is ***" in caplog.text
    assert "ValueError: ***" in caplog.text
