"""Single tasks of a journal, read by its indexes: quick also where a run has very many."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from firexkit.journal.store import Journal
from firexkit.journal.tree import Task, Tree


class Lookup:
    """Reads tasks as they are asked for, each once.

    Args:
        journal: where they are.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[str, Task | None] = {}

    def get(self, task_id: str) -> Task | None:
        """A task by its id; None when nothing was told of it."""
        if task_id not in self._known:
            facts = (recorded.fact for recorded in self._journal.facts_of(task_id)) if task_id else ()
            self._known[task_id] = Tree(facts).get(task_id)
        return self._known[task_id]

    def children_of(self, task: Task) -> list[Task]:
        """What a task enqueued, and what follows that in chains, in the order in which it was sent."""
        # These facts tell whose children there are, not what became of them.
        kin = Tree([*(recorded.fact for recorded in self._journal.kin_of(task.id)), *task.facts])
        children = kin.children_of(task)
        return [child for one in children if (child := self.get(one.id)) is not None]

    def named(self, text: str) -> list[Task]:
        """The tasks that somebody means.

        Args:
            text: a task's full or short name, its id or the beginning of that.

        Raises:
            JournalError: the journal can't be searched.
        """
        if (task := self.get(text)) is not None:
            return [task]
        of_that_name = [task for task in self._all(self._journal.find([text])) if text in names_of(task)]
        return of_that_name or [*self._all(self._journal.ids_beginning(text) if text else [])]

    def _all(self, ids: list[str]) -> Iterator[Task]:
        return (task for task_id in ids if (task := self.get(task_id)) is not None)


def names_of(task: Task) -> tuple[str, str]:
    """The full name of a task, and what follows its last dot."""
    return task.name, task.name.rpartition(".")[2]


def close_names(tree: Tree, text: str) -> list[str]:
    """Names of tasks of a run that are almost what somebody wrote.

    Args:
        tree: the run's tasks.
        text: what was written.
    """
    names = {name for task in tree for name in names_of(task) if name}
    return get_close_matches(text, sorted(names))
