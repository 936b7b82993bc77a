"""The words that workloads are written in."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.observing import Observation
from benchmarks.settings import SLOTS
from benchmarks.stage import SIDES, Side

EVERY_SIDE: Final = SIDES
BOTH: Final[tuple[Side, ...]] = ("plain", "firex")
FIREX: Final[tuple[Side, ...]] = ("firex",)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what it is called there and in `bounds.py`.
        unit: of its values.
        read: takes it out of an observation.
        over_rounds: what becomes of the rounds' values.
        compared: whether a ratio to plain Celery says anything.
    """

    name: str
    unit: str
    read: Callable[[Observation], float]
    over_rounds: Callable[[Iterable[float]], float] = statistics.median
    compared: bool = True


@dataclass(frozen=True)
class Workload:
    """What sides do in turn.

    Attributes:
        name: the word for the command line.
        verb: what their clients are told to do.
        figures: what is read from it.
        arguments: of the verb; by side, if they differ.
        quick: arguments that `--quick` changes.
        sides: who does it.
        verbs: verbs of sides for which it has another name.
        rounds: how often; None for as often as asked.
        slots: how many tasks the workers run at a time.
        needs: a module without which there is nothing to measure.
        shrinks_within: seconds that the worker's pool gets to go back to its size.
        rest: seconds before the broker is looked at.
    """

    name: str
    verb: str
    figures: tuple[Figure, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    sides: tuple[Side, ...] = EVERY_SIDE
    verbs: Mapping[Side, str] = field(default_factory=dict)
    rounds: int | None = None
    slots: int = SLOTS
    needs: str | None = None
    shrinks_within: float = 0
    rest: float = 0


@dataclass(frozen=True)
class Comparison:
    """A line of the table that says how two figures of one side relate.

    Attributes:
        name: what it is called there and in `bounds.py`.
        figure: the name of the one.
        to: the name of the other.
    """

    name: str
    figure: str
    to: str


def quantile(share: float) -> Callable[[Observation], float]:
    """That quantile of the measured times."""

    def read(observation: Observation) -> float:
        times = sorted(observation.answer["ms"])
        return float(times[min(len(times) - 1, int(share * len(times)))])

    return read


def worst(observation: Observation) -> float:
    """The longest of the measured times."""
    return float(max(observation.answer["ms"]))


def answered(key: str) -> Callable[[Observation], float]:
    """One of the values that the client told."""
    return lambda observation: float(observation.answer[key])


def per(count: str) -> Callable[[Observation], float]:
    """The measured time (the median of several), shared by as many as the argument of that name says."""

    def read(observation: Observation) -> float:
        measured = observation.answer["ms"]
        time = statistics.median(measured) if isinstance(measured, list) else measured
        return float(time) / int(observation.arguments[count])

    return read


def cost(kind: str, *, per: str, scale: float = 1) -> Callable[[Observation], float]:
    """One of the observed costs, shared by as many as the argument of that name says."""
    return lambda observation: float(getattr(observation, kind)) * scale / int(observation.arguments[per])


def left_behind(kind: str, *, scale: float = 1) -> Callable[[Observation], float]:
    """How much more of something there is than before."""
    return lambda observation: float(getattr(observation, kind)) * scale
