"""``firex record``."""

from __future__ import annotations

import logging
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

from firexkit.app import FireX
from firexkit.broker_address import BrokerAddressError, with_password, without_password
from firexkit.cli.options import with_broker, with_runs_directory
from firexkit.cli.phrases import bytes_in
from firexkit.cli.refusal import Refusal, refused
from firexkit.runtime import broker
from firexkit.runtime.cluster_recording import ClusterRecorder
from firexkit.runtime.retention import Limits
from firexkit.runtime.runs import default_runs_directory


@click.command("record")
@with_broker
@click.option("--keep-days", type=click.FloatRange(min=0), metavar="N", help="Keep what ended in the last N days.")
@click.option("--keep-runs", type=click.IntRange(min=0), metavar="N", help="Keep the latest N runs.")
@click.option("--keep-size", metavar="SIZE", help="Keep the latest runs that have room in SIZE: 500M, 10G.")
@click.option(
    "--metrics",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for counters of the tasks, in the format that Prometheus reads.",
)
@with_runs_directory
def command(**options: Any) -> None:
    """Record every run of a broker until Ctrl-C, as far as nobody else records it.

    Each run gets a directory, which `firex runs`, `firex show` and the others read. Without limits, all are kept.
    """
    if not options["broker"]:
        raise Refusal("what is to be recorded? Add --broker URL")
    app = FireX("recorder")
    with refused(ValueError, BrokerAddressError):
        size = bytes_in(options["keep_size"]) if options["keep_size"] else None
        address = with_password(options["broker"], options["password_file"])
    broker.use(app, address)
    with refused(broker.BrokerError):
        broker.check(app)
    runs = options["runs_dir"] or default_runs_directory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    click.echo(f"Records the runs of {without_password(address)} in {runs}. Ctrl-C ends it.")
    woken = _woken_by_signals()
    limits = Limits(options["keep_days"], options["keep_runs"], size)
    recorder = ClusterRecorder(app.backend.client, runs, limits, options["metrics"])
    recorder.record(lambda seconds: bool(select.select([woken], [], [], seconds)[0]))


def _woken_by_signals() -> socket.socket:
    """What is readable once somebody wants this process to end."""
    ours, its = socket.socketpair()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: its.send(b"e"))
    return ours
