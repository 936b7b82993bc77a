"""Which rows a tree of tasks is drawn with. Pure: tasks in, rows out.

Each task that changes costs a walk up to the root; rows are made from what is unfinished or failed, not from all tasks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from firexkit.runtime.progress import BLOCKED, ENDED, FAILED, RECEIVED, RETRIED, REVOKED, RUNNING, SUCCEEDED, TaskSeen

MOST_ALIKE: Final = 4
"""Siblings of one name that get rows of their own; of more, there is one row for all."""
MOST_NAMED: Final = 2
"""Names that are told of what a task waits for."""
PENDING: Final = "pending"
"""The state of a row for a task of the run's chain that was not sent yet."""
MORE: Final = "more"
"""The state of the row that stands for rows without room."""
BEGUN: Final = frozenset({RUNNING, BLOCKED, RETRIED})
BUSIEST_FIRST: Final = (RUNNING, BLOCKED, RETRIED, RECEIVED, FAILED, REVOKED, SUCCEEDED)
GONE_FIRST: Final = (SUCCEEDED, PENDING, RECEIVED, REVOKED, FAILED, RETRIED, BLOCKED, RUNNING)


@dataclass(frozen=True)
class Row:
    """One row of the tree: a task, or several of one name.

    Attributes:
        depth: how far it stands to the right.
        state: of the task; of several, that of the busiest.
        name: the short name.
        since: Unix time of the start; of several, of the first.
        until: Unix time of the end; None while it goes on.
        counts: how many are in which state.
        note: what it waits for, or what it failed with.
        worker: the full name of its worker.
        retries: how often it was tried before.
        longest: of several, Unix time at which the one that runs longest began.
        to_come: how many more are about to be sent.
        may_grow: whether more may come, and nobody knows how many.
    """

    depth: int
    state: str
    name: str
    since: float | None = None
    until: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    worker: str = ""
    retries: int = 0
    longest: float | None = None
    to_come: int = 0
    may_grow: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks it stands for."""
        return sum(self.counts.values()) + self.to_come

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return sum(self.counts.get(state, 0) for state in ENDED)


class _Tally(NamedTuple):
    """Of some tasks, how many there are that a person wants to see."""

    unfinished: int = 0
    failed: int = 0
    revoked: int = 0

    def plus(self, other: _Tally) -> _Tally:
        """This one and another."""
        return _Tally(self[0] + other[0], self[1] + other[1], self[2] + other[2])

    def minus(self, other: _Tally) -> _Tally:
        """This one without another."""
        return _Tally(self[0] - other[0], self[1] - other[1], self[2] - other[2])


class _Node:
    """A task in the tree, and what is below it."""

    __slots__ = ("above", "below", "group", "groups", "number", "task")

    def __init__(self, task: TaskSeen, number: int) -> None:
        self.task = task
        self.number = number
        self.above: _Node | None = None
        self.group: _Group | None = None
        self.groups: dict[str, _Group] = {}
        self.below = _Tally()

    @property
    def tally(self) -> _Tally:
        """Of it and all below it; of nothing before it has its place."""
        if self.group is None:
            return self.below
        state = self.task.state
        return self.below.plus(_Tally(int(state not in ENDED), int(state == FAILED), int(state == REVOKED)))

    def group_of(self, name: str) -> _Group:
        """Its children of a name."""
        if name not in self.groups:
            self.groups[name] = _Group(name, self)
        return self.groups[name]


class _Group:
    """Siblings of one name."""

    __slots__ = ("begun", "counts", "first", "heads", "last", "members", "name", "parent", "troubled")

    def __init__(self, name: str, parent: _Node) -> None:
        self.name = name
        self.parent = parent
        self.members: dict[str, _Node] = {}
        self.begun: dict[str, _Node] = {}
        self.troubled: dict[str, _Node] = {}
        self.counts: Counter[str] = Counter()
        self.heads = 0
        self.first: float | None = None
        self.last: float | None = None

    @property
    def is_large(self) -> bool:
        """Whether it gets one row for all."""
        return len(self.members) > MOST_ALIKE

    @property
    def unfinished(self) -> int:
        """How many of them have not ended."""
        return len(self.members) - sum(self.counts[state] for state in ENDED)

    def add(self, node: _Node) -> None:
        """Take in a member, as it is now."""
        task = node.task
        self.members[task.uuid] = node
        self.counts[task.state] += 1
        self.heads += task.chain_depth == 0
        if task.state in BEGUN:
            self.begun[task.uuid] = node
        if task.started is not None:
            self.first = min(task.started, self.first or task.started)
        if task.ended is not None:
            self.last = max(task.ended, self.last or task.ended)
        self.look_at(node)

    def look_at(self, node: _Node) -> None:
        """Note whether a member has failures, its own or below it."""
        if node.tally.failed:
            self.troubled[node.task.uuid] = node
        else:
            self.troubled.pop(node.task.uuid, None)

    def remove(self, node: _Node) -> None:
        """Forget a member."""
        self.counts[node.task.state] -= 1
        self.heads -= node.task.chain_depth == 0
        for members in (self.members, self.begun, self.troubled):
            members.pop(node.task.uuid, None)


class Branches:
    """The tree of a run.

    Args:
        chain: short names of the run's tasks, in their order.
    """

    def __init__(self, chain: Sequence[str] = ()) -> None:
        self._chain = chain
        self._of_chain: dict[int, _Node] = {}
        self._top = _Node(TaskSeen(""), 0)
        self._nodes: dict[str, _Node] = {}
        self._without_parent: defaultdict[str, list[_Node]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        """How many tasks are in which state."""

    # ── what is told ──────────────────────────────────────────────────────────────────────

    def see(self, task: TaskSeen) -> None:
        """Take in how a task is now."""
        node = self._nodes.get(task.uuid)
        if node is None:
            node = self._nodes[task.uuid] = _Node(task, len(self._nodes))
        self._place(node, task)
        for child in self._without_parent.pop(task.uuid, ()):
            self._place(child, child.task)

    def _place(self, node: _Node, task: TaskSeen) -> None:
        """Put a node where its task belongs now, and tell everything above it and everything that was."""
        before, told = node.above, node.tally
        if node.group is not None:
            node.group.remove(node)
            self.counts[node.task.state] -= 1
        node.task = task
        node.above = above = self._enclosing(node)
        node.group = above.group_of(task.short_name)
        node.group.add(node)
        self.counts[task.state] += 1
        if above is self._top and (task.parent in (None, "", task.uuid) or task.parent in self._nodes):
            self._of_chain[task.chain_depth] = node
        if before is above:
            _count(above, node.tally.minus(told))
        else:
            _count(before, _Tally().minus(told))
            _count(above, node.tally)

    def _enclosing(self, node: _Node) -> _Node:
        """What a task stands below: whoever enqueued it, or enqueued the chain that it is part of."""
        task = node.task
        if not task.parent or task.parent == task.uuid:
            return self._top
        parent = self._nodes.get(task.parent)
        if parent is None:
            self._without_parent[task.parent].append(node)
            return self._top
        above = parent.above or self._top if task.chain_depth else parent
        return self._top if node in _line(above) else above

    # ── rows ──────────────────────────────────────────────────────────────────────────────

    def rows(self, *, is_over: bool = False) -> list[Row]:
        """All rows, whatever room there is.

        Args:
            is_over: whether nothing more will come.
        """
        rows: list[Row] = []
        pending = _reversed_parts(self._top, 0)
        while pending:
            part, depth = pending.pop()
            if isinstance(part, _Group):
                rows.append(_row_for_all(part, depth))
                pending += [(member, depth + 1) for member in reversed(_in_order(part.troubled))]
                continue
            rows.append(self._row(part, depth))
            if part.task.state not in ENDED or any(part.below):
                pending += _reversed_parts(part, depth + 1)
        return rows if is_over else [*rows, *self._not_sent()]

    def _row(self, node: _Node, depth: int) -> Row:
        task = node.task
        counts, note = {task.state: 1}, self._note(node)
        return Row(
            depth, task.state, task.short_name, task.started, task.ended, counts, note, task.worker, task.retries
        )

    def _note(self, node: _Node) -> str:
        task = node.task
        if task.state == FAILED:
            cause = self._nodes.get(task.cause or "")
            return f"because of {cause.task.short_name}" if cause else task.exception.partition("\n")[0]
        return _waits_for(node) if task.state == BLOCKED else ""

    def _not_sent(self) -> Iterator[Row]:
        """The tasks of the run's chain that were not sent, as long as they may be."""
        sent = max(self._of_chain, default=-1) + 1
        if not sent or (last := self._of_chain[sent - 1].task).state in (FAILED, REVOKED):
            return
        note = "queued" if last.state == SUCCEEDED else f"waits for {last.short_name}"
        for name in self._chain[sent:]:
            yield Row(0, PENDING, name, note=note)
            note = f"waits for {name}"


def _count(above: _Node | None, tally: _Tally) -> None:
    """Add what is below to everything above it."""
    if not any(tally):
        return
    for node in _line(above):
        node.below = node.below.plus(tally)
        if tally.failed and node.group is not None:
            node.group.look_at(node)


def _line(node: _Node | None) -> Iterator[_Node]:
    """A node and all above it."""
    while node is not None:
        yield node
        node = node.above


def _reversed_parts(node: _Node, depth: int) -> list[tuple[_Node | _Group, int]]:
    """What is to be shown right below a node, the last first."""
    has_ended = node.task.state in ENDED
    parts: list[_Node | _Group] = []
    for group in node.groups.values():
        if not group.is_large:
            parts += [one for one in _in_order(group.members) if not has_ended or _is_news(one)]
        elif not has_ended or group.unfinished or group.troubled or group.counts[REVOKED]:
            parts.append(group)
    return [(part, depth) for part in reversed(parts)]


def _is_news(node: _Node) -> bool:
    """Whether a task is to be shown although its parent has ended."""
    task = node.task
    # It may follow its parent in a chain instead of being its child: it tells when it begins.
    is_unclear = task.state == RECEIVED and task.started is None
    return any(node.tally) and not is_unclear


def _in_order(members: Mapping[str, _Node]) -> list[_Node]:
    return sorted(members.values(), key=lambda node: node.number)


def _row_for_all(group: _Group, depth: int) -> Row:
    running = [node.task.started for node in group.begun.values() if node.task.started is not None]
    state = next(state for state in BUSIEST_FIRST if group.counts[state])
    until = None if group.unfinished else group.last
    counts = {state: number for state, number in group.counts.items() if number}
    longest = min(running, default=None)
    row = Row(depth, state, group.name, group.first, until, counts, longest=longest)
    to_come = _to_come(group)
    return replace(row, may_grow=True) if to_come is None else replace(row, to_come=to_come)


def _to_come(group: _Group) -> int | None:
    """How many more of some siblings are about to be sent; None when more may come and nobody knows how many."""
    parent = group.parent.task
    if parent.state not in BEGUN:
        return 0
    senders = [one for one in group.parent.groups.values() if one.heads]
    more = None if parent.planned is None else max(0, parent.planned - sum(one.heads for one in senders))
    if more == 0:
        return None if parent.state == RUNNING else 0
    return more if senders == [group] else None


def _waits_for(node: _Node) -> str:
    """Whom a task waits for: as far as one can tell, its children that have not ended."""
    open_groups = [(group.unfinished, group.name) for group in node.groups.values() if group.unfinished]
    named = [name if number == 1 else f"{number} {name}" for number, name in open_groups]
    more = ", …" if len(named) > MOST_NAMED else ""
    return f"waits for {', '.join(named[:MOST_NAMED])}{more}" if named else "waits"


# ── no more rows than there is room for ───────────────────────────────────────────────────


def fitted(rows: Sequence[Row], height: int) -> list[Row]:
    """Rows for a height: what has ended longest goes first, and one row tells how much that is.

    Args:
        rows: all of them.
        height: how many there is room for; 1 at least.
    """
    if len(rows) <= height:
        return [*rows]
    order = sorted(range(len(rows)), key=lambda number: _first_to_go(rows[number], number))
    gone = {*order[: len(rows) - height + 1]}
    counts: Counter[str] = Counter()
    for number in gone:
        counts.update(rows[number].counts or {PENDING: 1})
    kept = [row for number, row in enumerate(rows) if number not in gone]
    return [*kept, Row(0, MORE, f"and {counts.total():,} more", counts=counts)]


def _first_to_go(row: Row, number: int) -> tuple[int, float]:
    """A sort key: what went well first, what runs last; within that, what has ended longest or stands lowest."""
    rank = GONE_FIRST.index(row.state)
    return rank, row.until if row.until is not None else -number
