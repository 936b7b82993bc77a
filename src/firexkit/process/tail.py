"""The end of a text that comes in pieces. Pure."""

from __future__ import annotations

from collections import deque


class Tail:
    """The last characters of a text, however long it gets.

    Args:
        limit: how many; None for all.
    """

    def __init__(self, limit: int | None) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"cannot keep {limit} characters; give a number from 0 on, or None to keep all")
        self._limit = limit
        self._pieces: deque[str] = deque()
        self._kept = 0
        self._told = 0

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if not piece:
            return
        self._told += len(piece)
        self._kept += len(piece)
        self._pieces.append(piece)
        # Only whole pieces go, so that no character is moved; what is too much of the first goes when it is read.
        while self._kept and self._limit is not None and self._kept - len(self._pieces[0]) >= self._limit:
            self._kept -= len(self._pieces.popleft())

    @property
    def text(self) -> str:
        """What is kept."""
        text = "".join(self._pieces)
        return text if self._limit is None else text[max(len(text) - self._limit, 0) :]

    @property
    def is_truncated(self) -> bool:
        """Whether there was more."""
        return self._limit is not None and self._told > self._limit
