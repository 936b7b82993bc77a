"""Made-up facts: short to write, with times of their own."""

from __future__ import annotations

from firexkit.journal.model import Began, Entry, Fact, Failed, Origin, OriginKind, Queued, Returned, Value, encoded
from firexkit.journal.tree import Task, Tree

START = 1_000_000.0


def value(text: str, size: int = 0) -> Value:
    """A value by the text that is kept of it."""
    return Value(digest=f"d-{text}", preview=text, size=size or len(text.encode()))


def entry(name: str, text: str, kind: OriginKind | None = None, /, **origin: str) -> Entry:
    """A name with its value, and where that came from."""
    return Entry(name=name, value=value(text), origin=Origin(kind=kind, **origin) if kind is not None else None)


def queued(task: str, name: str, at: float = 0.0, **more: str) -> Queued:
    return Queued(at=START + at, task=task, name=name, **more)


def began(task: str, name: str, at: float = 1.0, *arguments: Entry, **more: object) -> Began:
    return Began(at=START + at, task=task, attempt=1, name=name, arguments=arguments, **more)  # type: ignore[arg-type]


def returned(task: str, at: float = 2.0, *results: Entry) -> Returned:
    return Returned(at=START + at, task=task, attempt=1, results=results)


def failed(task: str, at: float = 2.0, error: str = "ValueError", message: str = "", **more: str) -> Failed:
    return Failed(at=START + at, task=task, attempt=1, error=error, message=message, **more)


def succeeded(task: str, name: str, at: float = 0.0, *results: Entry, **more: str) -> list[Fact]:
    """A task that ran for a second, after a second in its queue."""
    return [queued(task, name, at, **more), began(task, name, at + 1.0), returned(task, at + 2.0, *results)]


def task_of(tree: Tree, task_id: str) -> Task:
    """A task that is there."""
    task = tree.get(task_id)
    assert task is not None
    return task


def entries(facts: list[Fact]) -> list[tuple[str, bytes]]:
    """Facts as a journal takes them."""
    return [(f"{number}-0", encoded(fact)) for number, fact in enumerate(facts, start=1)]
