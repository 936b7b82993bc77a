"""Exceptions on the wire: class, arguments, attributes and cause come back, or a stand-in tells the story."""

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from subprocess import CalledProcessError

import kombu.utils.json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit import _wire
from firexkit._serialization import (
    RemoteError,
    WireError,
    allow,
    decode,
    decode_exception,
    encode,
    encode_exception,
)
from firexkit.result import ChainInterruptedException, MultipleFailuresException


def through(error, *, carrier=json):
    """The exception after a journey as text."""
    return decode_exception(carrier.loads(carrier.dumps(encode_exception(error))))


def causes(error):
    """The exception and those below it."""
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    return chain


class Keyword(Exception):
    """Wants more than its base gets."""

    def __init__(self, code, *, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.lock = threading.Lock()


class Rewriting(Exception):
    """Gives its base another text than it takes."""

    def __init__(self, name):
        super().__init__(f"bad {name}")


class Unprintable(Exception):
    def __str__(self):
        return self.gone

    __repr__ = __str__


class Hiding(Exception):
    args = property(lambda self: 1 / 0)


@dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Unmakeable(Exception):
    def __new__(cls, *args):
        if args == ():
            return super().__new__(cls)
        raise ValueError("not like this")


class Broken:
    def __repr__(self):
        raise RuntimeError("no words")


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([ValueError, KeyError, RuntimeError, WireError, Exception]),
    st.lists(st.integers() | st.text() | st.tuples(st.binary()) | st.dates() | st.builds(Exception, st.text())),
    st.none() | st.builds(KeyError, st.text()),
)
def test_class_arguments_and_cause_come_back(cls, arguments, cause):
    """Whatever carries the JSON, the exception has the same class, arguments and cause again."""
    error = cls(*arguments)
    error.__cause__ = cause

    for carrier in (json, kombu.utils.json):
        back = through(error, carrier=carrier)
        assert type(back) is cls
        assert repr(back.args) == repr(error.args)
        assert repr(back.__cause__) == repr(cause)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file", "/x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
        CalledProcessError(3, ["ls"], output=b"text"),
        Rewriting("name"),
        Keyword(404, detail="missing"),
        Frozen(code=5),
        ExceptionGroup("several", [ValueError(1), KeyError("k")]),
        SyntaxError("bad", ("file", 1, 2, "text")),
        WireError("x cannot be sent"),
        RemoteError("a.B", "text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_hard_constructors_are_overcome(error):
    """The text, the arguments and the plain attributes are those of the original."""
    back = through(error)
    plain = {name: value for name, value in vars(error).items() if name != "lock"}

    assert type(back) is type(error)
    assert str(back) == str(error)
    assert repr(back.args) == repr(error.args)
    assert {name: vars(back)[name] for name in plain} == plain


def test_notes_come_back():
    """Notes added to an exception are still on it."""
    error = ValueError(1)
    error.add_note("while baking")

    assert through(error).__notes__ == ["while baking"]


def test_exceptions_are_values_too():
    """An exception among arguments or results travels like any value, and stays one where it was one."""
    error = KeyError("k")
    back = decode(json.loads(json.dumps(encode({"errors": (error, error)}))))["errors"]

    assert repr(back) == repr((error, error))
    assert back[0] is back[1]


def test_an_argument_that_cannot_travel_becomes_its_repr():
    """Only that argument changes; an attribute that cannot travel is left out."""
    error = ValueError("first", {1: Ellipsis}, Broken())
    error.detail = Broken()
    back = through(error)

    assert back.args[:2] == ("first", "{1: Ellipsis}")
    assert back.args[2].endswith("Broken, whose repr() raised RuntimeError>")
    assert not hasattr(back, "detail")


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [
        (KeyboardInterrupt("stop"), "KeyboardInterrupt", "stop"),
        (SystemExit(3), "SystemExit", "3"),
        (
            type("Local", (Exception,), {"__qualname__": "f.<locals>.Local"})("why"),
            f"{__name__}.f.<locals>.Local",
            "why",
        ),
        (type("Gone", (Exception,), {"__module__": "not_imported"})("why"), "not_imported.Gone", "why"),
        (Unmakeable(), f"{__name__}.Unmakeable", ""),
    ],
    ids=["interrupt", "exit", "local", "gone", "unmakeable"],
)
def test_a_stand_in_keeps_name_text_and_cause(error, name, text):
    """What cannot be rebuilt comes back as a RemoteError, which travels on as well."""
    error.__cause__ = KeyError("root")
    if isinstance(error, Unmakeable):
        error.args = ("changed",)
    back = through(through(error))

    assert (type(back), back.name) == (RemoteError, name)
    assert back.text in {text, "changed"}
    assert repr(back.__cause__) == "KeyError('root')"


def test_allowed_exceptions_come_back_even_if_local():
    """An exception class that no module shows is rebuilt once it is allowed."""

    @allow
    class Local(Exception):
        pass

    assert type(through(Local(1))) is Local


@pytest.mark.parametrize(
    "error", [Unprintable(1), Hiding(1), ValueError(Unprintable())], ids=["text", "args", "inside"]
)
def test_telling_never_fails(error):
    """An exception that cannot even be printed is told all the same."""
    assert isinstance(through(error), Exception)


def test_an_unreadable_argument_makes_a_stand_in():
    """If a class among the arguments is not allowed here, the name, text and cause are still told."""
    told = encode_exception(ValueError(datetime.now(UTC)))
    told[_wire.ARGUMENTS][0] = {_wire.TAG: "object", "class": "not:here", "value": {}}
    told[_wire.CAUSE] = encode(KeyError("root"))["value"]
    back = decode_exception(told)

    assert back.name == "ValueError"
    assert repr(back.__cause__) == "KeyError('root')"


@pytest.mark.parametrize(
    "forged",
    [
        None,
        "text",
        {},
        {"class": 5},
        {"class": "os:system", "arguments": ["true"]},
        {"class": "subprocess:Popen", "arguments": [["true"]]},
        {"class": "antigravity:Error"},
        {"class": "builtins:SystemExit"},
        {"class": "builtins:Exception.__init__"},
        {"class": "builtins:"},
        {"class": "builtins:ValueError", "arguments": 5},
        {"class": "builtins:ValueError", "attributes": []},
        {"class": "builtins:ValueError", "arguments": [{_wire.TAG: "tuple"}]},
        {"class": "builtins:ValueError", "number": [], "notes": 5, "cause": 5, "arguments": [{_wire.TAG: "nope"}]},
    ],
)
def test_forged_exceptions_are_stand_ins(forged):
    """Malformed data, and classes that are no exceptions, never run anything."""
    assert type(decode_exception(forged)) is RemoteError


# ── chains ───────────────────────────────────────────────────────────────────────────────
class Silent(Exception):
    """Python's own text of nested exceptions doubles with each level."""

    def __str__(self):
        return "silent"

    __repr__ = __str__


def interrupted(levels):
    """A task that failed because a task failed because …, as the library raises it."""
    error = KeyError("root")
    for level in range(levels):
        error = ChainInterruptedException(f"id-{level}", f"pkg.task{level}", error)
    return error


def test_q10_a_chain_of_failures_survives():
    """Each interruption keeps its class, task and cause, down to the root, which is its argument and its cause."""
    original = interrupted(10)
    chain = causes(through(original))

    assert [type(error) for error in chain] == [ChainInterruptedException] * 10 + [KeyError]
    assert [str(error) for error in chain] == [str(error) for error in causes(original)]
    assert all(error.args[2] is error.__cause__ for error in chain[:-1])


def test_q10_nested_chains_stay_small():
    """A cause that is an argument is written once, so size grows with the levels, not with their power."""
    small, large = (len(json.dumps(encode_exception(interrupted(levels)))) for levels in (5, 15))

    assert large < 4 * small


def test_q10_several_failures_stay_told():
    """The failures that a MultipleFailuresException collected are the same objects as its cause and theirs."""
    error = MultipleFailuresException(("a", "b"))
    error.failures = [interrupted(2), interrupted(3)]
    error.__cause__ = error.failures[0]
    back = through(error)

    assert [repr(failure) for failure in back.failures] == [repr(failure) for failure in error.failures]
    assert back.__cause__ is back.failures[0]


def test_chains_end():
    """A chain is told down to twenty causes, and one that bites its tail just ends."""
    ring = ValueError("ring")
    ring.__cause__ = KeyError("other")
    ring.__cause__.__cause__ = ring
    ring.args = (ring, ring)
    deep = ValueError(0)
    for level in range(1, 500):
        above = ValueError(level)
        above.__cause__ = deep
        deep = above

    assert len(causes(through(ring))) == 2
    assert len(causes(through(deep))) == 21


@pytest.mark.timeout(10)
def test_tangled_exceptions_stay_linear():
    """An exception that is everywhere, over and over, is still written once."""
    error = Silent("root")
    for _ in range(15):
        above = Silent(error, [error, error])
        above.others = (error, error)
        above.__cause__ = error
        error = above
    told = json.dumps(encode_exception(error))

    assert len(causes(through(error))) == 16
    assert told.count('"class"') == 16
