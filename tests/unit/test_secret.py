"""A secret is never shown, and comes back from its way as it was."""

import copy
import json
import logging
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit import Secret, WireError
from firexkit._serialization import convert_to_serializable, decode, encode, encode_exception
from firexkit._serialization.masking import masked, masked_command, readable_arguments
from firexkit._serialization.packing import packed
from firexkit._serialization.sealing import Hidden, fingerprint, sealed_for
from firexkit.secret import MASK, SecretNames

NAMES = SecretNames()
WORD = "correct-horse"


@pytest.fixture(autouse=True)
def key():
    """A password to encrypt with."""
    with sealed_for(lambda: "of the broker"):
        yield


def renderings(value):
    """Everything that people may read of a value."""
    yield str(value)
    yield repr(value)
    yield f"{value}{value!r}{value:>20}{value:d}"
    yield f"{[value]}{ {'a': value} }"
    yield f"{value} {[value]!r}"
    yield logging.LogRecord("a", 10, "b", 1, "%s %r", (value, [value]), None).getMessage()
    yield json.dumps(convert_to_serializable({"a": [value, {"b": value}]}))
    yield json.dumps(value, default=str)
    yield json.dumps(encode({"x": value}))
    yield json.dumps(encode_exception(ValueError("no", value)))
    yield packed([value]).decode()


@given(st.text(min_size=6))
@settings(deadline=None)
def test_no_rendering_holds_the_text(text):
    """Whatever is made of a secret to be read, the text is not in it."""
    shown = "\n".join(renderings(Secret(f"<<{text}>>")))

    assert f"<<{text}>>" not in shown
    assert json.dumps(f"<<{text}>>")[1:-1] not in shown


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists) | st.floats(0, 1))
@settings(deadline=None)
def test_it_comes_back(value):
    """What was sent as a secret is one again; what was hidden is plain again."""
    sent = json.dumps(encode({"s": Secret(value), "h": Hidden(value)}))

    back = decode(json.loads(sent))

    assert type(back["s"]) is Secret
    assert back["s"].reveal() == back["h"] == value


def test_equal_secrets_are_equal_when_encrypted():
    """So a value is stored once, and a call is known again; another key gives another text."""
    ours = encode(Secret(WORD))
    with sealed_for(lambda: "another"):
        theirs = encode(Secret(WORD))

    assert ours == encode(Secret(WORD)) != encode(Secret("other"))
    assert theirs != ours


def test_lengths_are_not_told():
    """Short secrets take the same room."""
    assert len(json.dumps(encode(Secret("a")))) == len(json.dumps(encode(Secret("a" * 40))))


def test_without_a_key_it_is_not_sent():
    """The error names the place and what to do."""
    with (
        sealed_for(str),
        pytest.raises(WireError, match=r"\['a'\] is a Secret, and there is no key.*firexkit_secret_key"),
    ):
        encode({"a": Secret(WORD)})


def test_another_key_does_not_open_it():
    """The error tells apart another key, none, and a text that was changed."""
    sent = encode(Secret(WORD))
    name, data = sent["value"]["value"]

    with sealed_for(lambda: "another"), pytest.raises(WireError, match="another key"):
        decode(sent)
    with sealed_for(str), pytest.raises(WireError, match="no key"):
        decode(sent)
    with pytest.raises(WireError, match="changed"):
        decode({**sent, "value": {**sent["value"], "value": [name, data[:-8] + "AAAAAAA="]}})


def test_errors_without_a_key_show_nothing():
    """An exception that holds a secret is told all the same."""
    with sealed_for(str):
        told = json.dumps(encode_exception(ValueError("wrong", Secret(WORD))))

    assert WORD not in told
    assert MASK in told


def test_pickle_is_refused():
    """The error says what to do."""
    with pytest.raises(TypeError, match="serializer 'json'"):
        pickle.dumps([Secret(WORD)])


def test_what_a_secret_is():
    """Equal ones are equal, copies are the same, it can't be changed, and a secret of a secret is one."""
    one = Secret(WORD)

    assert one == Secret(WORD) != Secret("other")
    assert one != WORD
    assert {one: 1}[Secret(WORD)] == 1
    assert Secret(b"a") == Secret(b"a") != Secret("a")
    assert copy.deepcopy({"a": one})["a"] is one
    assert Secret(one).reveal() == WORD
    assert not Secret("")
    with pytest.raises(AttributeError, match="can't be changed"):
        one.value = 2


def test_fingerprints():
    """They need the key, and are the same for the same text; without a key they are good in this process."""
    with sealed_for(lambda: "another"):
        theirs = fingerprint(WORD)
    with sealed_for(str):
        own = fingerprint(WORD)
        again = fingerprint(WORD)

    assert fingerprint(WORD) == fingerprint(WORD) not in {theirs, own}
    assert own == again


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("token", True),
        ("github_token", True),
        ("API_KEY", True),
        ("db-password", True),
        ("token_count", False),
        ("tokens", False),
        ("key", False),
    ],
)
def test_names(name, is_secret):
    """A word stands for names that are it, or end with it."""
    assert (name in NAMES) is is_secret


def test_values_by_name():
    """Listed names and secrets are hidden, also inside a dict; what is none, and a switch, is shown."""
    values = {
        "token": WORD,
        "n": 1,
        "kwargs": {"password": WORD, "a": 2},
        "s": Secret(1),
        "passwd": None,
        "secret": True,
    }

    shown = readable_arguments({**values, "list": [Secret(WORD)]}, NAMES)

    assert shown == {
        "token": MASK,
        "n": 1,
        "kwargs": {"password": MASK, "a": 2},
        "s": MASK,
        "passwd": None,
        "secret": True,
        "list": [MASK],
    }
    assert masked(plain := {"n": 1, "d": {"a": 1}}, NAMES) is plain
    assert values["token"] == WORD


def test_command_line():
    """Values of listed names are hidden, in both forms; what has no value hides nothing."""
    words = ["firex", "run", "deploy", "--token", WORD, "--db-password=a=b", "--secret", "--n", "3", "--api_key", "-5"]

    ours = ["--secret", "a=f", "--", "--secret"]

    assert masked_command([*ours, WORD], NAMES) == [*ours, MASK]
    assert masked_command(words, NAMES) == [
        *("firex", "run", "deploy", "--token", MASK, f"--db-password={MASK}", "--secret", "--n", "3", "--api_key", MASK)
    ]


def test_pydantic():
    """A parameter annotated with it takes the plain value, of the right type, and shows nothing as JSON."""
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(Secret[int])

    assert adapter.validate_python("5") == Secret(5)
    assert adapter.validate_python(Secret("x")).reveal() == "x"
    assert adapter.dump_json(Secret(5)) == b'"***"'
    assert pydantic.TypeAdapter(Secret).validate_python("x") == Secret("x")
