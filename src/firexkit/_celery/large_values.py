"""Large values taken out of a message, its chain included, before it is sent: they are stored, stand-ins travel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from kombu.utils.uuid import uuid

from firexkit._serialization import encode
from firexkit._serialization.keeping import Keeper, candidates
from firexkit._wire import ENCODED_ARGS_OPTION

Arguments: TypeAlias = tuple[Sequence[Any], Mapping[str, Any]]
KeeperFor: TypeAlias = Callable[[Mapping[str, Any]], Keeper]
"""Makes what stores the large values of a message, by the options of the message; the task id is among them."""
_Spot: TypeAlias = int | str
"""Where an argument stands: its position or its name."""


def taken_out(given: Arguments, options: dict[str, Any], keeper_for: KeeperFor) -> Arguments:
    """Arguments as they are, stand-ins in the places of large ones.

    Args:
        given: positionals and keywords.
        options: of the message; it gets a task id if it has none.
        keeper_for: makes what stores large values.
    """
    large = candidates(_by_spot(given))
    return _put_in(given, _keeper(options, keeper_for).sent_for(large)) if large else given


def taken_out_encoded(given: Arguments, options: dict[str, Any], keeper_for: KeeperFor) -> Arguments:
    """As :func:`taken_out`, for encoded arguments, those of the rest of the chain in ``options`` included."""
    chain = options.get("chain") or ()
    members = [given, *((sig["args"], sig["kwargs"]) if _is_encoded(sig) else ((), {}) for sig in chain)]
    large = candidates(((at, spot), value) for at, member in enumerate(members) for spot, value in _by_spot(member))
    if not large:
        return given
    sent: list[dict[_Spot, Any]] = [{} for _ in members]
    for (at, spot), value in _keeper(options, keeper_for).sent_for_encoded(large).items():
        sent[at][spot] = encode(value) if value is not large[at, spot] else value
    own, *others = [_put_in(*each) for each in zip(members, sent, strict=True)]
    options["chain"] = [
        {**sig, "args": args, "kwargs": kwargs} if news else sig
        for sig, news, (args, kwargs) in zip(chain, sent[1:], others, strict=True)
    ]
    return own


def _keeper(options: dict[str, Any], keeper_for: KeeperFor) -> Keeper:
    options["task_id"] = options.get("task_id") or uuid()
    return keeper_for(options)


def _is_encoded(sig: Mapping[str, Any]) -> bool:
    """Whether a member of a chain has arguments that we encoded: it is a FireX task, no group and no chain."""
    return ENCODED_ARGS_OPTION in (sig.get("options") or {})


def _by_spot(given: Arguments) -> Iterable[tuple[_Spot, Any]]:
    args, kwargs = given
    return [*enumerate(args), *kwargs.items()]


def _put_in(given: Arguments, sent: Mapping[_Spot, Any]) -> Arguments:
    args, kwargs = given
    named = {name: sent.get(name, value) for name, value in kwargs.items()}
    return [sent.get(at, value) for at, value in enumerate(args)], named
