"""Text without its secrets, whole or as it comes in pieces. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from firexkit.secret import MASK, NEVER_SECRET, SECRET_ARGUMENTS, Secret, revealed

SHORTEST_FROM_ENVIRONMENT: Final = 4
"""Shorter values stand in too many texts by chance."""

_NAME_OF_SECRET: Final = re.compile("|".join(SECRET_ARGUMENTS), re.IGNORECASE)


def secret_values(environment: Mapping[str, str], also: Iterable[str] = ()) -> set[str]:
    """The values of variables that are named like secrets.

    Args:
        environment: the variables.
        also: names of further variables that hold secrets.
    """
    names = {name for name in environment if _NAME_OF_SECRET.search(name)} | set(also)
    values = {environment.get(name, "").strip() for name in names}
    return {value for value in values if len(value) >= SHORTEST_FROM_ENVIRONMENT and value.lower() not in NEVER_SECRET}


class Mask:
    """Replaces secrets by ``***``.

    Every character that belongs to a secret goes, also where two secrets overlap; what touches becomes one mask.

    Args:
        secrets: the values; blanks around them and empty ones do not count. A single one need not be in a list.

    Raises:
        TypeError: one of them is no text.
    """

    def __init__(self, secrets: Iterable[str | Secret[str]] | Secret[str] = ()) -> None:
        values = tuple(map(revealed, (secrets,) if isinstance(secrets, str | Secret) else secrets))
        if strange := {type(value).__name__ for value in values if not isinstance(value, str)}:
            raise TypeError(f"a secret has to be a text, not {', '.join(sorted(strange))}")
        self.secrets: tuple[str, ...] = tuple(sorted({value.strip() for value in values} - {""}))

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        stream = self.stream()
        return stream.feed(text) + stream.end()

    def stream(self) -> MaskedStream:
        """The same for a text that comes in pieces."""
        return MaskedStream(self.secrets)


class MaskedStream:
    """A text that comes in pieces and leaves without secrets; as few characters as possible wait for the next piece.

    Args:
        secrets: the values, none of them empty.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._held = ""  # may be the beginning of a secret
        self._covered = 0  # how many of the first characters held belong to a secret that is known already
        self._is_inside = False  # whether the last character that left belonged to a secret

    def feed(self, piece: str) -> str:
        """What can be told now."""
        text = self._held + piece
        return self._give(text, min((_beginning(text, secret) for secret in self._secrets), default=len(text)))

    def end(self) -> str:
        """What was held until now; nothing comes any more."""
        return self._give(self._held, len(self._held))

    def _give(self, text: str, upto: int) -> str:
        self._held = text[upto:]
        if not upto:
            return ""
        pieces, position = [], 0
        found = [(start, end) for start, end in _runs(text, self._secrets, self._covered) if start < upto]
        for start, end in found:
            pieces += [text[position:start], "" if start == 0 and self._is_inside else MASK]
            position = min(end, upto)
        last = found[-1][1] if found else 0
        self._is_inside, self._covered = last >= upto, max(last - upto, 0)
        return "".join([*pieces, text[position:upto]])


def _beginning(text: str, secret: str) -> int:
    """Where, at the end of the text, the secret may begin that the next piece completes; the end if nowhere."""
    start = text.find(secret[0], max(0, len(text) - len(secret) + 1))
    while start >= 0 and not secret.startswith(text[start:]):
        start = text.find(secret[0], start + 1)
    return len(text) if start < 0 else start


def _runs(text: str, secrets: Sequence[str], covered: int) -> list[tuple[int, int]]:
    """The stretches of the text that belong to secrets, in order; they do not touch each other."""
    spans = [(start, start + len(secret)) for secret in secrets for start in _occurrences(text, secret)]
    runs: list[tuple[int, int]] = [(0, covered)] if covered else []
    for start, end in sorted(spans):
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((start, end))
    return runs


def _occurrences(text: str, secret: str) -> Iterator[int]:
    start = text.find(secret)
    while start >= 0:
        yield start
        start = text.find(secret, start + 1)
