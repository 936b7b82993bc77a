"""The worker of a run's own: what its supervisor keeps alive, and what the worker's process does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firexkit.app import FireX
from firexkit.runtime import abandoned, broker, recording
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.recording import Recording
from firexkit.runtime.submission import Submission
from firexkit.runtime.supervisor import Household
from firexkit.runtime.worker import MAIN_WORKER, WorkerSettings, full_name, serve, worker_log_in


@dataclass(frozen=True)
class OwnWorker:
    """The worker that a run brings along.

    Attributes:
        app: the run's app, with its tasks.
        submission: what to run.
        directory: the run's directory.
    """

    app: FireX
    submission: Submission
    directory: RunDirectory

    @property
    def name(self) -> str:
        """The worker's full name; where other runs have theirs, no other run's worker is called so."""
        shared = self.submission.broker is not None
        return full_name(f"{MAIN_WORKER}-{self.directory.run_id[-8:]}" if shared else MAIN_WORKER)

    def household(self, when_orphaned: Callable[[], None]) -> Household:
        """What the run's supervisor keeps alive.

        Args:
            when_orphaned: called in the supervisor's process in the end if the submitting process is gone.
        """
        work = self.work if self.submission.own_worker else None
        title = f"firex {self.directory.run_id}"
        record = Recording(self.app, self.directory).work if recording.is_wanted(self.app) else None
        return Household(work, record, self.submission.broker, title, self.directory.supervisor_log, when_orphaned)

    def work(self, address: str, again: bool, when_ready: Callable[[], None]) -> int:
        """Work for the run until told to end, in a process of its own; the exit code.

        Args:
            address: the broker's.
            again: whether this worker follows one that died.
            when_ready: called once it takes tasks.
        """
        broker.use(self.app, address)
        asked = self.submission
        if again:
            abandoned.settle(self.app, self._queues(), self.name)
        settings = WorkerSettings(
            log=worker_log_in(self.directory.worker_logs, full_name(MAIN_WORKER)),
            name=self.name,
            queues=self._queues(),
            concurrency=asked.concurrency,
            soft_time_limit=asked.soft_time_limit,
            loglevel=asked.loglevel,
            directory=self.directory,
        )
        return serve(self.app, settings, when_ready)

    def _queues(self) -> tuple[str, ...]:
        """The run's queue first; on a private server, nobody else serves the queues that tasks ask for."""
        own = self.submission.queue_of(self.directory)
        if self.submission.broker is not None:
            return (own,)
        asked_for = (getattr(task, "queue", None) for task in self.app.tasks.values())
        return tuple(dict.fromkeys([own, *(queue for queue in asked_for if isinstance(queue, str))]))
