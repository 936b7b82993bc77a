"""What records can tell and be told, whatever keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from firexkit._records.claims import Claim, Claimant
from firexkit._serialization.large import Place


class TaskRecords(Protocol):
    """What is on record about single tasks."""

    keeps_history: bool
    """Whether what a worker writes is seen by every other process."""

    def sent(self, task_id: str, *, name: str, queue: str, run: str, waiter: str = "") -> None:
        """A message for this task is about to be published; the waiter is the channel of whoever is told its end."""

    def started(self, task_id: str, *, name: str, run: str, is_first: bool = False) -> None:
        """A worker begins an attempt; the first start keeps its time, the name is the one that really runs."""

    def done(self, task_id: str, *, leaves_no_result: bool = False, waiter: str = "") -> None:
        """The body of the task ended, its ``finally`` blocks included, with no result, or one that is stored apart."""

    def ended(self, task_id: str) -> None:
        """The task has ended with a result: what is known of it expires with that."""

    def field(self, task_id: str, name: str) -> str:
        """One field of a task's record; empty when there is none."""

    def fields(self, task_ids: Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
        """Fields of several tasks in one round trip; a field that is not there is left out."""

    def plain(self, task_id: str) -> str:
        """The plain value under a bare task id, as a backend without hashes keeps it."""

    def start_time(self, task_id: str) -> float | None:
        """Unix time of the first start, in seconds."""

    def forget(self, task_ids: Sequence[str], *, also: Sequence[Any] = ()) -> None:
        """Drop everything known about these tasks and, where keys are shared, these other keys in the same step."""


class RunRecords(Protocol):
    """What the tasks of one run share: reports, tasks enqueued once, cached results."""

    def is_known(self, run: str) -> bool:
        """Whether this run has keys of these kinds."""

    def add_report(self, task_id: str, run: str) -> None:
        """A task that produces a report has started."""

    def reports(self, run: str) -> set[str]:
        """Ids of started tasks with a report; of every run when ``run`` is empty."""

    def claim_once(self, key: str, run: str, task_id: str, claimant: Claimant) -> Claim:
        """Whether it is for the claimant to send the task for this key, with this id unless somebody has tried."""

    def release_once(self, key: str, run: str, claimant: str) -> None:
        """The claimant could not send the task: the next caller has the claim."""

    def publish_once(self, key: str, run: str, task_id: str) -> None:
        """The task for this key was sent."""

    def once_uids(self, run: str) -> set[str]:
        """Ids of all tasks enqueued once; of every run when ``run`` is empty."""

    def claim_call(self, key: str, run: str, useless: str, claimant: Claimant) -> Claim:
        """Whether it is for the claimant to compute this call; a useless task has no answer to it."""

    def remember_cached(self, key: str, run: str, task_id: str) -> None:
        """The task whose result answers this call."""

    def cached_uids(self, run: str) -> set[str]:
        """Ids of all tasks whose results are cached; of every run when ``run`` is empty."""

    def once_keys(self, run: str) -> list[str]:
        """Keys under which ids of tasks enqueued once are kept."""

    def cached_keys(self, run: str) -> list[str]:
        """Keys under which ids of cached tasks are kept."""


class ClusterRecords(Protocol):
    """What all runs on one backend share: revocations and the queues that workers announced."""

    def revoked(self, task_ids: Iterable[str], *, terminate: bool = False) -> None:
        """These tasks were revoked; those that run are to be ended, if so."""

    def revoked_ids(self) -> list[str]:
        """Tasks whose revocation is on record and has not expired."""

    def claim_question(self, seconds: float) -> bool:
        """Whether this process is the one that asks the workers for foreign revocations in this period."""

    def queues_ready(self, queues: Iterable[str]) -> None:
        """Workers consume these queues."""

    def is_queue_ready(self, queue: str) -> bool:
        """Whether any worker ever announced this queue."""


class LargeValues(Protocol):
    """Values too large for messages and results, kept for the tasks that they came with."""

    def until(self) -> int | None:
        """Unix time until which a value that is stored now is kept; None for ever."""

    def is_stale(self, until: int | None) -> bool:
        """Whether a value that is kept until then may be gone before a result that is stored now."""

    def keep(self, new: Mapping[Place, bytes], renewed: Collection[str]) -> bool:
        """Store values, and keep those of some tasks for longer; False when the backend is away."""

    def read(self, places: Sequence[Place]) -> list[bytes | None]:
        """What is stored at these places, in one round trip; None for what is not there any more."""


class Records(NamedTuple):
    """The records of one backend."""

    tasks: TaskRecords
    runs: RunRecords
    cluster: ClusterRecords
    values: LargeValues | None
    """None where there is no place that every other process reads."""
