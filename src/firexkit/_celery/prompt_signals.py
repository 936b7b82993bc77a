"""Let a worker act on a signal at once: Celery's event loop looks for one when it next wakes, up to a second later."""

from __future__ import annotations

import signal
import socket
from typing import Any

from celery import signals

_ENOUGH = 4096
"""Bytes to take off the socket at a time; each signal writes one."""


def install() -> None:
    """Wake the event loop of the worker that this process becomes whenever a signal arrives."""
    signals.worker_ready.connect(_wake_by_signals, weak=False)
    signals.worker_process_init.connect(_leave_to_main_process, weak=False)


def _wake_by_signals(sender: Any = None, **_ignored: Any) -> None:
    hub = getattr(sender, "hub", None)
    if hub is None:  # a pool without an event loop
        return
    awake, wake = socket.socketpair()
    for end in (awake, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.detach(), warn_on_full_buffer=False)
    hub.add_reader(awake, awake.recv, _ENOUGH)


def _leave_to_main_process(**_ignored: Any) -> None:
    signal.set_wakeup_fd(-1)
