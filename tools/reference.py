"""Write docs/reference.md: every public name with what its docstring's first line says. Run by `make docs`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import firexkit

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
FACES = (
    "firexkit",
    "firexkit.task",
    "firexkit.chain",
    "firexkit.result",
    "firexkit.revoke",
    "firexkit.argument_conversion",
    "firexkit.bag_of_goodies",
)
HEAD = """# Reference

Every public name, with what it gives. `help(name)` tells its parameters and errors.
This page is made from the docstrings by `make docs`; a test holds it to them.
"""


def modules() -> list[str]:
    """The faces first, then the small modules."""
    found = [info.name for info in pkgutil.iter_modules(firexkit.__path__, "firexkit.")]
    small = [name for name in found if not name.split(".")[-1].startswith("_") and name not in FACES]
    return [*FACES, *small]


def exported(module: Any) -> list[str]:
    """What a module offers to others."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return sorted(names)
    own = (name for name, value in vars(module).items() if not inspect.ismodule(value) and not name.startswith("_"))
    return sorted(own)


def sentence(value: Any) -> str:
    """The first line of a value's docstring; for a plain value, the value."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return (inspect.getdoc(value) or "").split("\n", 1)[0]
    return f"`{value!r}`" if isinstance(value, str | int) else type(value).__name__


def members(value: Any) -> Iterator[str]:
    """Lines for the public members of a class of ours."""
    if not inspect.isclass(value) or not value.__module__.startswith("firexkit") or issubclass(value, BaseException):
        return
    for name, member in sorted(vars(value).items()):
        shown = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(shown):
            yield f"    - `{name}{'' if isinstance(member, property) else '()'}`: {sentence(shown)}"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name in modules():
        module = importlib.import_module(name)
        parts.append(f"\n## `{name}`\n\n{sentence_of_module(module)}\n")
        for exported_name in exported(module):
            value = getattr(module, exported_name)
            parts.append(f"- `{exported_name}`: {sentence(value)}")
            parts.extend(members(value) if name != "firexkit" else ())
    return "\n".join(parts) + "\n"


def sentence_of_module(module: Any) -> str:
    """The first line of a module's docstring."""
    return (module.__doc__ or "").split("\n", 1)[0]


if __name__ == "__main__":
    TARGET.write_text(page())
    sys.stdout.write(f"wrote {TARGET.name}\n")
