"""The tree of a run as lines: each task with its state, how long it took, and what it waits for. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from firexkit.cli.lines import Line, line
from firexkit.cli.phrases import MARKS, counted, elapsed, short, short_id
from firexkit.journal.model import Failed
from firexkit.journal.tree import State, Task, Tree
from firexkit.runtime.page_text import readable

INDENT: Final = "  "
MOST_ALIKE: Final = 3
"""Children of one name under one task that each have a line; more of them become one."""
MOST_SHOWN: Final = 5
"""Of those that became one line, how many that failed, and how many that run, have a line each."""
DEEPEST: Final = 40
"""Levels that are set off; what is deeper stands below them."""
WIDEST: Final = 40
"""Columns of names; a longer one shifts what follows it."""


UNKNOWN: Final = ("?", "yellow")
"""What stands for a state that a killed run could not change any more."""


_BUSY: Final = (State.RUNNING, State.WAITING)
NEVER_BEGAN: Final = "never began"


class Row(NamedTuple):
    """A line of the tree before it is laid out.

    Attributes:
        depth: tasks above it.
        state: what its mark says.
        name: of the task, or how many of that name.
        took: how long, as text.
        note: what else there is to say.
    """

    depth: int
    state: State
    name: str
    took: str = ""
    note: str = ""


class Now(NamedTuple):
    """What is known of the present.

    Attributes:
        at: Unix time.
        goes_on: whether the run is alive; else what has not ended never will.
    """

    at: float
    goes_on: bool


def tree_lines(
    tree: Tree, now: Now, *, every: bool = False, unsent: Iterable[str] = (), room: int | None = None
) -> Iterator[Line]:
    """The tree of a run.

    Args:
        tree: the tasks.
        now: the present.
        every: a line for each task, however many are alike.
        unsent: names of the tasks of the run's chain that were not sent any more.
        room: columns there are; None where lines may be of any length.
    """
    rows = [*_Rows(tree, now, every=every).below(tree.roots, 0)]
    rows += [Row(0, State.QUEUED, name, "", NEVER_BEGAN) for name in unsent]
    deepest = DEEPEST if room is None else room // 4 // len(INDENT)
    widest = min(max((len(row.name) + len(INDENT) * min(row.depth, deepest) for row in rows), default=0), WIDEST)
    for row in rows:
        mark, style = mark_of(row.state, now)
        indent = INDENT * min(row.depth, deepest)
        name = (indent + mark + " " + row.name).ljust(widest + 2)[len(indent) + 2 :]
        yield line(indent, (f"{mark} ", style), (name, style if row.state is State.FAILED else ""), *_rest(row))


def mark_of(state: State, now: Now) -> tuple[str, str]:
    """What stands for a state, and its style.

    Args:
        state: of a task.
        now: the present.
    """
    return UNKNOWN if state in _BUSY and not now.goes_on else MARKS[state]


def _rest(row: Row) -> Iterator[tuple[str, str]]:
    yield f"  {row.took:>8}", "dim"
    if row.note:
        yield f"  {row.note}", "red" if row.state is State.FAILED else "dim"


class _Below(NamedTuple):
    """Tasks whose rows come next."""

    tasks: Sequence[Task]
    depth: int


class _Rows:
    def __init__(self, tree: Tree, now: Now, *, every: bool) -> None:
        self._tree = tree
        self._now = now
        self._every = every
        self._alike = Counter(task.name for task in tree)
        self._failed = _with_those_above(tree, (State.FAILED,))
        self._busy = _with_those_above(tree, _BUSY) - self._failed

    def below(self, tasks: Sequence[Task], depth: int) -> Iterator[Row]:
        """Rows of neighbours, with all that is below them."""
        levels = [self._level(tasks, depth)]
        while levels:
            found = next(levels[-1], None)
            if found is None:
                levels.pop()
            elif isinstance(found, Row):
                yield found
            else:
                levels.append(self._level(found.tasks, found.depth))

    def _level(self, tasks: Sequence[Task], depth: int) -> Iterator[Row | _Below]:
        """Rows of neighbours; those of one name together where there are many."""
        groups: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            groups[task.name].append(task)
        told: set[str] = set()
        for task in tasks:
            alike = groups[task.name]
            if self._every or len(alike) <= MOST_ALIKE:
                yield self._row(task, depth)
                yield _Below(self._tree.children_of(task), depth + 1)
            elif task.name not in told:
                told.add(task.name)
                yield from self._together(alike, depth)

    def _together(self, alike: Sequence[Task], depth: int) -> Iterator[Row | _Below]:
        """One row for many, and below it those that somebody would look for."""
        states = [task.state for task in alike]
        took = [seconds for task in alike if (seconds := self._seconds(task)) is not None]
        worst = next(state for state in _WORST_FIRST if state in states)
        longest = f"≤ {elapsed(max(took))}" if took else ""
        hidden = _below(self._tree, alike)
        below = f"{hidden:,} {'task' if hidden == 1 else 'tasks'} below" if hidden else ""
        note = ", ".join(filter(None, (counted(states), below)))
        yield Row(depth, worst, f"{len(alike):,} x {short(alike[0].name)}", longest, note)
        for state, chosen in ((State.FAILED, self._failed), (State.RUNNING, self._busy)):
            some = [task for task in alike if task.id in chosen]
            for task in some[:MOST_SHOWN]:
                yield self._row(task, depth + 1)
                yield _Below(self._tree.children_of(task), depth + 2)
            if len(some) > MOST_SHOWN:
                yield Row(depth + 1, state, f"… {len(some) - MOST_SHOWN:,} more with {_OF[state]}")

    def _row(self, task: Task, depth: int) -> Row:
        seconds = self._seconds(task)
        which = short_id(task.id) if self._alike[task.name] > 1 else ""
        note = "  ".join(filter(None, (which, note_on(self._tree, task, self._now))))
        return Row(
            depth, task.state, short(task.name) or task.id, elapsed(seconds) if seconds is not None else "", note
        )

    def _seconds(self, task: Task) -> float | None:
        return seconds_of(task, self._now)


_WORST_FIRST: Final = (
    State.FAILED,
    State.REVOKED,
    State.RUNNING,
    State.WAITING,
    State.QUEUED,
    State.SUCCEEDED,
)


_OF: Final = {State.FAILED: "failures", State.RUNNING: "running tasks"}


def _with_those_above(tree: Tree, states: Collection[State]) -> set[str]:
    """The ids of the tasks of some states, and of all above them."""
    found: set[str] = set()
    for task in tree:
        one = task if task.state in states else None
        while one is not None and one.id not in found:
            found.add(one.id)
            one = tree.get(tree.parent_of(one))
    return found


def seconds_of(task: Task, now: Now) -> float | None:
    """Seconds from a task's beginning to its end, or until now; None when nobody knows.

    Args:
        task: the task.
        now: the present.
    """
    end = task.ended_at if task.has_ended else now.at if now.goes_on else None
    return max(0.0, end - task.started_at) if end is not None and task.started_at is not None else None


def note_on(tree: Tree, task: Task, now: Now) -> str:
    """What there is to say about a task besides its state: why it failed, what it waits for.

    Args:
        tree: where it is.
        task: the task.
        now: the present.
    """
    if task.state is State.SUCCEEDED:
        attempts = len(task.bodies)
        return f"attempt {attempts}" if attempts > 1 else ""
    if task.state is State.FAILED and task.failure is not None:
        return _failed(tree, task, task.failure)
    if task.state is State.REVOKED:
        return f"revoked: {readable(task.why_revoked)}" if task.why_revoked else "revoked"
    if not now.goes_on:
        return (
            "never began" if task.state is State.QUEUED and not task.bodies else f"was {task.state}; its end is unknown"
        )
    return _waits_for(tree, task) if task.state is State.WAITING else str(task.state)


def _failed(tree: Tree, task: Task, failure: Failed) -> str:
    cause = tree.root_cause(task)
    if cause is not task:
        return f"because {short(cause.name)} {'was revoked' if cause.state is State.REVOKED else 'failed'}"
    message = readable(failure.message.strip().partition("\n")[0])
    return f"{failure.error}: {message}" if message else failure.error


def _waits_for(tree: Tree, task: Task) -> str:
    ids = task.bodies[-1].waits_for
    known = [tree.get(task_id) for task_id in ids] if ids else [*tree.children_of(task)]
    names = Counter(short(one.name) for one in known if one is not None and not one.has_ended)
    told = ", ".join(name if number == 1 else f"{number:,} x {name}" for name, number in names.items())
    return f"waits for {told or 'its children'}"


def _below(tree: Tree, tasks: Sequence[Task]) -> int:
    """How many tasks there are below others."""
    number, waiting = 0, list(tasks)
    while waiting:
        children = tree.children_of(waiting.pop())
        number += len(children)
        waiting.extend(children)
    return number
