"""What an app says about secrets: the key that they are encrypted with on their way, and the names that hold some."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from secrets import token_hex
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from celery import current_app
from celery.local import Proxy

from firexkit._functions import parameters_of
from firexkit._serialization import sealing
from firexkit._serialization.large import LargeValue, entries_of, late
from firexkit._serialization.masking import is_hidden
from firexkit._serialization.sealing import Hidden
from firexkit._wire import INDIRECT_ARG_CHAR, SECRET_ARGUMENTS_SETTING, SECRET_KEY_SETTING
from firexkit.broker_address import password_in
from firexkit.secret import SECRET_ARGUMENTS, Secret, SecretNames

_NOT_TO_HIDE: Final = (Secret, Hidden, LargeValue)
_EAGER: Final = token_hex()
"""For an app whose tasks never leave this process."""


def password_of(app: Any) -> str:
    """What the key of an app's secrets is made of; empty if there is nothing."""
    conf = app.conf
    if own := conf.get(SECRET_KEY_SETTING):
        return str(own)
    addresses = [one for where in (conf.broker_url, conf.result_backend) for one in _addresses(where)]
    return next(filter(None, map(password_in, addresses)), _EAGER if conf.task_always_eager else "")


def _addresses(where: Any) -> Iterable[str]:
    """Several addresses may stand in one text, or in a list; a backend may be an object."""
    if isinstance(where, str):
        return where.split(";")
    return [one for one in where if isinstance(one, str)] if isinstance(where, list | tuple) else []


def sealing_for(app: Any) -> AbstractContextManager[None]:
    """Let secrets be encrypted with an app's key in the block."""
    return sealing.sealed_for(partial(password_of, app))


def install() -> None:
    """Let secrets be encrypted with the current app's key where nobody says whose."""
    sealing.by_default(lambda: password_of(current_app))


def secret_names(app: Any, exactly: frozenset[str] = frozenset()) -> SecretNames:
    """The names of arguments that an app never shows.

    Args:
        app: the app.
        exactly: further names: those of parameters that are annotated as secrets.
    """
    # Asked for several times a task, and Celery takes long to find a setting; only what was set later can be new.
    if issubclass(type(app), Proxy):
        app = app._get_current_object()
    changed = vars(app.conf).get("changes", {}).get(SECRET_ARGUMENTS_SETTING)
    known = _known.get(app)
    if known is None or known.changed is not changed:
        said = app.conf.get(SECRET_ARGUMENTS_SETTING)
        known = _known[app] = _Known(changed, SecretNames(SECRET_ARGUMENTS if said is None else tuple(said)), {})
    names = known.with_others.get(exactly)
    if names is None:
        names = known.with_others[exactly] = known.names.and_exactly(exactly)
    return names


class _Known(NamedTuple):
    """What an app has said."""

    changed: Any
    names: SecretNames
    with_others: dict[frozenset[str], SecretNames]


_known: Final[WeakKeyDictionary[Any, _Known]] = WeakKeyDictionary()


def by_name(task: Any, args: Sequence[Any]) -> dict[Any, Any]:
    """Positional arguments by the names of the task's parameters; by their place where they have no name."""
    positional = parameters_of(task.sig).positional if hasattr(task, "sig") else ()
    return {positional[at] if at < len(positional) else at: value for at, value in enumerate(args)}


def has_listed(task: Any, names: SecretNames, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an argument of a call has a name that holds secrets."""
    if names.among(kwargs):
        return True
    return bool(args) and bool(names.among(parameters_of(task.sig).positional[: len(args)]))


def hidden_call(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], exactly: frozenset[str] = frozenset()
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments of a call as they are sent: what is secret travels so that nobody can read it.

    A value for a parameter that is annotated as a secret becomes one. That of a listed name stays what it is; without a
    key it travels as it is, too.

    Args:
        task: one of ours.
        args: its positional arguments.
        kwargs: its keyword arguments.
        exactly: names that are annotated as secrets by those that come after it.
    """
    annotated = task.secret_parameters | exactly if exactly else task.secret_parameters
    names = secret_names(task.app, annotated)
    if not has_listed(task, names, args, kwargs):
        return args, kwargs
    named = by_name(task, args)
    sent = hidden(named, names, annotated)
    return args if sent is named else list(sent.values()), hidden(kwargs, names, annotated)


def hidden(values: Mapping[Any, Any], names: SecretNames, annotated: Container[str] = ()) -> Mapping[Any, Any]:
    """Values by name as they are sent; the same object if there is nothing to hide.

    Args:
        values: the values.
        names: of arguments that hold secrets.
        annotated: those of them that become a Secret.
    """
    kept = dict(entries_of(values))
    found = {name: kept[name] for name in names.among(kept) if _is_to_hide(kept[name])}
    if not found:
        return values
    secrets = {name: Secret(value) for name, value in found.items() if name in annotated and not _is_reference(value)}
    rest = {name: Hidden(value) for name, value in found.items() if name not in secrets} if sealing.has_key() else {}
    return late({**kept, **rest, **secrets})


def _is_to_hide(value: Any) -> bool:
    return type(value) not in _NOT_TO_HIDE and is_hidden(value)


def _is_reference(value: Any) -> bool:
    """Whether it may ask for another value of the bag, which only the receiver knows."""
    return isinstance(value, str) and value.startswith(INDIRECT_ARG_CHAR)
