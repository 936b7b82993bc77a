"""One run as a straight line: start what it needs, send the chain, wait, tell what came of it, leave nothing behind."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Final

from firexkit._celery import termination
from firexkit._celery.hearing import Ear, Event
from firexkit._celery.patience import outages
from firexkit._celery.types import AsyncResult
from firexkit._serialization.masking import masked
from firexkit._wire import RUN_RESULTS_NAME, RUN_UNSUCCESSFUL_NAME
from firexkit.app import FireX
from firexkit.broker_address import bare, password_in
from firexkit.chain import InjectArgs
from firexkit.journal import writer
from firexkit.report import ReportError, RunReports
from firexkit.result import (
    ChainException,
    WaitLoopCallBack,
    disable_all_async_results,
    monkey_patch_async_result_to_track_instances,
    teardown_monkey_patch_async_result_to_track_instances,
    wait_for_running_tasks_from_results,
    wait_on_async_results,
)
from firexkit.revoke import revoke_tasks
from firexkit.runtime import broker, outcome, recording
from firexkit.runtime.alive import hold
from firexkit.runtime.directory import RunDirectory, RunDirectoryError, link_latest, note_logs_elsewhere, write_private
from firexkit.runtime.interrupts import Interrupts, RunStopped
from firexkit.runtime.listening import Guarded, Listener
from firexkit.runtime.outcome import Outcome
from firexkit.runtime.own_worker import OwnWorker
from firexkit.runtime.processes import adopt_orphans, remove_scratch
from firexkit.runtime.progress import ENDED, Progress
from firexkit.runtime.record import Revocation, read_record, write_record
from firexkit.runtime.submission import Submission
from firexkit.runtime.supervisor import LOST, Supervision, SupervisorGoneError
from firexkit.uid import Uid, current_user

logger: Final = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.25
"""Seconds between two looks at the results, when no event asks for one."""
LIVENESS_EVERY: Final = 60.0
"""Seconds between two checks that some worker still has the tasks that run."""
SIGNALLED: Final = 128
"""A process that a signal ends has an exit code of this and the signal's number."""
LAST_WORDS_PATIENCE: Final = 2.0
"""Seconds for the supervisor to say why it ends."""
LAST_EVENTS_PATIENCE: Final = 0.5
"""Seconds to wait for events of tasks whose results are there already."""


class Conductor:
    """Whoever submitted a run, while it goes on.

    Args:
        app: the run's app, with its tasks.
        submission: what to run.
        directory: the run's directory, just made.
        listener: hears how the run goes.
    """

    def __init__(self, app: FireX, submission: Submission, directory: RunDirectory, listener: Listener) -> None:
        self._app = app
        self._submission = submission
        self._directory = directory
        self._listener = Guarded(listener)
        self._queue = submission.queue_of(directory)
        self._arguments = {**submission.arguments, "uid": Uid(directory.run_id, str(directory.path))}
        self._record = submission.record(directory)
        self._worker = OwnWorker(app, submission, directory)
        self._progress = Progress(directory.run_id)
        self._reports = RunReports()
        self._interrupts = Interrupts(self._end_at_once, self._tell_late)
        self._supervision: Supervision | None = None
        self._ear: Ear | None = None
        self._result: AsyncResult | None = None
        self._gone: SupervisorGoneError | None = None
        self._hearing: threading.Thread | None = None
        self._news = threading.Event()

    def conduct(self) -> Outcome:
        """Run it to its end, whatever end that is; no process of it lives when this returns.

        Raises:
            RunDirectoryError: the run's directory can't be used; nothing was started.
        """
        adopt_orphans()
        if recording.is_wanted(self._app):
            writer.install()  # for this process, and those that it forks
        with self._interrupts.handled():
            self._begin_record()
            with self._logged(), _results_cut_off_in_the_end():
                ended = self._supervised()
                self._complete_record(ended)
                self._listener.ends()
        return ended

    def _begin_record(self) -> None:
        try:
            hold(self._directory)
            write_record(self._directory.record, self._record)
        except OSError as error:
            shutil.rmtree(self._directory.path, ignore_errors=True)
            raise RunDirectoryError(f"cannot write into {self._directory.path}: {error.strerror}") from error
        link_latest(self._directory)

    # ── the straight line ─────────────────────────────────────────────────────────────────

    def _supervised(self) -> Outcome:
        self._supervision = supervision = Supervision(self._worker.household(self._record_orphaned))
        try:
            return self._run(supervision)
        except SupervisorGoneError as error:
            return Outcome(returncode=1, trouble=str(error))
        except Exception as error:
            # Whatever it is, what was started must end, and the record must tell.
            logger.exception("The run can't go on")
            return Outcome(returncode=1, trouble=self._cause_of(error))
        finally:
            self._stop_listening()
            supervision.end()
            if self._hearing is not None:
                self._hearing.join(LAST_WORDS_PATIENCE)
            self._leave_broker()

    def _cause_of(self, error: Exception) -> str:
        """What a run failed of: a server that does not answer may be gone with its supervisor, which says why."""
        if isinstance(error, outages()) and self._hearing is not None:
            self._hearing.join(LAST_WORDS_PATIENCE)
        return f"{type(error).__name__}: {error}" if self._gone is None else str(self._gone)

    def _run(self, supervision: Supervision) -> Outcome:
        try:
            with self._interrupts.welcome():
                self._meet_broker(supervision)
                self._result = self._send()
                self._wait(self._result)
            ended = outcome.succeeded(self._result, self._progress)
        except RunStopped as stop:
            ended = self._stopped(stop)
        except ChainException as error:
            ended = outcome.interrupted(error, self._result, self._submission.names, self._progress)
        self._wait_for_last_events()
        self._end_leftovers()
        self._tell_report_errors(self._reports.post_run(self._app, self._directory.run_id, **self._arguments))
        return replace(ended, results=dict(masked(ended.results, self._submission.secret)))

    def _meet_broker(self, supervision: Supervision) -> None:
        _, address = supervision.hear()
        hearing = partial(self._hear_supervisor, supervision)
        self._hearing = threading.Thread(target=hearing, name="firex-supervision", daemon=True)
        self._hearing.start()
        broker.use(self._app, address)
        self._app.conf.task_default_queue = self._queue
        if self._submission.own_worker:
            broker.tell_run(self._app, self._queue, self._directory.run_id, str(self._directory.path))
        if recording.is_wanted(self._app) and (trouble := recording.want_logs(self._app, self._directory)):
            self._listener.notice(trouble)
        if self._submission.broker is None:
            write_private(self._directory.broker_url, f"{bare(address)}\n".encode())
            write_private(self._directory.broker_password, f"{password_in(address)}\n".encode())
        self._listener.begins(self._directory)
        self._ear = Ear(self._app, self._hear_event)
        if not self._ear.start():
            self._listener.notice("the broker delivers no events; tasks are not shown while they run")

    def _send(self) -> AsyncResult:
        self._tell_report_errors(self._reports.pre_run(**self._arguments))
        chain = InjectArgs(**self._arguments) | self._submission.chain
        head = chain.tasks[0] if hasattr(chain, "tasks") else chain
        head.set(task_id=self._directory.run_id)  # so that the root of all its tasks names the run
        asked = self._submission
        options = {"priority": asked.priority, "soft_time_limit": asked.soft_time_limit}
        result: AsyncResult = chain.enqueue(queue=asked.queue, **options)
        return result

    def _wait(self, result: AsyncResult) -> None:
        """Look at the results when an event asks for it, and now and then."""
        look = WaitLoopCallBack(self._rest, 0, {})
        wait_on_async_results(
            result, callbacks=[look], sleep_between_iterations=0.002, check_task_worker_frequency=LIVENESS_EVERY
        )

    def _rest(self) -> None:
        self._news.wait(LOOK_EVERY)
        self._news.clear()
        if self._gone is not None:
            raise self._gone

    # ── what is told ──────────────────────────────────────────────────────────────────────

    def _hear_supervisor(self, supervision: Supervision) -> None:
        try:
            while True:
                kind, details = supervision.hear()
                if kind == LOST:
                    self._listener.notice(details)
        except SupervisorGoneError as error:
            self._gone = error
            self._news.set()

    def _hear_event(self, event: Event) -> None:
        changed = self._progress.tell(event)
        if changed is None:
            return
        note_logs_elsewhere(self._directory, changed.worker, changed.log)
        self._listener.task_changed(changed, self._progress.depth(changed.uuid))
        if changed.state in ENDED:
            self._news.set()

    def _tell_report_errors(self, errors: list[ReportError]) -> None:
        for error in errors:
            self._listener.notice(str(error))

    def _wait_for_last_events(self) -> None:
        """Events of a task may come a moment after its result."""
        deadline = time.monotonic() + LAST_EVENTS_PATIENCE
        while self._progress.unfinished() and (left := deadline - time.monotonic()) > 0:
            self._news.wait(left)
            self._news.clear()

    # ── the end ───────────────────────────────────────────────────────────────────────────

    def _stopped(self, stop: RunStopped) -> Outcome:
        """Revoke what has not ended, and let it clean up."""
        asked = self._stop_request()
        started = time.time()
        reason = asked.get("reason") or signal.Signals(stop.number).name
        self._listener.notice(f"stopping: {reason}; Ctrl-C ends it at once")
        self._revoke_unfinished()
        revocation = Revocation(
            reason=reason,
            revoking_user=asked.get("user") or current_user(),
            revoke_start_time=started,
            task_id=self._directory.run_id,
            revoke_completed_timestamp=time.time(),
        )
        code = 1 if asked else SIGNALLED + stop.number
        return outcome.stopped(self._result, self._submission.names, revocation, code)

    def _stop_request(self) -> dict[str, str]:
        with suppress(FileNotFoundError, ValueError):
            return dict(json.loads(self._directory.stop_request.read_text(encoding="utf-8")))
        return {}

    def _revoke_unfinished(self) -> None:
        """The furthest from the root first, so that a parent meets the end of its children."""
        unfinished = self._progress.unfinished()
        by_depth = groupby(unfinished, key=lambda task: self._progress.depth(task.uuid))
        for _, tasks in by_depth:
            revoke_tasks(self._app, [task.uuid for task in tasks])
        told = {task.uuid for task in unfinished}
        members = [member for member in outcome.members_of(self._result) if member.id not in told]
        revoke_tasks(self._app, [member.id for member in members if not member.ready()])
        results = [*map(self._app.AsyncResult, told), *members]
        wait_for_running_tasks_from_results(results, max_wait=termination.PATIENCE)

    def _end_leftovers(self) -> None:
        """Tasks that the run's end leaves running on its own worker have no worker any more."""
        if not self._submission.own_worker or self._gone is not None:
            return
        left = [task for task in self._progress.unfinished() if not self._app.AsyncResult(task.uuid).ready()]
        if left:
            names = ", ".join(sorted({task.short_name for task in left}))
            self._listener.notice(f"still running at the end, so revoked: {names}")
            self._revoke_unfinished()

    def _stop_listening(self) -> None:
        if self._ear is not None:
            self._ear.stop()

    def _leave_broker(self) -> None:
        for file in (self._directory.broker_url, self._directory.broker_password):
            with suppress(OSError):  # on a disk that fails, what matters is told when the record is written
                file.unlink(missing_ok=True)
        if self._submission.broker is not None and self._submission.own_worker and self._submission.queue is None:
            with suppress(*outages()):  # a broker that is gone has nothing of ours
                broker.clear_queue(self._app, self._queue)

    def _complete_record(self, ended: Outcome) -> None:
        """Write down how it ended. What the tasks did is done, even if there is no room to say so."""
        self._record = replace(
            self._record,
            completed=True,
            completed_timestamp=time.time(),
            results={RUN_RESULTS_NAME: ended.results, RUN_UNSUCCESSFUL_NAME: ended.unsuccessful},
            revoked=ended.revocation is not None,
            revoked_details=ended.revocation,
            returncode=ended.returncode,
        )
        try:
            write_record(self._directory.record, self._record)
        except OSError as error:
            self._listener.notice(f"cannot write {self._directory.record}: {error.strerror}")

    def _record_orphaned(self) -> None:
        """In the supervisor: the submitting process is gone and can't complete the record any more."""
        if not read_record(self._directory.record).completed:
            now = time.time()
            revocation = Revocation(
                "the submitting process was killed", current_user(), now, self._directory.run_id, now
            )
            self._complete_record(Outcome(returncode=SIGNALLED + signal.SIGKILL, revocation=revocation))
        self._leave_broker()

    def _end_at_once(self) -> None:
        """What a second Ctrl-C does."""
        if self._supervision is not None:
            self._supervision.kill()
        self._leave_broker()
        self._listener.ends()
        now = time.time()
        revocation = Revocation("ended at once", current_user(), now, self._directory.run_id, now)
        self._complete_record(Outcome(returncode=SIGNALLED + signal.SIGINT, revocation=revocation))
        remove_scratch()
        os._exit(SIGNALLED + signal.SIGINT)

    def _tell_late(self) -> None:
        self._listener.notice("the run is ending; Ctrl-C ends it at once")

    # ── around it ─────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Log to a file of the run what this process has to say."""
        root = logging.getLogger()
        write_private(self._directory.submission_log, b"")
        handler = logging.FileHandler(self._directory.submission_log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("[%(asctime)s %(levelname)s %(name)s] %(message)s"))
        logging.raiseExceptions = False  # a full disk is told once, by the record that can't be written
        before = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.setLevel(before)
            root.removeHandler(handler)
            with suppress(OSError):  # what it held back does not fit on the disk any more
                handler.close()


@contextmanager
def _results_cut_off_in_the_end() -> Iterator[None]:
    """A result that is collected after the broker's end would look for it, for 20 seconds."""
    monkey_patch_async_result_to_track_instances()
    try:
        yield
    finally:
        disable_all_async_results()
        teardown_monkey_patch_async_result_to_track_instances()
