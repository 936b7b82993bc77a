"""The bag: every value supplied to a task and every result, travelling together by name.

Rule: pure. A bag is built from a signature and the arguments of one call; it knows no task, no Celery, no clock.
What is given is never edited: the caller's dicts and the bag's are different objects.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from firexkit._functions import missing_argument, parameters_of
from firexkit._serialization.large import LargeValue, LateDict, entries_of, fetched, here, late
from firexkit._wire import INDIRECT_ARG_CHAR, RETURN_KEYS_KEY

__all__ = ["RETURN_KEYS_KEY", "BagOfGoodies", "Origin"]

logger: logging.Logger = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where a value in the bag came from."""

    kind: str
    """positional, keyword, injected, previous, default, reference, converter or returned."""
    detail: str = ""
    """The referenced name, or the name of the converter."""


POSITIONAL: Final = Origin("positional")
KEYWORD: Final = Origin("keyword")
INJECTED: Final = Origin("injected")
PREVIOUS: Final = Origin("previous")
DEFAULT: Final = Origin("default")
RETURNED: Final = Origin("returned")


def referenced_name(value: object) -> str | None:
    """The name that an indirect reference such as ``'@name'`` asks for; None for any other value."""
    if not isinstance(value, str) or not value.startswith(INDIRECT_ARG_CHAR):
        return None
    return value.lstrip(INDIRECT_ARG_CHAR) or None


class BagOfGoodies:
    """The arguments of one call, split for its function, together with everything that only passes through.

    Precedence for a parameter, highest first: a positional, an explicit or injected keyword, the previous
    task's bag, the default. A missing required argument is no error here, but when the call is bound.

    Args:
        sig: the signature of the task's function, without ``self``.
        args: the positional arguments of the call.
        kwargs: the keyword arguments of the call.
        has_returns_from_previous_task: a leading dict is the previous task's result, not an argument.
        injected: names among ``kwargs`` that were injected, for their origin.

    Raises:
        TypeError: more positionals than the function takes.
    """

    INDIRECT_ARG_CHAR: Final = INDIRECT_ARG_CHAR

    def __init__(
        self,
        sig: inspect.Signature,
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        has_returns_from_previous_task: bool = True,
        *,
        injected: Collection[str] = (),
    ) -> None:
        self.sig = sig
        self._parameters = parameters_of(sig)
        self.varkeyword: bool = self._parameters.keyword_rest is not None
        self.args: list[Any] = list(args)
        self.kwargs: dict[str, Any] = {}
        previous = self._take_previous_result() if has_returns_from_previous_task else {}
        bound = self._bind_positionals(previous)
        passing = self._split_keywords(previous, kwargs, bound)
        self.return_args: dict[str, Any] = late({**self.kwargs, **bound, **passing})
        self._origins = self._first_origins(previous, kwargs, bound, injected)
        self._open_defaults = [name for name in self._reference_defaults() if name not in self.return_args]
        self._resolve_references()
        self._fetch_arguments()
        self._move_to_positions()

    # ── what callers read ─────────────────────────────────────────────────────────────────

    def get_bag(self) -> dict[str, Any]:
        """The live bag: supplied and passing values, and results once the task returned."""
        return self.return_args

    def split_for_signature(self) -> tuple[list[Any], dict[str, Any]]:
        """The positionals and keywords to call the function with."""
        return self.args, self.kwargs

    def snapshot(self) -> dict[str, Any]:
        """A copy of the bag: what the task returns."""
        return late(dict(entries_of(self.return_args)))

    @property
    def origins(self) -> dict[str, Origin]:
        """For each value of the bag, and each parameter left to its default, where it came from."""
        # An unresolved default reference is a keyword of the function, but not in the bag.
        left_alone = [*self.default_arguments(), *self.kwargs]
        return {**dict.fromkeys(left_alone, DEFAULT), **self._origins}

    def bound_arguments(self) -> dict[str, Any]:
        """What the function gets, by parameter name; ``**kwargs`` nested under its own name.

        Raises:
            TypeError: a required argument is missing.
        """
        parameters, by_name = self._parameters, {**self._positionals_by_name(), **self.kwargs}
        for name in parameters.required:
            if name not in by_name:
                raise missing_argument(name)
        if parameters.keyword_rest is not None:
            collected = {name: value for name, value in by_name.items() if name not in parameters.accepted}
            if collected:
                by_name[parameters.keyword_rest] = collected
        return {name: by_name[name] for name in parameters.order if name in by_name}

    def default_arguments(self) -> dict[str, Any]:
        """Parameters that nobody supplied, with their defaults; an unused ``*rest`` is ``()``."""
        bound = self._positionals_by_name()
        defaults = {
            name: value
            for name, value in self._parameters.defaults.items()
            if name not in bound and name not in self.kwargs
        }
        rest = self._parameters.rest
        if rest is not None and rest not in bound:
            defaults[rest] = ()
        return defaults

    # ── what changes the bag ──────────────────────────────────────────────────────────────

    def update(self, updates: Mapping[str, Any], origin: Origin | Mapping[str, Origin] = RETURNED) -> None:
        """Put values into the bag and, where the function accepts them, into its arguments.

        Args:
            updates: values by name.
            origin: where they came from: one for all, or one by name.

        Raises:
            ValueError: the new value of ``*rest`` is not iterable.
        """
        for name, value in updates.items():
            self._put(name, value)
            self._origins[name] = origin if isinstance(origin, Origin) else origin.get(name, RETURNED)
        self._resolve_references()
        self._fetch_arguments()
        self._move_to_positions()

    def pop(self, name: str, *default: Any) -> Any:
        """Take a value out of the bag and out of the keywords; positionals stay.

        Args:
            name: the value's name.
            *default: what to return when there is none.

        Raises:
            KeyError: there is none and no default was given.
        """
        self._origins.pop(name, None)
        in_bag = self.return_args.pop(name, *default) if name in self.return_args or name not in self.kwargs else None
        return self.kwargs.pop(name, in_bag)

    def close_defaults(self) -> None:
        """The function starts: a default reference that is still open stays so, whatever is put in later."""
        self._open_defaults = []

    # ── construction, step by step ────────────────────────────────────────────────────────

    def _take_previous_result(self) -> dict[str, Any]:
        if not self.args or not isinstance(here(self.args[0]), dict):
            return {}
        result = here(self.args.pop(0))
        return {name: value for name, value in entries_of(result) if name != RETURN_KEYS_KEY}

    def _bind_positionals(self, previous: Mapping[str, Any]) -> dict[str, Any]:
        positional = self._parameters.positional
        if len(self.args) > len(positional) and self._parameters.rest is None:
            raise TypeError(f"too many positional arguments: takes {len(positional)}, got {len(self.args)}")
        if len(self.args) > len(positional):
            # The bag has these as one value, under the name of the rest.
            self.args[len(positional) :] = fetched(dict(enumerate(self.args[len(positional) :]))).values()
        for index, name in enumerate(positional[: len(self.args)]):
            if name in previous and referenced_name(self.args[index]) == name:
                self.args[index] = previous[name]
        return self._positionals_by_name()

    def _positionals_by_name(self) -> dict[str, Any]:
        positional, rest = self._parameters.positional, self._parameters.rest
        bound = dict(zip(positional, self.args, strict=False))
        if rest is not None and len(self.args) > len(positional):
            bound[rest] = tuple(self.args[len(positional) :])
        return bound

    def _split_keywords(
        self, previous: Mapping[str, Any], given: Mapping[str, Any], bound: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Fill the keywords of the function; return what only passes through."""
        explicit = {name: value for name, value in given.items() if name not in bound}
        inherited = {
            name: value
            for name, value in previous.items()
            if name not in bound and (name not in explicit or referenced_name(explicit[name]) == name)
        }
        merged = {**explicit, **inherited}
        if self.varkeyword:
            self.kwargs = merged
            return {}
        accepted = self._parameters.accepted
        self.kwargs = {name: value for name, value in merged.items() if name in accepted}
        return {name: value for name, value in merged.items() if name not in accepted}

    def _first_origins(
        self,
        previous: Mapping[str, Any],
        given: Mapping[str, Any],
        bound: Mapping[str, Any],
        injected: Collection[str],
    ) -> dict[str, Origin]:
        origins = {**dict.fromkeys(previous, PREVIOUS), **dict.fromkeys(given, KEYWORD)}
        for name in previous.keys() & given.keys():
            if referenced_name(given[name]) == name:
                origins[name] = PREVIOUS
        origins.update((name, INJECTED) for name in injected if origins.get(name) is KEYWORD)
        origins.update(dict.fromkeys(bound, POSITIONAL))
        return origins

    # ── positions ─────────────────────────────────────────────────────────────────────────

    def _put(self, name: str, value: Any) -> None:
        self.return_args[name] = value
        positional = self._parameters.positional
        if name in positional and positional.index(name) < len(self.args):
            self.args[positional.index(name)] = value
        elif name == self._parameters.rest and len(self.args) > len(positional):
            self.args[len(positional) :] = _values_for_rest(name, value)
        elif self.varkeyword or name in self._parameters.accepted:
            self.kwargs[name] = value
        if name in self._open_defaults:
            self._open_defaults.remove(name)

    def _move_to_positions(self) -> None:
        """Bind by position what Python does not take by name: positional-only parameters and ``*rest``."""
        positional, rest = self._parameters.positional, self._parameters.rest
        if not self._parameters.positional_only and rest is None:
            return
        only = positional[: self._parameters.positional_only]
        needed = max((index + 1 for index, name in enumerate(only) if name in self.kwargs), default=0)
        if rest is not None and rest in self.kwargs:
            needed = len(positional)
        for name in positional[len(self.args) : needed]:
            if name not in self.kwargs and name not in self._parameters.defaults:
                return
            self.args.append(self.kwargs.pop(name, self._parameters.defaults.get(name)))
        if rest is not None and rest in self.kwargs:
            self.args.extend(_values_for_rest(rest, self.kwargs.pop(rest)))

    # ── large values ──────────────────────────────────────────────────────────────────────

    def _fetch_arguments(self) -> None:
        """Let the function have its large values themselves, all fetched in one round trip; the bag passes them on."""
        if not isinstance(self.return_args, LateDict):
            return
        by_position = dict(zip(self._parameters.positional, self.args, strict=False))
        needed = {**by_position, **self.kwargs}
        values = fetched({name: value for name, value in needed.items() if type(value) is LargeValue})
        self.args[: len(by_position)] = [values.get(name, value) for name, value in by_position.items()]
        self.kwargs.update({name: value for name, value in values.items() if name in self.kwargs})

    # ── references ────────────────────────────────────────────────────────────────────────

    def _reference_defaults(self) -> Iterable[str]:
        return (name for name, value in self._parameters.defaults.items() if referenced_name(value) is not None)

    def _resolve_references(self) -> None:
        for index, name in enumerate(self._parameters.positional[: len(self.args)]):
            if self._resolves(name, self.args[index]):
                self.args[index] = self._kept(name)
        # Looked through here: hardly any value of a call is a reference, and a call for each would cost more.
        referring = [
            name for name, value in self.kwargs.items() if isinstance(value, str) and value[:1] == INDIRECT_ARG_CHAR
        ]
        for name in referring:
            if self._resolves(name, self.kwargs[name]):
                self.kwargs[name] = self._kept(name)
        for name in tuple(self._open_defaults):
            self._resolve_default(name)

    def _resolves(self, name: str, value: Any) -> bool:
        """Put what ``value`` refers to under ``name``; False when it refers to nothing that is there."""
        wanted = referenced_name(value)
        if wanted is None or wanted not in self.return_args:
            return False
        end = self._follow(value)
        if end is value:
            return False
        self.return_args[name] = end
        self._origins[name] = Origin("reference", wanted)
        return True

    def _resolve_default(self, name: str) -> None:
        reference = self._parameters.defaults[name]
        if self._resolves(name, reference):
            self._put(name, self._kept(name))
            return
        # An unresolved default reaches the function as '' and is not put into the bag (KEEP, register row 12).
        self.kwargs[name] = ""

    def _follow(self, value: Any) -> Any:
        """The end of a trail of references; a trail that bites its own tail stays as it was given."""
        seen: set[str] = set()
        current = value
        while (name := referenced_name(current)) is not None and name in self.return_args:
            if name in seen:
                logger.warning("Circular reference %s left unresolved", value)
                return value
            seen.add(name)
            current = self._kept(name)
        return current

    def _kept(self, name: str) -> Any:
        """What the bag keeps under a name: of a large value, the stand-in."""
        return dict.__getitem__(self.return_args, name)


def _values_for_rest(name: str, value: Any) -> list[Any]:
    try:
        return list(value)
    except TypeError as error:
        raise ValueError(f"*{name} takes an iterable of positionals, not {type(value).__name__}") from error
