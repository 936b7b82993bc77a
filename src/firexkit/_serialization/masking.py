"""Arguments as people may read them: ``***`` in the place of secrets. The one place that decides what is hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from firexkit._serialization.large import entries_of, late
from firexkit._serialization.readable import convert_to_serializable
from firexkit.secret import MASK, Secret, SecretNames

_PLAIN: Final = (type(None), bool)
"""Of these there are too few values to keep one secret, and to know that there is none helps."""
_TO_LOOK_AT: Final = frozenset({Secret, dict})
_OPTION: Final = "secret"


def masked(values: Mapping[str, Any], names: SecretNames) -> Mapping[str, Any]:
    """Values by name with ``***`` for secrets: those that are a :class:`Secret`, and those whose names are listed.

    The entries of a dict that stands in the place of a value, as ``**kwargs`` does, count, too. The same object if
    there is nothing to hide; large values that are not here yet stay where they are.

    Args:
        values: the values.
        names: of arguments that hold secrets.
    """
    kept = dict(entries_of(values))
    if not names.among(kept) and _TO_LOOK_AT.isdisjoint(map(type, kept.values())):
        return values  # as most are
    hidden = {name: shown for name, value in kept.items() if (shown := _shown(name, value, names)) is not value}
    return late({**kept, **hidden}) if hidden else values


def _shown(name: Any, value: Any, names: SecretNames) -> Any:
    if type(value) is Secret or (name in names and is_hidden(value)):
        return MASK
    if type(value) is dict and any(inner in names or type(one) is Secret for inner, one in value.items()):
        return {
            inner: MASK if type(one) is Secret or (inner in names and is_hidden(one)) else one
            for inner, one in value.items()
        }
    return value


def is_hidden(value: Any) -> bool:
    """Whether the value of a listed name is to be hidden: not if there is none."""
    return type(value) not in _PLAIN and not (type(value) is str and not value)


def readable_arguments(values: Mapping[str, Any], names: SecretNames) -> dict[str, Any]:
    """Values by name as people read them and JSON carries them, without any secret.

    Args:
        values: arguments or results.
        names: of arguments that hold secrets.
    """
    return {str(name): convert_to_serializable(value) for name, value in masked(values, names).items()}


def masked_command(words: Sequence[str], names: SecretNames) -> list[str]:
    """A command line with ``***`` for the values of ``--name value`` and ``--name=value``.

    Before ``--``, the option ``--secret`` is that of ``firex``; it holds no value.

    Args:
        words: its words.
        names: of arguments that hold secrets.
    """
    shown: list[str] = []
    is_value = False
    for word in words:
        name, equals, _ = word.removeprefix("--").partition("=")
        is_ours = name == _OPTION and "--" not in shown
        is_name = word.startswith("--") and name.replace("-", "_") in names and not is_ours
        if is_value and not word.startswith("--"):
            shown.append(MASK)
        else:
            shown.append(f"--{name}={MASK}" if is_name and equals else word)
        is_value = is_name and not equals
    return shown
