"""Exceptions rebuilt from what was told about them, or a stand-in that keeps the story."""

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from firexkit._serialization.classes import registered


class RemoteError(Exception):
    """An exception of another process whose class does not exist here, or cannot be made from its arguments.

    Args:
        name: dotted name of its class.
        text: what ``str()`` of it gave there.
    """

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name


def find_exception_class(key: object) -> type[Exception] | None:
    """The exception class of that name: allowed, or an attribute of a module that is imported already."""
    found = registered(key) or _loaded(key)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _loaded(key: object) -> object:
    module, _, path = key.partition(":") if isinstance(key, str) else ("", "", "")
    found: object = sys.modules.get(module)
    for name in path.split("."):
        # The namespaces themselves: a module's own __getattr__ may import.
        found = vars(found).get(name) if isinstance(found, ModuleType | type) else None
    return found


def make(cls: type[Exception], arguments: Sequence[Any], attributes: Mapping[str, Any]) -> Exception | None:
    """An exception of that class with these arguments and attributes; None if the class will not have it.

    A constructor that wants something else than the arguments is left out: what it would have
    set comes back with the attributes.
    """
    for construct in (cls, lambda *given: cls.__new__(cls, *given)):
        try:
            error = construct(*arguments)
            if not isinstance(error, OSError):
                # The constructor may have given other arguments to its base.
                BaseException.__setattr__(error, "args", tuple(arguments))
            error.__dict__.update(attributes)
            str(error)
        except Exception:
            continue
        if isinstance(error, Exception):
            return error
    return None


def stand_in(key: object, text: object) -> RemoteError:
    """What takes the place of an exception that cannot be rebuilt."""
    name = key.replace(":", ".") if isinstance(key, str) else "an unknown exception"
    return RemoteError(name.removeprefix("builtins."), text if isinstance(text, str) else "")
