"""Names of files made of names that anybody may have chosen. Pure."""

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.@+-]")
_LONGEST: Final = 200


def safe_name(name: str) -> str:
    """A name in letters that every file system takes; whatever is in it, no path comes of it."""
    return _UNSAFE.sub("_", name)[:_LONGEST]
