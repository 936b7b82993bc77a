"""How often words occur."""

from collections import Counter


def frequencies(text: str) -> dict[str, int]:
    """Each word, whatever its case, with the number of times it occurs."""
    return dict(Counter(text.lower().split()))
