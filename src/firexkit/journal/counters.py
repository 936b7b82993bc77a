"""What tasks come to in numbers, as Prometheus reads them. Pure: tasks in, text out; names, states and times only.

Each task has a part in the sums, which is taken back when more is known of it. So it does not matter in which order
facts came, nor how often a task was told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from firexkit._wire import (
    ENDED_METRIC,
    LOST_METRIC,
    QUEUE_TIME_METRIC,
    RETRIES_METRIC,
    REVOKED_METRIC,
    RUN_TIME_METRIC,
    TASKS_METRIC,
)
from firexkit.journal.model import Lost, Retried, Revoked
from firexkit.journal.tree import State, Task

BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 10800)
"""Seconds: upper bounds of the histograms."""
_SECOND: Final = 1_000_000
"""Times are summed as whole microseconds: sums of floats would depend on their order."""
_FAMILIES: Final = {
    TASKS_METRIC: ("gauge", "Tasks that have not ended, by what they do now."),
    ENDED_METRIC: ("counter", "Tasks that have ended, by how."),
    RETRIES_METRIC: ("counter", "Attempts that ended with a retry."),
    LOST_METRIC: ("counter", "Attempts that were lost with their process."),
    REVOKED_METRIC: ("counter", "Tasks that were revoked, whatever became of them."),
    QUEUE_TIME_METRIC: ("histogram", "Seconds from sending a task to its first attempt."),
    RUN_TIME_METRIC: ("histogram", "Seconds that attempts took."),
}
_HISTOGRAMS: Final = frozenset({QUEUE_TIME_METRIC, RUN_TIME_METRIC})
_BUCKET, _SUM, _COUNT = "_bucket", "_sum", "_count"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Part(NamedTuple):
    """What one task has part in.

    Attributes:
        name: the task's full name.
        state: what has become of it.
        has_ended: whether nothing more can.
        retries: its attempts that ended with a retry.
        losses: its attempts that were lost.
        is_revoked: whether somebody revoked it.
        queue_time: microseconds from sending it to its first attempt; None while that is not known.
        run_times: microseconds of each attempt that has ended.
    """

    name: str
    state: State
    has_ended: bool
    retries: int
    losses: int
    is_revoked: bool
    queue_time: int | None
    run_times: tuple[int, ...]


def part_of(task: Task) -> Part:
    """What a task has part in, as far as is known of it."""
    queued = task.queued.at if task.queued is not None else None
    times = (_between(body.started_at, body.ended_at) for body in task.bodies)
    return Part(
        name=task.name,
        state=task.state,
        has_ended=task.has_ended,
        retries=sum(isinstance(body.end, Retried) for body in task.bodies),
        losses=sum(isinstance(body.end, Lost) for body in task.bodies),
        is_revoked=any(isinstance(fact, Revoked) for fact in task.facts),
        queue_time=_between(queued, task.started_at),
        run_times=tuple(time for time in times if time is not None),
    )


def _between(start: float | None, end: float | None) -> int | None:
    """Microseconds; none at least, as clocks of machines differ."""
    return None if start is None or end is None else max(0, round((end - start) * _SECOND))


class _Sample(NamedTuple):
    """One line of the text but for its number: names of tasks, states and bounds."""

    family: str
    name: str
    suffix: str = ""
    state: str = ""
    bound: float = 0.0


def _samples(part: Part) -> Iterator[tuple[_Sample, int]]:
    yield _Sample(ENDED_METRIC if part.has_ended else TASKS_METRIC, part.name, state=part.state), 1
    yield _Sample(RETRIES_METRIC, part.name), part.retries
    yield _Sample(LOST_METRIC, part.name), part.losses
    yield _Sample(REVOKED_METRIC, part.name), int(part.is_revoked)
    if part.queue_time is not None:
        yield from _observed(QUEUE_TIME_METRIC, part.name, part.queue_time)
    for time in part.run_times:
        yield from _observed(RUN_TIME_METRIC, part.name, time)


def _observed(family: str, name: str, time: int) -> Iterator[tuple[_Sample, int]]:
    for bound in BUCKETS:
        yield _Sample(family, name, _BUCKET, bound=bound), int(time <= bound * _SECOND)
    yield _Sample(family, name, _BUCKET, bound=float("inf")), 1
    yield _Sample(family, name, _SUM), time
    yield _Sample(family, name, _COUNT), 1


class Counters:
    """The sums over all tasks that were told."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._sums: Counter[_Sample] = Counter()

    def tell(self, task: Task) -> None:
        """Count a task as it is now, instead of as it was."""
        before, now = self._parts.get(task.id), part_of(task)
        if before == now:
            return
        if before is not None:
            self._sums.subtract(_summed(before))
        self._sums.update(_summed(now))
        self._parts[task.id] = now

    def settle(self, task_ids: Iterable[str]) -> None:
        """Keep what tasks came to, but nothing of each: their run is over, and they are not told again."""
        for task_id in task_ids:
            part = self._parts.pop(task_id, None)
            if part is not None and not part.has_ended:
                self._sums.subtract([_Sample(TASKS_METRIC, part.name, state=part.state)])

    def text(self) -> str:
        """All of them in the text format that Prometheus reads (version 0.0.4)."""
        by_family: dict[str, list[_Sample]] = {family: [] for family in _FAMILIES}
        for sample in sorted(self._sums, key=_place):
            # What nothing is counted of is left out, but for the buckets of a histogram that has others.
            if self._sums[sample] or self._sums[_Sample(sample.family, sample.name, _COUNT)]:
                by_family[sample.family].append(sample)
        return "".join(self._lines(family, samples) for family, samples in by_family.items())

    def _lines(self, family: str, samples: Iterable[_Sample]) -> str:
        kind, told = _FAMILIES[family]
        lines = [f"# HELP {family} {told}", f"# TYPE {family} {kind}"]
        lines += [f"{family}{sample.suffix}{_labels(sample)} {self._number(sample)}" for sample in samples]
        return "".join(f"{line}\n" for line in lines)

    def _number(self, sample: _Sample) -> str:
        number = self._sums[sample]
        return f"{number / _SECOND:g}" if sample.suffix == _SUM else str(number)


def _summed(part: Part) -> Counter[_Sample]:
    found: Counter[_Sample] = Counter()
    for sample, amount in _samples(part):
        found[sample] += amount
    return found


def _place(sample: _Sample) -> tuple[str, int, str, float]:
    return (sample.name, [_BUCKET, _SUM, _COUNT, ""].index(sample.suffix), sample.state, sample.bound)


def _labels(sample: _Sample) -> str:
    labels = {"name": sample.name}
    if sample.state:
        labels["state"] = str(sample.state)
    if sample.suffix == _BUCKET:
        labels["le"] = "+Inf" if sample.bound == float("inf") else f"{sample.bound:g}"
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items()) + "}"
