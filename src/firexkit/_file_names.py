"""Names of files made of names that anybody may have chosen. Pure."""

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.@+-]")
_LONGEST: Final = 200
_LONGEST_OF_A_FILE: Final = 255


def safe_name(name: str) -> str:
    """A name in letters that every file system takes; whatever is in it, no path comes of it."""
    return _UNSAFE.sub("_", name)[:_LONGEST]


def is_plain_name(name: str) -> bool:
    """Whether a name that somebody sent is made of such letters, no path, and not hidden."""
    is_short = 0 < len(name) <= _LONGEST_OF_A_FILE
    return is_short and not name.startswith(".") and _UNSAFE.search(name) is None
