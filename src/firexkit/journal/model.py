"""What happened in a run: facts, each told once by whoever knows it, and never changed. Pure.

Facts are told by several processes on several machines. They may come in any order, and twice; what they come to is for
`tree.py`. Each is JSON with its kind under `fact`. A reader that is older than the writer meets kinds that it does not
know: it keeps them as :class:`Unknown`, so that nothing that was recorded is lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

VERSION: Final = 1
"""Of the facts: raised when one changes so that an older reader would take it for something else."""


class OriginKind(StrEnum):
    """Where a value of the bag came from."""

    RUN = "run"
    """Given to the whole run, on its command line say."""
    CALL = "call"
    """An argument of the signature."""
    INJECTED = "injected"
    """`InjectArgs` before the chain."""
    RESULT = "result"
    """Returned by a member before in the chain."""
    PARENT = "parent"
    """The bag of the task that enqueued it."""
    DEFAULT = "default"
    """The parameter's default."""
    REFERENCE = "reference"
    """A value `"@name"`."""
    CONVERTER = "converter"
    """Made or changed by a converter."""
    CACHE = "cache"
    """The result of an equal call before."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What facts are made of."""


class Value(_Part, frozen=True, kw_only=True):
    """A value, as far as people read it.

    Attributes:
        digest: of the whole value; equal values have equal ones.
        preview: its beginning, as text.
        size: bytes of the whole.
    """

    digest: str
    preview: str
    size: int = 0


class Origin(_Part, frozen=True, kw_only=True):
    """Where a value came from.

    Attributes:
        kind: in which way.
        task: the task that gave it; empty when none did.
        name: the name that it had there, if another one.
        converter: the converter that made it.
        before: the digest of what the converter was given.
    """

    kind: OriginKind
    task: str = ""
    name: str = ""
    converter: str = ""
    before: str = ""


class Entry(_Part, frozen=True, kw_only=True):
    """A name in the bag with its value.

    Attributes:
        name: the key.
        value: the value.
        origin: where it came from; a result that names no task came from its own. None where nobody knows.
    """

    name: str
    value: Value
    origin: Origin | None = None


class Fact(_Part, tag_field="fact", frozen=True, kw_only=True):
    """Something that happened to a task.

    Attributes:
        at: Unix time, by the clock of whoever tells it.
        task: the task's id.
        attempt: which of its bodies, from 1; 0 where it is about none.
    """

    at: float
    task: str
    attempt: int = 0


class Queued(Fact, tag="queued", frozen=True, kw_only=True):
    """A task was sent.

    Attributes:
        name: its full name.
        parent: the task that enqueued it; empty for the first of a run, and for what follows in a chain.
        after: the member before it in its chain.
        queue: where to.
    """

    name: str
    parent: str = ""
    after: str = ""
    queue: str = ""


class Began(Fact, tag="began", frozen=True, kw_only=True):
    """A body began.

    Attributes:
        name: the name of the task that really runs, a plugin's say.
        parent: as in :class:`Queued`: a plain worker's task was perhaps queued by nobody we know.
        after: the same.
        worker: the full name of its worker.
        arguments: what it takes.
        passing: what came with it for those after it or below it, and was in no bag before.
        log: its log file, on the worker's machine.
        plugin: the file of the plugin that brought it.
        code: the file of its function.
    """

    name: str
    parent: str = ""
    after: str = ""
    worker: str = ""
    arguments: tuple[Entry, ...] = ()
    passing: tuple[Entry, ...] = ()
    log: str = ""
    plugin: str = ""
    code: str = ""


class Blocked(Fact, tag="blocked", frozen=True, kw_only=True):
    """A body waits for other tasks. If they are few, ``on`` has them, with those before them in their chains."""

    on: tuple[str, ...] = ()


class Unblocked(Fact, tag="unblocked", frozen=True, kw_only=True):
    """It goes on."""


class Planned(Fact, tag="planned", frozen=True, kw_only=True):
    """It sends children one after the other, and will have had ``children`` by the end; None when it can't tell."""

    children: int | None = None


class Shown(Fact, tag="shown", frozen=True, kw_only=True):
    """A task shows something of itself: cleaned HTML by key, in the order of ``order``."""

    key: str
    html: str
    order: float = 0.0


class Joined(Fact, tag="joined", frozen=True, kw_only=True):
    """It takes the results of ``children``, which others had sent before it asked for them."""

    children: tuple[str, ...] = ()


class Returned(Fact, tag="returned", frozen=True, kw_only=True):
    """A body ended well; ``cached_from`` is the task whose result it took over."""

    results: tuple[Entry, ...] = ()
    cached_from: str = ""


class Failed(Fact, tag="failed", frozen=True, kw_only=True):
    """A body failed.

    Attributes:
        error: the error's class.
        message: its text.
        traceback: where.
        cause: the task that it failed because of, if another one.
    """

    error: str
    message: str = ""
    traceback: str = ""
    cause: str = ""


class Retried(Fact, tag="retried", frozen=True, kw_only=True):
    """A body ended, and asked for another attempt; ``reason`` says why."""

    reason: str = ""


class Lost(Fact, tag="lost", frozen=True, kw_only=True):
    """A body's process died; another body is to follow."""

    cause: str = ""


class Revoked(Fact, tag="revoked", frozen=True, kw_only=True):
    """A task was revoked: it never begins, or its body was ended."""

    reason: str = ""


class Unknown(_Part, frozen=True, kw_only=True):
    """A fact of a kind that this release does not know, as it was written."""

    kind: str
    raw: bytes


AnyFact: TypeAlias = (
    Queued | Began | Blocked | Unblocked | Planned | Shown | Joined | Returned | Failed | Retried | Lost | Revoked
)

KINDS: Final[dict[str, type[Fact]]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (Queued, Began, Blocked, Unblocked, Planned, Shown, Joined, Returned, Failed, Retried, Lost, Revoked)
}

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(AnyFact)
_any: Final = msgspec.json.Decoder(dict[str, Any])


def encoded(fact: Fact) -> bytes:
    """A fact as it is written."""
    return _encoder.encode(fact)


def encoded_text(text: str) -> bytes:
    """A text as it stands in facts."""
    return _encoder.encode(text)


def decoded(raw: bytes) -> AnyFact | Unknown:
    """A fact as it was written, or what is left to say of one of a kind that is not known here.

    Raises:
        ValueError: it is no fact: cut off, or something else.
    """
    try:
        fact: AnyFact = _decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        kind = _kind_of(raw)
        if kind is None or kind in KINDS:
            raise ValueError(f"not a fact: {raw[:80]!r}: {error}") from error
        return Unknown(kind=kind, raw=raw)
    return fact


def _kind_of(raw: bytes) -> str | None:
    try:
        kind = _any.decode(raw).get("fact")
    except (msgspec.MsgspecError, RecursionError):
        return None
    return kind if isinstance(kind, str) else None
