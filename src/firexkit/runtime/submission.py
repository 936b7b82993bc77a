"""What is asked for when a run is submitted."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firexkit._serialization.masking import masked_command, readable_arguments
from firexkit.broker_address import without_password
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.record import RunRecord
from firexkit.runtime.worker import DEFAULT_QUEUE, default_concurrency
from firexkit.secret import SecretNames


@dataclass(frozen=True)
class Submission:
    """What to run, and where.

    Attributes:
        chain: the tasks, as a signature without arguments.
        names: their short names.
        arguments: values by name, as tasks get them.
        secret: names whose values are never shown.
        command: the command line, for the record.
        broker: the address of a broker; None for a private server.
        own_worker: start a worker for the run; else the cluster's workers do its work.
        queue: where the tasks are sent; None for the run's own.
        priority: of every task of the chain, 0 to 9; None for the broker's default.
        soft_time_limit: seconds after which a task of the run's worker gets SoftTimeLimitExceeded.
        concurrency: how many tasks the run's worker runs at a time.
        loglevel: of the run's worker.
        began: Unix time at which the submitting process began.
    """

    chain: Any
    names: Sequence[str]
    arguments: Mapping[str, Any]
    secret: SecretNames = field(default_factory=SecretNames)
    command: Sequence[str] = ()
    broker: str | None = None
    own_worker: bool = True
    queue: str | None = None
    priority: int | None = None
    soft_time_limit: float | None = None
    concurrency: int = field(default_factory=default_concurrency)
    loglevel: str = "INFO"
    began: float = field(default_factory=time.time)

    def queue_of(self, directory: RunDirectory) -> str:
        """Where the tasks of a run are sent: on a broker that others use, its own worker has a queue of its own."""
        if self.queue is not None:
            return self.queue
        return f"queue-{directory.run_id}" if self.broker is not None and self.own_worker else DEFAULT_QUEUE

    def record(self, directory: RunDirectory) -> RunRecord:
        """The record of the run as it begins."""
        return RunRecord(
            firex_id=directory.run_id,
            logs_path=str(directory.path),
            chain=list(self.names),
            inputs=readable_arguments(self.arguments, self.secret),
            submission_host=socket.gethostname(),
            submission_dir=os.getcwd(),  # noqa: PTH109 - text for the record
            submission_cmd=masked_command([without_password(word) for word in self.command], self.secret),
            submit_proc_start_timestamp=self.began,
        )
