"""The named values of a task's call as facts have them, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from firexkit import _wire
from firexkit._functions import parameters_of
from firexkit._serialization.large import entries_of
from firexkit._serialization.masking import masked
from firexkit.journal.model import Entry, Origin, OriginKind
from firexkit.journal.valuing import Valuer
from firexkit.task.secrets import names_of
from firexkit.uid import is_run_id

_KINDS: Final = {
    "positional": OriginKind.CALL,
    "keyword": OriginKind.CALL,
    "injected": OriginKind.INJECTED,
    "previous": OriginKind.RESULT,
    "default": OriginKind.DEFAULT,
    "reference": OriginKind.REFERENCE,
    "converter": OriginKind.CONVERTER,
    "returned": OriginKind.RESULT,
}
"""By the words of the bag."""
_RETURNED: Final = Origin(kind=OriginKind.RESULT)

_valuer: Final = Valuer()


def arguments_of(task: Any, run_id: str, values: dict[str, bytes]) -> Iterator[Entry]:
    """What a task takes.

    Args:
        task: the task, whose body is about to begin.
        run_id: its run.
        values: gets whole values that were not told yet, by their digests.

    Raises:
        TypeError: an argument is missing.
        RuntimeError: nobody has looked at its arguments yet.
    """
    bag = task.execution.bag
    origins, secret = bag.origins, names_of(task)
    before = masked(task.execution.converted_from, secret)
    for name, value in _by_name(task):
        came = origins.get(name)
        origin = _origin(task, came.kind, came.detail) if came is not None else None
        if origin is not None and origin.kind is OriginKind.CONVERTER and name in before:
            digest = _valuer.value(run_id, before[name]).digest
            origin = Origin(kind=origin.kind, converter=origin.converter, before=digest)
        yield _entry(run_id, name, value, origin, values)


def passing_of(task: Any, arguments: Iterable[Entry], run_id: str, values: dict[str, bytes]) -> Iterator[Entry]:
    """What came with a task that it does not take, but for what came from before in the chain: that was told there.

    Args:
        task: the task, whose body is about to begin.
        arguments: what it takes.
        run_id: its run.
        values: see `arguments_of`.
    """
    bag, known = task.execution.bag, {entry.name for entry in arguments} | _wire.NOT_INHERITED
    new = {name: came for name, came in bag.origins.items() if name not in known and came.kind != "previous"}
    if not new:
        return
    shown = dict(entries_of(masked(bag.get_bag(), names_of(task))))
    for name, came in new.items():
        if name in shown:
            yield _entry(run_id, name, shown[name], _origin(task, came.kind, came.detail), values)


def results_of(task: Any, returned: Any, cached_from: str, run_id: str, values: dict[str, bytes]) -> tuple[Entry, ...]:
    """What a task returned, as its converters left it.

    Args:
        task: the task, whose body has just returned.
        returned: its results by name, or the one value that it has no name for.
        cached_from: the task whose result it took over; empty if none.
        run_id: its run.
        values: see `arguments_of`.
    """
    cached = Origin(kind=OriginKind.CACHE, task=cached_from) if cached_from else None
    bag = task.execution.bag
    kept, origins = dict(entries_of(bag.get_bag())), bag.origins
    named = {name: kept.get(name, value) for name, value in returned.items()} if isinstance(returned, Mapping) else {}
    if not named:
        return () if returned is None else (_entry(run_id, "", returned, cached or _RETURNED, values),)
    shown = dict(entries_of(masked(named, names_of(task))))
    return tuple(
        _entry(run_id, name, value, cached or _made_by(origins.get(name)), values) for name, value in shown.items()
    )


def _by_name(task: Any) -> Iterator[tuple[str, Any]]:
    """Its parameters; what ``**kwargs`` collects has names of its own."""
    rest, bound = parameters_of(task.sig).keyword_rest, {**task.default_bound_args, **task.bound_args}
    shown = masked(bound, names_of(task))
    for name, value in [(name, shown[name]) for name in task.sig.parameters if name in shown]:
        if name == rest and isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value


def _origin(task: Any, kind: str, detail: str) -> Origin:
    request, known = task.request, _KINDS.get(kind, OriginKind.CALL)
    parent = str(request.parent_id or "")
    if known is OriginKind.INJECTED:
        if request.id == request.root_id:
            return Origin(kind=OriginKind.RUN if is_run_id(str(request.root_id)) else known)
        return Origin(kind=OriginKind.PARENT, task=parent)
    if known is OriginKind.RESULT:
        return Origin(kind=known, task=parent)
    if known is OriginKind.REFERENCE:
        return Origin(kind=known, name=detail)
    return Origin(kind=known, converter=detail) if known is OriginKind.CONVERTER else Origin(kind=known)


def _made_by(came: Any) -> Origin:
    """The origin of a result: the task itself, or what changed it after that."""
    return Origin(kind=OriginKind.CONVERTER, converter=came.detail) if came and came.kind == "converter" else _RETURNED


def _entry(run_id: str, name: str, value: Any, origin: Origin | None, values: dict[str, bytes]) -> Entry:
    known = _valuer.value(run_id, value)
    if known.whole is not None:
        values[known.digest] = known.whole
    return Entry(name=str(name), value=known.shown, origin=origin)
