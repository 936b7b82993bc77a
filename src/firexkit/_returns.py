"""Declared return keys and the dict of results they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from firexkit._wire import DYNAMIC_RETURN, RETURN_KEYS_KEY


class ReturnsCodingException(Exception):
    """The declared returns of a task and what it returned, or two declarations, contradict each other."""


class DyanmicReturnsNotADict(TypeError):
    """A value in the place of ``DYNAMIC_RETURN`` is not a dict (the documented spelling)."""


DynamicReturnsNotADict = DyanmicReturnsNotADict


def is_dynamic_return(value: object) -> bool:
    """Whether a declared return key stands for "whatever dict comes at this position"."""
    return isinstance(value, str) and value.startswith(DYNAMIC_RETURN)


def declared(keys: str | Iterable[str], *, where: str) -> tuple[str, ...]:
    """The return keys of a declaration, checked.

    Args:
        keys: one key, or several.
        where: the task, for the error.

    Raises:
        ReturnsCodingException: a key is given twice (``DYNAMIC_RETURN`` may be).
    """
    given = (keys,) if isinstance(keys, str) else tuple(keys)
    explicit = [key for key in given if not is_dynamic_return(key)]
    repeated = sorted({key for key in explicit if explicit.count(key) > 1})
    if repeated:
        raise ReturnsCodingException(f"{where}: return keys given more than once: {', '.join(repeated)}")
    return given


def named_results(return_keys: str | Sequence[str], result: Any, *, where: str = "the task") -> dict[str, Any]:
    """Pair return keys with returned values, in order; later positions win.

    Args:
        return_keys: the declared keys, ``DYNAMIC_RETURN`` included.
        result: what the function returned. A plain tuple is the list of values;
            anything else, a named tuple included, is one value.
        where: the task, for errors.

    Returns:
        The results by name, with the entry that lists their names unless there are none.

    Raises:
        ReturnsCodingException: there are more or fewer values than keys.
        DyanmicReturnsNotADict: a dynamic value is neither falsy nor a dict.
    """
    keys = (return_keys,) if isinstance(return_keys, str) else tuple(return_keys)
    values = result if type(result) is tuple else (result,)
    if len(keys) != len(values):
        raise ReturnsCodingException(
            f"{where} declares {len(keys)} returns ({', '.join(keys)}) but returned {len(values)} values"
        )
    results: dict[str, Any] = {}
    for key, value in zip(keys, values, strict=True):
        results.update(_entries(key, value, where))
    if results:
        results[RETURN_KEYS_KEY] = tuple(results)
    return results


def _entries(key: str, value: Any, where: str) -> dict[str, Any]:
    if key != DYNAMIC_RETURN:
        return {key: value}
    if not value:
        return {}
    if not isinstance(value, dict):
        raise DyanmicReturnsNotADict(
            f"{where}: the value in the place of DYNAMIC_RETURN must be a dict, not {type(value).__name__}"
        )
    return value
