"""A command's process tree: who belongs to it, how it is ended, and how it ends when its owner is killed."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from firexkit import _lazy

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from psutil import Process

logger: logging.Logger = logging.getLogger("firexkit.process")

MOST_ROUNDS: Final = 20
"""How often we look for what a tree has started while it was being stopped."""

# A pipe tells of the owner's death whatever killed it, on every POSIX system. The owner writes the id of the command,
# which is that of its session too, and "done" when there is nothing left to end. $1: a file to remove.
WATCH_OWNER: Final = r"""
processes() {
    if [ -r /proc/self/stat ]; then
        for file in /proc/[0-9]*/stat; do
            read -r line <"$file" || continue
            id=${line%% *}
            set -- ${line##*) }
            echo "$id $2 $4 $1"
        done
    else
        ps -A -o pid= -o ppid= -o pgid= -o stat=
    fi 2>/dev/null
}
while read -r line; do
    [ "$line" != done ] || exit 0
    root=$line
done
family= before=none
while [ -n "$root" ] && [ "$family" != "$before" ]; do
    before=$family
    while read -r id parent session state; do
        case "$state:$family " in Z* | X* | *" $id "*) continue ;; esac
        case "$family " in *" $parent "*) ;; *) [ "$session" = "$root" ] || continue ;; esac
        kill -STOP "$id"  # it shall start nothing while we look for the others
        family="$family $id"
    done <<END
$(processes)
END
done 2>/dev/null
[ -z "$family" ] || kill -KILL $family 2>/dev/null
[ -z "$1" ] || rm -f -- "$1"
"""


class Member(NamedTuple):
    """What tells where a process belongs."""

    parent: int
    session: int | None


def members(processes: Mapping[int, Member], sessions: Collection[int], known: Collection[int] = ()) -> set[int]:
    """The processes of some sessions and all that descend from them, whatever session these made for themselves.

    Args:
        processes: every process by its id.
        sessions: the sessions' ids.
        known: ids of further processes that belong to them: they may have lost the parent that told so.
    """
    found = {pid for pid, member in processes.items() if member.session in sessions or pid in known}
    while more := {pid for pid, member in processes.items() if member.parent in found} - found:
        found |= more
    return found


def has_company(root: int) -> bool:
    """Whether a session has other processes than the one that made it; cheaper than looking at each process."""
    return any(pid != root and _session_of(pid) == root for pid in _lazy.module("psutil").pids())


class Family:
    """The processes of a command, as far as they live: its session, and all that descends from it.

    Whoever was seen once stays known, and so does the session it is in: it can lose the parent that told of it.

    Args:
        root: the id of the command and of its session.
    """

    def __init__(self, root: int) -> None:
        self._sessions = {root}
        self._known: set[Process] = set()

    @property
    def living(self) -> list[Process]:
        """Those who were seen and have not ended; who only waits for its parent to note its end has ended."""
        return [process for process in self._known if _lives(process)]

    def look(self) -> list[Process]:
        """Find those who live now; the ones who were not seen before."""
        every = {process.pid: process for process in _lazy.module("psutil").process_iter() if _lives(process)}
        table = {pid: Member(_parent_of(process), _session_of(pid)) for pid, process in every.items()}
        found = members(table, self._sessions, {process.pid for process in self.living})
        new = [every[pid] for pid in found if every[pid] not in self._known]
        self._known.update(new)
        # Nobody can enter a session that is there, so each that a member is in was made by one.
        self._sessions.update(session for pid in found if (session := table[pid].session) is not None)
        return new

    def ask_to_end(self) -> list[Process]:
        """Send SIGTERM to all; those who got it."""
        self.look()
        asked = self.living
        _send(asked, signal.SIGTERM)
        return asked

    def kill(self) -> None:
        """Kill all, and what they have started by then."""
        # One that is stopped starts nothing more; if one were killed first, its parent could start another meanwhile.
        _send(self.living, signal.SIGSTOP)
        for _ in range(MOST_ROUNDS):
            if not (new := self.look()):
                break
            _send(new, signal.SIGSTOP)
        _send(self.living, signal.SIGKILL)


def _send(to: Iterable[Process], number: signal.Signals) -> None:
    psutil = _lazy.module("psutil")
    for process in to:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            logger.warning("may not end process %d of a command: it belongs to another user", process.pid)


def _lives(process: Process) -> bool:
    psutil = _lazy.module("psutil")
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _parent_of(process: Process) -> int:
    try:
        return process.ppid()
    except _lazy.module("psutil").NoSuchProcess:
        return 0


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


class Watcher:
    """Kills a command's tree when the process that owns the command dies, by whatever signal.

    Args:
        temporary: a file that is to go in that case.
    """

    def __init__(self, temporary: Path | None = None) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", WATCH_OWNER, "firexkit-command-watcher", temporary or ""],
            bufsize=0,
            stdin=subprocess.PIPE,  # its writing end is closed in every other process that is started here
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )

    def watch(self, root: int) -> None:
        """From now on this session is to be killed."""
        self._tell(f"{root}\n")

    def release(self) -> None:
        """There is nothing left to kill."""
        self._tell("done\n")

    def _tell(self, line: str) -> None:
        # Who killed the watcher (a cleaner of processes, say) has not ended the command.
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Unless it was released it kills now.
        self._process.__exit__(kind, error, trace)
