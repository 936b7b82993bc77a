"""What an app says about secrets: the key that they are encrypted with on their way, and the names that hold some."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from secrets import token_hex
from typing import Any, Final

from celery import current_app

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


def secret_names(app: Any, exactly: Collection[str] = ()) -> SecretNames:
    """The names of arguments that an app never shows.

    Args:
        app: the app.
        exactly: further names: those of parameters that are annotated as secrets.
    """
    said = app.conf.get(SECRET_ARGUMENTS_SETTING)
    return _names(SECRET_ARGUMENTS if said is None else tuple(said), frozenset(exactly))


_names: Final = lru_cache(maxsize=1024)(SecretNames)


def by_name(task: Any, args: Sequence[Any]) -> dict[Any, Any]:
    """Positional arguments by the names of the task's parameters; by their place where they have no name."""
    positional = parameters_of(task.sig).positional if hasattr(task, "sig") else ()
    return {positional[at] if at < len(positional) else at: value for at, value in enumerate(args)}


def hidden_call(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], exactly: Collection[str] = ()
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
    annotated = task.secret_parameters.union(exactly)
    names = secret_names(task.app, annotated)
    named = by_name(task, args)
    sent = hidden(named, names, annotated)
    return args if sent is named else list(sent.values()), hidden(kwargs, names, annotated)


def hidden(values: Mapping[Any, Any], names: Container[str], annotated: Container[str] = ()) -> Mapping[Any, Any]:
    """Values by name as they are sent; the same object if there is nothing to hide.

    Args:
        values: the values.
        names: of arguments that hold secrets.
        annotated: those of them that become a Secret.
    """
    found = {name: value for name, value in entries_of(values) if name in names and _is_to_hide(value)}
    if not found:
        return values
    secrets = {name: Secret(value) for name, value in found.items() if name in annotated and not _is_reference(value)}
    rest = {name: Hidden(value) for name, value in found.items() if name not in secrets} if sealing.has_key() else {}
    return late({**dict(entries_of(values)), **rest, **secrets})


def _is_to_hide(value: Any) -> bool:
    return type(value) not in _NOT_TO_HIDE and is_hidden(value)


def _is_reference(value: Any) -> bool:
    """Whether it may ask for another value of the bag, which only the receiver knows."""
    return isinstance(value, str) and value.startswith(INDIRECT_ARG_CHAR)
