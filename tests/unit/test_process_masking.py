"""Secrets hidden in text, and the end of a text kept; whole or in pieces, the answer is the same."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit import Secret
from firexkit.process.masking import Mask, secret_values
from firexkit.process.tail import Tail

LAW = settings(deadline=None, max_examples=300)
LETTERS = st.text("abc", max_size=30)
"""So few letters that secrets are found, overlap, and are cut in all places."""
SECRETS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def in_pieces(secrets, pieces):
    """What comes out of a stream."""
    stream = Mask(secrets).stream()
    return "".join([*map(stream.feed, pieces), stream.end()])


def hidden(text, secrets):
    """The same, said simply: each run of characters that belong to secrets is one mask."""
    places = {
        start + offset
        for secret in secrets
        for start in range(len(text))
        if text.startswith(secret, start)
        for offset in range(len(secret))
    }
    marks = "".join("\0" if place in places else letter for place, letter in enumerate(text))
    return re.sub("\0+", "***", marks)


@LAW
@given(st.lists(LETTERS), SECRETS)
def test_a_stream_is_masked_like_the_whole(pieces, secrets):
    """Wherever a text is cut, what comes out is what comes out of all of it."""
    assert in_pieces(secrets, pieces) == Mask(secrets)("".join(pieces))


@LAW
@given(LETTERS, SECRETS)
def test_every_character_of_a_secret_goes(text, secrets):
    """A text is masked where it belongs to a secret, and nowhere else."""
    assert Mask(secrets)(text) == hidden(text, secrets)


@pytest.mark.parametrize(
    ("secrets", "text", "masked"),
    [
        (["hunter2"], "pw: hunter2!", "pw: ***!"),
        (["hunter2"], "hunter2hunter2 hunter", "*** hunter"),
        (["abc", "bcd"], "abcd", "***"),
        (["aa"], "aaa", "***"),
        (["hunter2\n"], "hunter2, hunter2\n", "***, ***\n"),
        (["", "  "], "as it was", "as it was"),
        ("hunter2", "hunt for hunter2", "hunt for ***"),
        (["a.c"], "abc a.c", "abc ***"),
    ],
)
def test_masking(secrets, text, masked):
    """Touching and overlapping secrets are one mask; blanks around a secret do not count; nothing is a pattern."""
    assert Mask(secrets)(text) == masked


def test_what_cannot_be_a_secret_is_told_at_once():
    """Only the beginning of a secret waits for the next piece."""
    stream = Mask(["hunter2"]).stream()

    assert stream.feed("progress 10 %\nhun") == "progress 10 %\n"
    assert stream.feed("dred") == "hundred"
    assert stream.feed(" hunter") == " "
    assert stream.feed("2 and") == "*** and"


def test_a_secret_that_is_no_text_is_refused():
    """What a missing variable gives is not taken for a secret."""
    with pytest.raises(TypeError, match="a secret has to be a text, not NoneType"):
        Mask(["hunter2", None])


def test_variables_named_like_secrets():
    """Their values count unless they are short, or no secret in spite of the name."""
    environment = {
        "DB_PASSWORD": "one-secret",
        "Api_Token": " two-secret\n",
        "MYSECRETS": "three-secret",
        "LDAP_PASSWD": "four-secret",
        "TOKENIZERS_PARALLELISM": "False",
        "TOKEN": "abc",
        "HOME": "/home/me",
        "BROKER": "five-secret",
    }

    assert secret_values(environment, also=["BROKER", "MISSING"]) == {
        *("one-secret", "two-secret", "three-secret", "four-secret", "five-secret")
    }


# ── the end of a text ────────────────────────────────────────────────────────────────────


@LAW
@given(st.lists(st.text(max_size=10)), st.none() | st.integers(0, 20))
def test_the_tail_of_pieces_is_the_tail_of_all(pieces, limit):
    """It has the last characters of the whole text, and knows whether there were more."""
    tail, text = Tail(limit), "".join(pieces)
    for piece in pieces:
        tail.feed(piece)

    assert tail.text == (text if limit is None else text[max(len(text) - limit, 0) :])
    assert tail.is_truncated == (tail.text != text)


def test_a_negative_tail_is_refused():
    """There is no such number of characters."""
    with pytest.raises(ValueError, match="cannot keep -1 characters"):
        Tail(-1)


def test_a_secret_object_is_a_secret_text():
    """Who has a Secret need not reveal it to have it hidden."""
    assert Mask([Secret("hidden"), "also"])("hidden also shown") == "*** *** shown"
    assert Mask(Secret("hidden"))("hidden shown") == "*** shown"
