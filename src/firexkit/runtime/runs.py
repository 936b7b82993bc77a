"""The runs that are kept: where, which, and the one that somebody means."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import platformdirs

from firexkit import _wire
from firexkit.runtime.directory import LATEST, RunDirectory, RunDirectoryError
from firexkit.uid import TIME, is_run_id

CLOSE: Final = 0.75
"""How much of a name has to be right for another one to be offered."""
COUNTED: Final = re.compile(r"-[1-9]\d*")
"""-2 is the second latest run."""


def default_runs_directory() -> Path:
    """Where runs are kept: ``runs`` in ``FIREX_HOME``, else in the user's state directory."""
    home = os.environ.get(_wire.HOME_VARIABLE)
    if not home:
        return platformdirs.user_state_path("firex") / "runs"
    return Path(os.path.expanduser(home), "runs")  # noqa: PTH111 - pathlib's fails for an unknown user


def runs_in(runs: Path) -> Iterator[RunDirectory]:
    """The runs kept in a directory, the latest first."""
    if runs.is_dir():
        found = (path for path in runs.iterdir() if _is_run(path) and not path.is_symlink())
        yield from map(RunDirectory, sorted(found, key=_submitted, reverse=True))


def _is_run(path: Path) -> bool:
    # A root task that was not sent by `firex run` has an id of another form.
    return is_run_id(path.name) or (not path.name.startswith(".") and (path / "run.json").is_file())


def _submitted(path: Path) -> tuple[str, float]:
    touched = path.stat().st_mtime
    if not is_run_id(path.name):
        return time.strftime(TIME.replace("-", ""), time.gmtime(touched)), touched
    return path.name.rsplit("-", 3)[1] + path.name.rsplit("-", 3)[2], touched


def find_run(runs: Path, name: str) -> RunDirectory:
    """The run that somebody means.

    Args:
        runs: the directory of all runs.
        name: a run's id or its beginning, ``latest``, ``-2`` for the second latest and so on, or a path of a run
            directory.

    Raises:
        RunDirectoryError: there is no such run, or more than one.
    """
    path = Path(name)
    if path.name != name and (path / "run.json").exists():
        return RunDirectory(path.resolve())
    if name == LATEST and (runs / LATEST).exists():
        return RunDirectory((runs / LATEST).resolve())
    known = list(runs_in(runs))
    if COUNTED.fullmatch(name) or (name == LATEST and known):
        return _counted(known, 1 if name == LATEST else -int(name), runs)
    exact = [run for run in known if run.run_id == name]
    found = exact or [run for run in known if name and run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {run.run_id}" for run in found)
        raise RunDirectoryError(f"{len(found)} runs begin with {name}; write more of it:{listed}")
    raise RunDirectoryError(f"no run {name!r} in {runs}; {_meant(name, [run.run_id for run in known])}")


def _counted(known: Sequence[RunDirectory], number: int, runs: Path) -> RunDirectory:
    if number <= len(known):
        return known[number - 1]
    raise RunDirectoryError(f"there is no run -{number}: {runs} has {len(known) or 'none'}; `firex runs` lists them")


def _meant(name: str, known: Sequence[str]) -> str:
    """What to do about a name that no run has."""
    # People write the beginning of an id, so beginnings are compared; the latest runs stand first.
    beginnings = dict(zip((run_id[: len(name)] for run_id in reversed(known)), reversed(known), strict=True))
    close = [beginnings[one] for one in get_close_matches(name, beginnings, cutoff=CLOSE)]
    return f"did you mean {' or '.join(close)}?" if close else "`firex runs` lists those there are"
