"""Kill processes by what they are called."""

import logging
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firexkit import _lazy

if TYPE_CHECKING:
    from psutil import Process

__all__ = ["kill_procs_by_name_and_cmdline"]

logger: logging.Logger = logging.getLogger(__name__)


def kill_procs_by_name_and_cmdline(proc_name: str, cmdline_regex_str: str | None = None) -> "list[Process]":
    """Kill (SIGKILL) each process of that name, and return those that were killed.

    Args:
        proc_name: exact name of the process.
        cmdline_regex_str: regular expression that the start of at least one command-line item has to match; None
            asks for the name only.

    Returns:
        The killed processes. Left alone: the calling process, what vanished meanwhile, what we may not kill.
    """
    psutil = _lazy.module("psutil")
    others = (process for process in psutil.process_iter(["name", "cmdline"]) if process.pid != os.getpid())
    wanted = (process for process in others if _is_wanted(process.info, proc_name, cmdline_regex_str))
    return [process for process in wanted if _kill(process)]


def _is_wanted(info: Mapping[str, Any], name: str, cmdline_regex: str | None) -> bool:
    if info["name"] != name:
        return False
    # psutil gives None for a command line we may not read.
    return cmdline_regex is None or any(re.match(cmdline_regex, item) for item in info["cmdline"] or ())


def _kill(process: "Process") -> bool:
    psutil = _lazy.module("psutil")
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        logger.warning("may not kill process %d (%s): it belongs to another user", process.pid, process.info["name"])
        return False
    return True
