"""Write docs/reference.md from docstrings, and docs/reference/firex.md from the commands' help. For `make docs`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from celery import Task

import firexkit
from firexkit.cli import firex

DOCS = Path(__file__).resolve().parent.parent / "docs"
FACES = (
    "firexkit",
    "firexkit.app",
    "firexkit.task",
    "firexkit.chain",
    "firexkit.result",
    "firexkit.revoke",
    "firexkit.argument_conversion",
    "firexkit.input_converter",
    "firexkit.plugins",
    "firexkit.process",
    "firexkit.report",
    "firexkit.tasks",
    "firexkit.bag_of_goodies",
)
OF_THE_PRODUCT = frozenset({"firexkit.cli", "firexkit.journal", "firexkit.runtime"})
"""What stands behind the command; its users see `docs/reference/firex.md` instead."""
HEAD = """# Every name

Every public name, with what it gives. Parameters, returns and errors are on the page that each module leads to, and in
`help(name)`. The command `firex` has [a page of its own](reference/firex.md).

This page is made from the docstrings by `make docs`; a test holds it to them.
"""
COMMANDS_HEAD = """# The command `firex`

What `firex COMMAND --help` prints. This page is made from it by `make docs`; a test holds it to that.
"""
WIDTH = 90


# ── names ────────────────────────────────────────────────────────────────────────────────


def modules() -> list[str]:
    """The faces first, then the small modules."""
    found = [info.name for info in pkgutil.iter_modules(firexkit.__path__, "firexkit.")]
    public = (name for name in found if not name.split(".")[-1].startswith("_") and name not in OF_THE_PRODUCT)
    return [*FACES, *(name for name in public if name not in FACES)]


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
    if isinstance(value, Task):
        return f"A task. {(value.run.__doc__ or '').split(chr(10), 1)[0]}"
    return f"`{value!r}`" if isinstance(value, str | int) else type(value).__name__


def members(value: Any) -> Iterator[str]:
    """Lines for the public members of a class of ours."""
    if not inspect.isclass(value) or not value.__module__.startswith("firexkit") or issubclass(value, BaseException):
        return
    for name, member in sorted(vars(value).items()):
        shown = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(shown):
            yield f"    - `{name}{'' if isinstance(member, property) else '()'}`: {sentence(shown)}"


def pages() -> dict[str, str]:
    """The page under docs/ that tells all about a module, by the module's name."""
    found = ((page, re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)) for page in DOCS.rglob("*.md"))
    return {module: str(page.relative_to(DOCS)) for page, shown in found for module in shown}


def page() -> str:
    """All of docs/reference.md."""
    parts, leads_to = [HEAD], pages()
    for name in modules():
        module = importlib.import_module(name)
        more = f" [More]({leads_to[name]})." if name in leads_to else ""
        parts.append(f"\n## `{name}`\n\n{sentence_of_module(module)}{more}\n")
        for exported_name in exported(module):
            value = getattr(module, exported_name)
            parts.append(f"- `{exported_name}`: {sentence(value)}")
            parts.extend(members(value) if name != "firexkit" else ())
    return "\n".join(parts) + "\n"


def sentence_of_module(module: Any) -> str:
    """The first line of a module's docstring."""
    return (module.__doc__ or "").split("\n", 1)[0]


# ── commands ─────────────────────────────────────────────────────────────────────────────


def commands_page() -> str:
    """All of docs/reference/firex.md."""
    context = firex.make_context("firex", [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    parts = [COMMANDS_HEAD, help_block(context)]
    for name in firex.list_commands(context):
        command = firex.get_command(context, name)
        assert command is not None
        parts.append(f"## `firex {name}`\n")
        parts.append(help_block(command.make_context(name, [], parent=context, resilient_parsing=True)))
    return "\n".join(parts)


def help_block(context: click.Context) -> str:
    """The help of a command, as a block."""
    return f"```text\n{context.get_help().rstrip()}\n```\n"


if __name__ == "__main__":
    for target, text in ((DOCS / "reference.md", page()), (DOCS / "reference" / "firex.md", commands_page())):
        target.write_text(text)
        sys.stdout.write(f"wrote {target.relative_to(DOCS)}\n")
