"""What a function says about itself: its parameters, and the plain function under its decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Parameters(NamedTuple):
    """The parameters of one function, sorted for binding. Defaults are values, never copies."""

    order: tuple[str, ...]
    positional: tuple[str, ...]
    positional_only: int
    rest: str | None
    keyword_rest: str | None
    named: frozenset[str]
    accepted: frozenset[str]
    """What a bag may be given by name: a collecting ``*rest``, too."""
    required: tuple[str, ...]
    defaults: Mapping[str, Any]


_MOST_KNOWN: Final = 4096
_known: dict[int, tuple[inspect.Signature, Parameters]] = {}
"""By identity, because a signature with a default that has no hash has none itself; each keeps its signature alive."""


def parameters_of(sig: inspect.Signature) -> Parameters:
    """The parameters of ``sig`` sorted for binding; computed once per signature object."""
    known = _known.get(id(sig))
    if known is not None:
        return known[1]
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    parameters = _sorted_for_binding(sig)
    _known[id(sig)] = (sig, parameters)
    return parameters


def _sorted_for_binding(sig: inspect.Signature) -> Parameters:
    every = sig.parameters
    named = {name: parameter for name, parameter in every.items() if parameter.kind not in _COLLECTING}
    rest = _name_of_kind(every, inspect.Parameter.VAR_POSITIONAL)
    return Parameters(
        order=tuple(every),
        positional=tuple(name for name, parameter in named.items() if parameter.kind in _POSITIONAL),
        positional_only=sum(parameter.kind is _POSITIONAL[0] for parameter in named.values()),
        rest=rest,
        keyword_rest=_name_of_kind(every, inspect.Parameter.VAR_KEYWORD),
        named=frozenset(named),
        accepted=frozenset([*named, *([rest] if rest else [])]),
        required=tuple(name for name, parameter in named.items() if parameter.default is parameter.empty),
        defaults={name: p.default for name, p in named.items() if p.default is not p.empty},
    )


def _name_of_kind(parameters: Mapping[str, inspect.Parameter], kind: object) -> str | None:
    return next((name for name, parameter in parameters.items() if parameter.kind is kind), None)


def parse_signature(sig: inspect.Signature) -> tuple[set[str], dict[str, Any]]:
    """The required and the optional arguments of a function.

    Args:
        sig: the signature of a task's function.

    Returns:
        The set of required names, and a dict of optional names with their defaults.
        ``*args`` and ``**kwargs`` are in neither.
    """
    parameters = parameters_of(sig)
    return set(parameters.required), dict(parameters.defaults)


def undecorate_func(func: Callable[..., Any]) -> Callable[..., Any]:
    """The innermost function under decorators that follow :func:`functools.wraps`."""
    innermost: Callable[..., Any] = inspect.unwrap(func)
    return innermost


def undecorate(task: Any) -> Callable[..., Any]:
    """The plain function of a task, bound to the task when the task's ``run`` is bound.

    Args:
        task: a Celery task object.

    Returns:
        A callable with the raw return value, without ``@returns`` or other decorators.
    """
    function = undecorate_func(task.run)
    owner = getattr(task.run, "__self__", None)
    if owner is None or getattr(function, "__self__", None) is not None:
        return function
    bound: Callable[..., Any] = function.__get__(owner, type(owner))
    return bound


def get_attr_unwrapped(fun: Callable[..., Any], attr_name: str, *default_value: Any) -> Any:
    """An attribute of a function or of any function it wraps, outermost first.

    Args:
        fun: the (decorated) function.
        attr_name: the attribute's name.
        *default_value: what to return when no function has it; ``None`` is a valid default.

    Returns:
        The attribute, else the default.

    Raises:
        AttributeError: nobody has the attribute and no default was given.
    """
    layer: Any = fun
    while layer is not None:
        if hasattr(layer, attr_name):
            return getattr(layer, attr_name)
        layer = getattr(layer, "__wrapped__", None)
    if default_value:
        return default_value[0]
    raise AttributeError(f"{fun!r} has no attribute {attr_name!r}, nor has a function it wraps")


RETURN_KEYS_ATTRIBUTE: Final = "_decorated_return_keys"


def declared_by_decorator(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """The keys that ``@returns`` gave a function; None without it."""
    return cast("tuple[str, ...] | None", get_attr_unwrapped(function, RETURN_KEYS_ATTRIBUTE, None))


def missing_argument(name: str) -> TypeError:
    """The error for a required argument that nobody supplied, in Python's own words."""
    return TypeError(f"missing a required argument: {name!r}")
