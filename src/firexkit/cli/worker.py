"""``firex worker``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import click

from firexkit._importing import SourceError
from firexkit.app import FireX
from firexkit.broker_address import BrokerAddressError, with_password, without_password
from firexkit.cli.options import listed, with_broker, with_tasks, with_worker
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime import broker
from firexkit.runtime.alive import is_alive
from firexkit.runtime.directory import RunDirectory
from firexkit.runtime.preparation import Sources, loaded_app
from firexkit.runtime.processes import leave
from firexkit.runtime.runs import default_runs_directory
from firexkit.runtime.shipping import shipped_logs
from firexkit.runtime.worker import (
    DEFAULT_QUEUE,
    WorkerSettings,
    default_concurrency,
    full_name,
    leave_after_run,
    serve,
    worker_log_in,
)

RETRIES_AFTER_A_RUN = 2
"""Tries to find a run's own server again, seconds apart, before the worker ends."""


@click.command("worker")
@with_tasks
@with_broker
@click.option(
    "--queue",
    default=DEFAULT_QUEUE,
    show_default=True,
    help="What to work on; a run on a broker of yours has the queue queue-RUN_ID.",
)
@click.option("--name", help="The worker's name, before its host.  [default: a random one]")
@with_worker
@click.option(
    "--logs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to log.  [default: the run's directory when it can be reached from here, else workers beside the runs]",
)
def command(**options: Any) -> None:
    r"""Work for runs on a broker until Ctrl-C: a Celery worker with the kit's defaults.

    A run with a private server is joined by what it keeps in its directory while it goes on:

    \b
    D=$(readlink -f RUN)/firex_internal
    firex worker --broker "$(cat $D/broker-url)" --password-file $D/broker-password -t FILE
    """
    if not options["broker"]:
        raise Refusal("a worker needs a broker: add --broker URL")
    with refused(SourceError, ValueError, LookupError, BrokerAddressError):
        app = loaded_app(Sources(options["tasks"], listed(options["plugins"])))
        address = with_password(options["broker"], options["password_file"])
    broker.use(app, address)
    with refused(broker.BrokerError):
        broker.check(app)
    settings = _settings(app, options)
    click.echo(f"{settings.name} works on {without_password(address)}, queue {settings.queues[0]}. Ctrl-C ends it.")
    click.echo(f"Logs: {settings.log}")
    console = sys.stdout  # Celery lets the worker's log have what is printed from now on

    def leave_in_peace() -> None:
        print("the run is over", file=console, flush=True)
        leave(0)

    if settings.directory:
        leave_after_run(app, settings.directory, leave_in_peace)
    with shipped_logs(app):
        code = serve(app, settings, lambda: print("ready", file=console, flush=True))
    if code and settings.directory and not is_alive(settings.directory):
        leave_in_peace()
    raise SystemExit(code)


def _settings(app: FireX, options: dict[str, Any]) -> WorkerSettings:
    name = full_name(options["name"] or f"w{secrets.token_hex(3)}")
    run = _reachable_run(app, options["queue"])
    logs = options["logs_dir"] or (run.worker_logs if run else default_runs_directory().parent / "workers")
    return WorkerSettings(
        log=worker_log_in(logs.absolute(), name),
        name=name,
        queues=(options["queue"],),
        concurrency=options["concurrency"] or default_concurrency(),
        soft_time_limit=options["soft_time_limit"],
        loglevel=options["loglevel"],
        directory=run,
    )


def _reachable_run(app: FireX, queue: str) -> RunDirectory | None:
    """The run that the queue belongs to, if its directory is seen from this machine."""
    told = broker.told_run(app, queue)
    if told is None:
        return None
    app.conf.broker_connection_max_retries = RETRIES_AFTER_A_RUN  # its server does not come back
    run_id, logs_dir = told
    directory = RunDirectory(Path(logs_dir))
    return directory if directory.run_id == run_id and directory.record.exists() else None
