"""The arguments of a command line or a file, by name: text as it was written, not yet of any type.

``--name value``, ``--name=value`` and ``--flag``. Dashes inside a name equal underscores. A value may begin with one
dash, so negative numbers need no care; one that begins with two needs ``=``. Names belong to parameters of tasks that
are loaded later, so nothing here knows a type: a name that is given more than once keeps all its values, and
:func:`firexkit.runtime.arguments.conversion.converted` lets lists have them and refuses the rest.
"""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from firexkit._serialization.text import shortened

__all__ = ["ArgumentError", "Given", "Repeated", "arguments_file", "option", "split_arguments"]

_LONGEST_SHOWN: Final = 60


class ArgumentError(ValueError):
    """Arguments that can't be used; the text has a line for each problem.

    Args:
        *problems: one line each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, one line each."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Repeated(tuple[str | bool, ...]):
    """All values of a name that was given more than once, in their order."""

    __slots__ = ()


Given = str | bool | Repeated
"""What a command line gives for a name: its text; True when no value follows; several when it is repeated."""


def split_arguments(tokens: Iterable[str]) -> dict[str, Given]:
    """The arguments that stand behind the name of a chain.

    Args:
        tokens: the words of the command line, as the shell made them.

    Returns:
        By name: the text; True for a name without a value; :class:`Repeated` for a name given more than once.

    Raises:
        ArgumentError: a value without a name, or something that can be no name.
    """
    given: dict[str, Given] = {}
    problems: list[str] = []
    pending, before = deque(tokens), ""
    while pending:
        token = pending.popleft()
        if not token.startswith("--"):
            problems.append(_stray(token, before))
            continue
        written, equals, text = token.removeprefix("--").partition("=")
        value = text if equals else _value_from(pending)
        before = f"--{written} {value}" if isinstance(value, str) else ""
        if (name := name_of(written)) is None:
            problems.append(_no_name(token))
        else:
            given[name] = _with_earlier(given.get(name), value)
    if problems:
        raise ArgumentError(*problems)
    return given


def arguments_file(text: str, name: str) -> dict[str, Any]:
    """The arguments that a file holds. Those of the command line win over them: ``{**of_the_file, **of_the_line}``.

    Args:
        text: JSON: an object with a value for each name, of any type; or a list of words of a command line.
        name: the file's name, for messages.

    Returns:
        Values by name; words of a command line as :func:`split_arguments` returns them.

    Raises:
        ArgumentError: it is no JSON, neither of the two, or holds a name that can't be one or is there twice.
    """
    content = _parsed(text, name)
    if isinstance(content, list) and all(isinstance(word, str) for word in content):
        return _split_in_file(content, name)
    if not isinstance(content, dict):
        raise ArgumentError(f'{name}: write a JSON object like {{"count": 3}}, or a list like ["--count", "3"]')
    values: dict[str, Any] = {}
    for written, value in content.items():
        if (argument := name_of(written)) is None:
            raise ArgumentError(f"{name}: {_no_name(written)}")
        if argument in values:
            raise ArgumentError(f"{name}: {argument!r} is there twice, with dashes and with underscores; keep one")
        values[argument] = value
    return values


def name_of(written: str) -> str | None:
    """The parameter's name for a name as it was written; None when it can be none."""
    name = written.replace("-", "_")
    return name if name.isidentifier() and name[0].isalpha() else None


def option(name: str) -> str:
    """A parameter's name as one writes it on the command line."""
    return f"--{name.replace('_', '-')}"


def _value_from(pending: deque[str]) -> str | bool:
    """The word that follows, taken out; True when none does that could be a value."""
    return pending.popleft() if pending and not pending[0].startswith("--") else True


def _with_earlier(earlier: Given | None, value: str | bool) -> Given:
    if earlier is None:
        return value
    return Repeated((*(earlier if isinstance(earlier, Repeated) else (earlier,)), value))


def _no_name(token: str) -> str:
    shown = shortened(token, _LONGEST_SHOWN)
    return f"{shown!r} names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"


def _stray(token: str, before: str) -> str:
    shown = shortened(token, _LONGEST_SHOWN)
    if token[:1] == "-" and token[1:2].isalpha():
        return f"{shown!r} stands where a name should; write two dashes: -{shown}"
    name, _, value = before.partition(" ")
    together = f", or {name} {shlex.quote(f'{value} {shown}')}" if before else ""
    return f"{shown!r} is a value without a name; write --name {shlex.quote(shown)}{together}"


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ArgumentError(f"{name} is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; JSON itself would let the last of two equal names win without a word."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in values if names.count(key) > 1)
        raise ValueError(f"{twice!r} is there twice; keep one")
    return values


def _split_in_file(words: list[str], name: str) -> dict[str, Any]:
    try:
        return dict(split_arguments(words))
    except ArgumentError as error:
        raise ArgumentError(*(f"{name}: {problem}" for problem in error.problems)) from error
