"""Import when first needed: the only file where an import may happen inside a function."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def module(name: str) -> ModuleType:
    """The module of that dotted name, imported now unless it was before."""
    return import_module(name)


def reexport(module_name: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module that shows names which live elsewhere, each imported when first asked for.

    ``__getattr__ = reexport(__name__, {"FireXTask": "firexkit.task"})``

    Args:
        module_name: ``__name__`` of the module that shows the names.
        names: where each name lives, as a dotted module name.

    Returns:
        The function to assign to the module's ``__getattr__``; it raises AttributeError for any other name.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - Python's name for it
        if name not in names:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(names[name]), name)
        # Kept, so that Python finds it without asking us again.
        setattr(sys.modules[module_name], name, value)
        return value

    return __getattr__
