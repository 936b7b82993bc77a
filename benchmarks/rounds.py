"""Rounds: every side does a workload in turn, then the next workload; the order of the sides turns each round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from benchmarks.bounds import BOUNDS, Bound
from benchmarks.observing import Observation, Observer
from benchmarks.stage import SIDES, Side, SideError, Stage
from benchmarks.workloads import COMPARISONS, Comparison, Figure, Workload

Observations = dict[Side, list[Observation]]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A figure, measured.

    Attributes:
        name: the figure's.
        unit: the figure's.
        rounds: the value of each round, by side.
        values: what became of them, by side.
        ratio: firexkit to plain Celery: the median of the rounds' ratios.
        bound: what must hold, if anything.
    """

    name: str
    unit: str
    rounds: dict[Side, list[float]]
    values: dict[Side, float]
    ratio: float | None
    bound: Bound | None

    @property
    def holds(self) -> bool | None:
        """Whether the bound does; None without one."""
        return self.bound.holds(self.values.get("firex"), self.ratio) if self.bound else None


@dataclass(frozen=True)
class Plan:
    """How a run goes.

    Attributes:
        rounds: how many.
        quick: with the smaller counts.
        events: workers announce what they do.
        counts: of workloads that have one of that name.
        tell: takes lines about the progress.
    """

    rounds: int
    quick: bool
    events: bool
    counts: Mapping[str, int]
    tell: Tell

    def arguments_of(self, workload: Workload) -> dict[str, Any]:
        """What the clients are given for a workload."""
        given = {**workload.arguments, **(workload.quick if self.quick else {})}
        return {name: self.counts.get(name, value) for name, value in given.items()}


class Run:
    """A run of some workloads.

    Attributes:
        failed: whether a side could not do what it was told; what was observed until then counts.
    """

    def __init__(self, workloads: Iterable[Workload], plan: Plan) -> None:
        self.failed = False
        self._plan = plan
        self._workloads = [workload for workload in workloads if _is_possible(workload, plan.tell)]
        self._observed: dict[str, Observations] = {
            workload.name: {side: [] for side in workload.sides} for workload in self._workloads
        }

    def measure(self) -> None:
        """Do the workloads; those with the same number of slots share their workers."""
        for slots in dict.fromkeys(workload.slots for workload in self._workloads):
            try:
                self._measure([workload for workload in self._workloads if workload.slots == slots], slots)
            except SideError as error:
                self.failed = True
                self._plan.tell(f"failed: {error}")

    def rows(self) -> list[Row]:
        """The table."""
        seen = [workload for workload in self._workloads if any(self._observed[workload.name].values())]
        rows = [row_of(figure, self._observed[workload.name]) for workload in seen for figure in workload.figures]
        return rows + compared(rows)

    def _measure(self, workloads: list[Workload], slots: int) -> None:
        sides = tuple(side for side in SIDES if any(side in workload.sides for workload in workloads))
        with Stage(sides, events=self._plan.events, slots=slots) as stage:
            observer = Observer(stage)
            for number in range(self._plan.rounds):
                for workload in workloads:
                    if workload.rounds is None or number < workload.rounds:
                        self._plan.tell(f"round {number + 1} of {self._plan.rounds}: {workload.name}")
                        self._do(observer, workload, number)

    def _do(self, observer: Observer, workload: Workload, number: int) -> None:
        arguments = self._plan.arguments_of(workload)
        for side in turn(workload.sides, number):
            verb = workload.verbs.get(side, workload.verb)
            seen = observer.observe(side, verb, arguments, shrinks_within=workload.shrinks_within, rest=workload.rest)
            self._observed[workload.name][side].append(seen)


def _is_possible(workload: Workload, tell: Tell) -> bool:
    if workload.needs is None or find_spec(workload.needs) is not None:
        return True
    tell(f"{workload.name} is skipped: what is measured has no {workload.needs}")
    return False


def turn(sides: tuple[Side, ...], number: int) -> tuple[Side, ...]:
    """The order of the sides in a round: reversed in every other."""
    return sides[::-1] if number % 2 else sides


def row_of(figure: Figure, observed: Observations) -> Row:
    """A figure, from what was observed."""
    rounds = {side: [figure.read(one) for one in observed[side]] for side in SIDES if observed.get(side)}
    values = {side: figure.over_rounds(some) for side, some in rounds.items()}
    return Row(
        figure.name, figure.unit, rounds, values, ratio_of(rounds) if figure.compared else None, BOUNDS.get(figure.name)
    )


def ratio_of(rounds: dict[Side, list[float]]) -> float | None:
    """The median of the rounds' ratios: a machine that slows down slows both sides of a round."""
    ratios = quotients(rounds.get("firex", ()), rounds.get("plain", ()))
    return statistics.median(ratios) if ratios else None


def quotients(these: Iterable[float], those: Iterable[float]) -> list[float]:
    """Ratios, round by round."""
    return [this / that for this, that in zip(these, those, strict=False) if that]


def compared(rows: Iterable[Row]) -> list[Row]:
    """What follows from two figures that were both measured."""
    by_name = {row.name: row for row in rows}
    pairs = [one for one in COMPARISONS if one.figure in by_name and one.to in by_name]
    return [_comparison(one, by_name[one.figure], by_name[one.to]) for one in pairs]


def _comparison(comparison: Comparison, figure: Row, to: Row) -> Row:
    rounds = {side: quotients(figure.rounds[side], to.rounds[side]) for side in figure.rounds if side in to.rounds}
    values = {side: statistics.median(some) for side, some in rounds.items() if some}
    return Row(comparison.name, "x", rounds, values, None, BOUNDS.get(comparison.name))
