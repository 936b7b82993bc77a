"""Import when first needed: the only file where an import may happen inside a function."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
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


def class_if_imported(module_name: str, name: str) -> Any:
    """A class of a module, if anybody has imported that; else ``()``, of which nothing is an instance."""
    return getattr(sys.modules.get(module_name), name, ())


def when_imported(name: str, act: Callable[[ModuleType], None]) -> None:
    """Do something with a module as soon as somebody imports it; at once when that has happened.

    For what only those need who import a heavy module anyway.

    Args:
        name: of the module, dotted.
        act: called with the module, when all of it is there; again if it is reloaded.
    """
    if name in sys.modules:
        act(import_module(name))  # which waits for a thread that is importing it
    _ATTENTIVE.acts.setdefault(name, []).append(act)
    if _ATTENTIVE not in sys.meta_path:
        sys.meta_path.insert(0, _ATTENTIVE)


class _Attentive(MetaPathFinder):
    """Finds no module itself, but notices which ones are looked for."""

    def __init__(self) -> None:
        self.acts: dict[str, list[Callable[[ModuleType], None]]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        acts = self.acts.get(fullname)
        if acts is None:
            return None
        others = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((found for found in others if found is not None), None)
        if spec is not None and spec.loader is not None:
            _extend(spec.loader, acts)
        return spec


def _extend(loader: Any, acts: Sequence[Callable[[ModuleType], None]]) -> None:
    execute = loader.exec_module

    def execute_and_act(module: ModuleType) -> None:
        execute(module)
        for act in acts:
            act(module)

    # On this one loader: it was made for this module, and everything else that it can do stays as it is.
    loader.exec_module = execute_and_act


_ATTENTIVE = _Attentive()
