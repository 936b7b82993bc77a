"""Who may read and write what a run leaves on disk: its owner and their group."""

from typing import Final

__all__ = ["DEFAULT_CHMOD_MODE", "DEFAULT_UMASK"]

DEFAULT_CHMOD_MODE: Final = 0o775
DEFAULT_UMASK: Final = 0o002
