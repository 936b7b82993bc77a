"""The processes below this one: forked with a clean start, kept findable, and ended all."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import psutil
from billiard.util import get_temp_dir
from setproctitle import setproctitle

PR_SET_CHILD_SUBREAPER: Final = 36
"""From ``linux/prctl.h``."""
FAILED: Final = 70
"""Exit code of a forked process that an exception ended (``EX_SOFTWARE``)."""


def adopt_orphans() -> None:
    """Become the parent of every process below whose own parent dies, so that none gets lost (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def forked(main: Callable[[], int], title: str, output: Path | None = None) -> int:
    """Run a function in a fork of this process that never returns here; its process id.

    Args:
        main: what it does; returns the exit code.
        title: how ``ps`` shows it.
        output: a file for what it prints; None for where this process prints.
    """
    _flush()
    pid = os.fork()
    if pid == 0:
        _live(main, title, output)
    return pid


def _live(main: Callable[[], int], title: str, output: Path | None) -> NoReturn:
    code = FAILED
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        setproctitle(title)
        if output is not None:
            _redirect(output)
        code = main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        # What was to be done at the exit of the process that forked is not ours to do.
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # full, closed, none
            stream.flush()


def _redirect(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(descriptor, target)
    os.close(nothing)
    os.close(file)


def make_scratch() -> None:
    """Make the directory that a pool of processes keeps for itself, so that it is the same for all forks from now on.

    A process that ends by itself removes it then; one that is killed, or ends by ``os._exit``, can't.
    """
    get_temp_dir()


def remove_scratch() -> None:
    """Remove that directory, for a process that won't end by itself."""
    shutil.rmtree(get_temp_dir(), ignore_errors=True)


def leave(code: int) -> NoReturn:
    """End this process at once: what a pool wants to settle at its end needs a broker that is gone for good."""
    remove_scratch()
    _flush()
    os._exit(code)


def descendants(besides: Collection[int | None] = ()) -> list[psutil.Process]:
    """All living processes below this one, except some."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if process.pid not in besides and _lives(process)]


def reap(besides: Collection[int | None]) -> None:
    """Let go of children that have ended; somebody else waits for some."""
    for child in psutil.Process().children():
        if child.pid not in besides and not _lives(child):
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def kill_all(processes: Collection[psutil.Process], patience: float = 5.0) -> None:
    """End processes at once and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=patience)


def those_left(processes: Collection[psutil.Process], patience: float) -> list[psutil.Process]:
    """The processes that have not ended by themselves in time."""
    return list(psutil.wait_procs(processes, timeout=patience)[1])


def ended(pid: int) -> int | None:
    """How a child ended, as its exit code or minus its signal; None while it lives."""
    waited, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if waited else None


def wait_for_end(pid: int, patience: float) -> int | None:
    """Wait until a child has ended; as :func:`ended` tells it, None if it lives after so many seconds."""
    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired, ChildProcessError):
        return psutil.Process(pid).wait(patience)
    return None


def told(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
