"""The arguments of a task that are secret: which they are, how its function gets them, what Celery may show of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from celery.utils.saferepr import saferepr

from firexkit._celery.secret_settings import by_name, has_listed, secret_names
from firexkit._serialization.large import entries_of, here
from firexkit._serialization.masking import masked
from firexkit.bag_of_goodies import BagOfGoodies, referenced_name
from firexkit.secret import Secret, SecretNames

_PLAIN: Final = frozenset({str, int, float, bool, type(None), list, tuple})


def secret_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The parameters of a function that are annotated as secrets: ``Secret``, ``Secret[str]``, ``Secret | None``."""
    plain = inspect.unwrap(function)
    found: set[str] = set()
    for name, annotation in getattr(plain, "__annotations__", {}).items():
        holder = SimpleNamespace(__annotations__={name: annotation})
        with suppress(Exception):  # names for type checkers only do not exist here
            if name != "return" and is_secret(get_type_hints(holder, getattr(plain, "__globals__", {}), {})[name]):
                found.add(name)
    return frozenset(found)


def is_secret(annotation: Any) -> bool:
    """Whether a type is ``Secret``, of whatever, or a union with it."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any((get_origin(kind) or kind) is Secret for kind in kinds)


def names_of(task: Any) -> SecretNames:
    """The names of arguments whose values are never shown when a task is told of: those of its app, and its own."""
    return secret_names(task.app, getattr(task, "secret_parameters", frozenset()))


def wrap(bag: BagOfGoodies, names: Collection[str]) -> None:
    """Let a function have its secret arguments as such, whatever the caller gave."""
    kept = dict(entries_of(bag.get_bag())) if names else {}
    plain = [name for name in names if name in kept and _is_plain(kept[name])]
    if plain:
        origins = {name: origin for name, origin in bag.origins.items() if name in plain}
        bag.update({name: Secret(here(kept[name], name)) for name in plain}, origins)


def _is_plain(value: Any) -> bool:
    return value is not None and type(value) is not Secret and referenced_name(value) is None


def representations(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """What Celery puts into its headers and logs of a message, if it must not make that of the arguments itself.

    Args:
        task: the task that it is for.
        args: positional arguments, whether or not they are encoded.
        kwargs: keyword arguments.
    """
    names = names_of(task)
    kinds = {*map(type, args), *map(type, dict(entries_of(kwargs)).values())}
    is_plain = kinds <= _PLAIN or not any(issubclass(kind, Secret | dict) for kind in kinds)
    if is_plain and not has_listed(task, names, args, kwargs):
        return {}
    named = by_name(task, args)
    shown: dict[Any, Any] = {**masked(named, names)}
    if args and isinstance(args[0], dict):
        shown[next(iter(named))] = masked(args[0], names)
    shown_kwargs = masked(kwargs, names)
    if shown_kwargs is kwargs and all(shown[name] is value for name, value in named.items()):
        return {}
    return {"argsrepr": saferepr(tuple(shown.values())), "kwargsrepr": saferepr(dict(entries_of(shown_kwargs)))}
