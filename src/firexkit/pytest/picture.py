"""A run as text: its tasks with what became of them, and the place where a process is in a task. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import takewhile
from pathlib import Path
from typing import Final

from firexkit._importing import is_users_code
from firexkit.journal.tree import State, Task, Tree
from firexkit.task.names import short

MARKS: Final = {
    State.QUEUED: "·",
    State.RUNNING: "▶",
    State.WAITING: "…",
    State.SUCCEEDED: "✔",
    State.FAILED: "✘",
    State.REVOKED: "⊘",
}
LONGEST_MESSAGE: Final = 300
_TAG: Final = re.compile(r"<[^>]*>")
_HEADER: Final = re.compile(r"\A<!doctype html>.*?<pre>\n?", re.DOTALL | re.IGNORECASE)
_THREAD: Final = re.compile(r"^(?:Thread|Current thread) ", re.MULTILINE)
_FRAME: Final = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>.+)$', re.MULTILINE)
_BODY: Final = str(Path(__file__).parent.parent / "task" / "execution.py")


def picture_of(tree: Tree) -> str:
    """The tree, a line for each task."""
    return "\n".join(line for root in tree.roots for line in _lines(tree, root, "  ")) or "  (no task began)"


def _lines(tree: Tree, task: Task, indent: str) -> Iterator[str]:
    yield f"{indent}{line_of(task)}"
    for child in tree.children_of(task):
        yield from _lines(tree, child, f"{indent}  ")


def line_of(task: Task) -> str:
    """A task in a line: its name, its state, how long it took, what it failed with."""
    parts = [f"{MARKS[task.state]} {short(task.name) or task.id} {task.state}"]
    if task.started_at is not None and task.ended_at is not None:
        parts.append(f"{max(0.0, task.ended_at - task.started_at):.2f} s")
    if task.failure is not None and task.state is State.FAILED:
        text = f"{task.failure.error}: {task.failure.message}".splitlines()
        parts.append(text[0][:LONGEST_MESSAGE])
    return ", ".join(parts)


def text_of_page(page: str) -> str:
    """A log page as it reads."""
    return unescape(_TAG.sub("", _HEADER.sub("", page))).strip()


def body_in(dump: str) -> str:
    """Where the body of a task is, of what `faulthandler` writes about a process; empty if no body runs there."""
    for thread in _THREAD.split(dump):
        frames = list(_FRAME.finditer(thread))
        if any(frame["file"] == _BODY for frame in frames):
            inside = takewhile(lambda frame: frame["file"] != _BODY, frames)
            return "\n".join(frame.group() for frame in inside if is_users_code(frame["file"]))
    return ""
