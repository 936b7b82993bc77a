"""Ids of children that follow from who sends them and from what is sent: a body that runs again gives the same.

All members of a chain get their ids from one *enqueue*: the parent's id and retry number, the digest of what is sent,
and how often the body has sent the same before. The digest covers the whole chain: the names of its tasks, their
places, their arguments. Other children that the body sends, in whatever order, change nothing.

Arguments are told apart by their content, also large ones: ``marshal`` and SHA-1 read a value faster than anything else
that is done to send it. A value without a content that all processes read alike counts by its class.
"""

from __future__ import annotations

import logging
import marshal
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha1
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID, uuid5

from celery import signature

from firexkit._celery.chains import is_chain, is_parallel
from firexkit._celery.secret_settings import hidden_call
from firexkit._serialization.large import LargeValue, entries_of
from firexkit._serialization.objects import kind_for
from firexkit._serialization.scalars import SCALARS, Scalar
from firexkit._serialization.sealing import Hidden, fingerprint
from firexkit._wire import CHILD_SPACE
from firexkit.secret import Secret

logger: Final = logging.getLogger(__name__)

IdAt: TypeAlias = Callable[[str], str]
"""The id of what stands at a place of a chain."""
Parts: TypeAlias = Callable[[Any, int], Any]
"""What a value is made of, for a digest; the number tells how deep it stands."""

_SPACE: Final = UUID(CHILD_SPACE)
_FORMAT: Final = 2
"""Of ``marshal``: the latest whose bytes depend on the values alone, not on who else refers to them."""
_DEEPEST: Final = 100
_LONG: Final = 64 * 1024
_TASK_ID: Final = "task_id"


class Enqueue(NamedTuple):
    """What the ids of all that is sent at once follow from."""

    parent: str
    """The id of the task that sends."""
    life: str
    """Which call of that task: its retry number, and whatever else is another call under the same id."""
    position: int
    """How often this call has sent the same before."""
    digest: str
    """What is sent."""

    def id_at(self, place: str, generation: int = 0) -> str:
        """The id of the member at a place.

        Args:
            place: as :func:`places` names it.
            generation: another one for what is sent once more and can't have the same id.
        """
        return str(uuid5(_SPACE, "\n".join((*map(str, self), place, str(generation)))))


# ── the members of what is sent ──────────────────────────────────────────────────────────


def places(sig: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every single task in a signature, chain, group or chord, by its place."""
    if is_chain(sig):
        for at, member in enumerate(sig.tasks):
            yield from places(member, f"{place}/{at}")
    elif is_parallel(sig):
        for at, member in enumerate(tasks_of(sig)):
            yield from places(member, f"{place}+{at}")
        if (body := sig.kwargs.get("body")) is not None:
            yield from places(body, f"{place}=")
    else:
        yield place, sig


def heads(sig: Any, place: str = "") -> Iterator[str]:
    """The places of the tasks that are sent at once; the others follow when these have ended."""
    if is_chain(sig):
        yield from heads(sig.tasks[0], f"{place}/0")
    elif is_parallel(sig):
        for at, member in enumerate(tasks_of(sig)):
            yield from heads(member, f"{place}+{at}")
    else:
        yield place


def tasks_of(parallel: Any) -> list[Any]:
    """The members of a group, or those before the body of a chord."""
    return list(getattr(parallel.tasks, "tasks", parallel.tasks))


def identified(sig: Any, id_at: IdAt, *, last: str | None = None, place: str = "") -> Any:
    """A copy whose members all have ids: their own if they have some, else those of their places.

    Args:
        sig: a signature, chain, group or chord.
        id_at: the id of a place.
        last: the id of the last task, or of the group, if whoever sends it says so.
        place: where it stands itself.
    """
    given = last or sig.options.get(_TASK_ID)
    if is_chain(sig):
        own = {len(sig.tasks) - 1: given}
        tasks = [identified(task, id_at, last=own.get(at), place=f"{place}/{at}") for at, task in enumerate(sig.tasks)]
        return rebuilt(sig, {"tasks": tasks})
    if not is_parallel(sig):
        return sig.clone(task_id=given or id_at(place))
    tasks = [identified(task, id_at, place=f"{place}+{at}") for at, task in enumerate(tasks_of(sig))]
    if (body := sig.kwargs.get("body")) is None:
        return rebuilt(sig, {"tasks": tasks}, task_id=given or id_at(f"{place}+"))
    return rebuilt(sig, {"header": tasks, "body": identified(body, id_at, last=given, place=f"{place}=")})


def rebuilt(sig: Any, parts: Mapping[str, Any], **options: Any) -> Any:
    """A chain, group or chord like another one, made of other signatures."""
    kwargs, all_options = {**sig.kwargs, **parts}, {**sig.options, **options}
    return signature({**sig, "kwargs": kwargs, "options": all_options}, app=sig.app)


# ── what is sent, as a digest ────────────────────────────────────────────────────────────


def digest_of(sig: Any) -> str:
    """The digest of the tasks in a signature, chain, group or chord: their names, places and arguments."""
    calls = [
        (
            *(place, task.task, [_brief(value) for value in args]),
            [(name, _brief(value)) for name, value in sorted(entries_of(kwargs), key=_name)],
        )
        for place, task in places(sig)
        for args, kwargs in [_secretly(task)]
    ]
    return digest_of_values(calls)


def _secretly(sig: Any) -> tuple[Any, Any]:
    """The arguments of a task, of which those that are secret count by a digest that nobody can guess."""
    task = sig.app.tasks.get(sig.task)
    return hidden_call(task, sig.args, sig.kwargs) if hasattr(task, "secret_parameters") else (sig.args, sig.kwargs)


def digest_of_values(values: Any) -> str:
    """The digest of values of any kind; of secrets in it, nobody can guess what they are."""
    return sha1(_text(values, 0), usedforsecurity=False).hexdigest()


def _brief(value: Any) -> Any:
    """A value, or the digest of a text that is too long to be copied once more."""
    if type(value) is str and len(value) > _LONG:
        return len(value), sha1(value.encode(errors="surrogatepass"), usedforsecurity=False).digest()
    return value


def _name(entry: tuple[Any, Any]) -> str:
    return str(entry[0])


def _text(value: Any, depth: int) -> bytes:
    """A value as bytes."""
    try:
        return marshal.dumps(value, _FORMAT)
    except ValueError:  # something in it is none of Python's own plain values
        return marshal.dumps(_taken_apart(value, depth), _FORMAT)


def _taken_apart(value: Any, depth: int) -> tuple[Any, ...]:
    """The class of a value, and its parts unless nobody can read them, or all processes would not read them alike."""
    kind = type(value)
    try:
        if (of_kind := _OF_KIND.get(kind)) is not None and depth < _DEEPEST:
            return kind.__module__, kind.__qualname__, of_kind(value, depth + 1)
        for fits, parts in _PARTS:
            if depth < _DEEPEST and fits(value):
                return kind.__module__, kind.__qualname__, parts(value, depth + 1)
    except Exception:
        # A class may answer any question with an error.
        logger.debug("Not in the digest of a child: a %s", kind.__qualname__, exc_info=True)
    return kind.__module__, kind.__qualname__


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _each(values: Iterable[Any], depth: int) -> list[bytes]:
    return [_text(value, depth) for value in values]


def _sorted(values: Iterable[Any], depth: int) -> list[bytes]:
    """Values that stand in no order, in one that is always the same."""
    return sorted(_each(values, depth))


def _fields(value: Any, depth: int) -> bytes:
    kind = kind_for(type(value))
    parts = kind.apart(value) if kind is not None else None
    return _text(tuple(parts) if isinstance(parts, tuple) else parts, depth)


def _secret(value: Secret[Any] | Hidden, depth: int) -> str:
    return fingerprint(_text(value.reveal(), depth).hex())


def _scalar(row: Scalar) -> Parts:
    return lambda value, depth: _text(row.apart(value), depth)


_OF_KIND: Final[dict[type, Parts]] = {
    **{row.kind: _scalar(row) for row in reversed(SCALARS)},
    LargeValue: lambda value, _: value.place.digest,
    Secret: _secret,
    Hidden: _secret,
    list: _each,
    tuple: _each,
    set: _sorted,
    frozenset: _sorted,
    dict: lambda value, depth: _sorted(value.items(), depth),
}
_PARTS: Final[tuple[tuple[Callable[[Any], bool], Parts], ...]] = (
    (lambda value: kind_for(type(value)) is not None, _fields),
    (_is(str), lambda value, _: str.__str__(value)),
    (_is(float), lambda value, _: float.__float__(value)),
    *((_is(row.kind), _scalar(row)) for row in SCALARS),
    (_is(list), lambda value, depth: _each(list.__iter__(value), depth)),
    (_is(tuple), lambda value, depth: _each(tuple.__iter__(value), depth)),
    (_is(set, frozenset), _sorted),
    (_is(Mapping), lambda value, depth: _sorted(entries_of(value), depth)),
    (_is(BaseException), lambda value, depth: _each(value.args, depth)),
)
"""How values of all other classes are read, in the order to ask."""
