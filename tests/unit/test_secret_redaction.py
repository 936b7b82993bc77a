"""What a task's function says of its secrets all the same."""

import ast
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery.exceptions import Retry

from firexkit import Secret
from firexkit._serialization.redaction import cleaned, forgetting, know, redacted
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

    assert redacted(f"{WORD} {OTHER} abc plain bytes none") == "*** *** abc plain *** none"


def test_secrets_inside_of_others():
    """A number, the values in a list or a dict, and what a dict has under a name that is listed."""
    values = {
        "a": Secret([12345, {"deep": WORD}]),
        "config": {"password": "hunter2", "host": "db", "key": Secret(OTHER)},
    }
    know(values, SecretNames())

    assert redacted(f"12345 {WORD} {OTHER} hunter2 db") == "*** *** *** *** db"


def test_forgotten():
    """What was known in the block is not known after it."""
    with forgetting():
        know({"a": Secret(WORD)}, SecretNames())
        with forgetting():
            know({"a": Secret(WORD)}, SecretNames())
        assert redacted(WORD) == "***"

    assert redacted(WORD) == WORD


def test_threads():
    """What a call hands to a thread is hidden there, too."""
    know({"a": Secret(WORD)}, SecretNames())
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(redacted, WORD).result() == "***"


def test_errors():
    """Arguments, attributes, notes and causes are cleaned; those that hold no secret are the same objects."""
    know({"a": Secret(WORD)}, SecretNames())
    cause = OSError(2, f"no {WORD}", f"/tmp/{WORD}")
    error = ValueError(f"is {WORD}", 5, [WORD])
    error.where, error.__cause__ = WORD, cause
    error.add_note(f"see {WORD}")
    cause.__context__ = error
    same = ValueError(kept := ["plain"])

    assert cleaned(error) is error
    assert cleaned(same) is same

    assert error.args == ("is ***", 5, ["***"])
    assert (error.where, error.__notes__) == ("***", ["see ***"])
    assert WORD not in str(cause)
    assert same.args[0] is kept


def test_an_error_of_the_parser():
    know({"a": Secret(WORD)}, SecretNames())
    with pytest.raises(SyntaxError) as raised:
        ast.literal_eval(f"x {WORD}")
    cleaned(raised.value)

    assert WORD not in "".join(traceback.format_exception_only(raised.value))


def test_errors_of_groups_and_retries():
    know({"a": Secret(WORD)}, SecretNames())
    inner, retried = ValueError(WORD), KeyError({"at": (WORD,)})

    assert cleaned(ExceptionGroup("several", [inner])).args[0] == "several"
    cleaned(Retry(exc=retried))
    assert (inner.args, retried.args) == (("***",), ({"at": ("***",)},))


def test_errors_that_make_their_text_themselves():
    """Another error, with their name, stands for them."""

    class Stubborn(Exception):
        def __str__(self):
            return f"no {WORD}"

    know({"a": Secret(WORD)}, SecretNames())
    shown = cleaned(Stubborn())

    assert str(shown).endswith("Stubborn: no ***")
    assert WORD not in "".join(traceback.format_exception(shown))


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
