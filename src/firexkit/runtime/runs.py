"""The runs that are kept: where, which, and the one that somebody means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from firexkit import _wire
from firexkit.runtime.directory import LATEST, RunDirectory, RunDirectoryError
from firexkit.uid import is_run_id


def default_runs_directory() -> Path:
    """Where runs are kept: ``runs`` in ``FIREX_HOME``, else in the user's state directory."""
    home = os.environ.get(_wire.HOME_VARIABLE)
    if not home:
        return platformdirs.user_state_path("firex") / "runs"
    return Path(os.path.expanduser(home), "runs")  # noqa: PTH111 - pathlib's fails for an unknown user


def runs_in(runs: Path) -> Iterator[RunDirectory]:
    """The runs kept in a directory, the latest first."""
    if runs.is_dir():
        found = (path for path in runs.iterdir() if is_run_id(path.name) and not path.is_symlink())
        yield from map(RunDirectory, sorted(found, key=_submitted, reverse=True))


def _submitted(path: Path) -> tuple[str, float]:
    return path.name.rsplit("-", 3)[1] + path.name.rsplit("-", 3)[2], path.stat().st_mtime


def find_run(runs: Path, name: str) -> RunDirectory:
    """The run that somebody means.

    Args:
        runs: the directory of all runs.
        name: a run's id or its beginning, ``latest``, or a path of a run directory.

    Raises:
        RunDirectoryError: there is no such run, or more than one.
    """
    path = Path(name)
    if path.name != name and (path / "run.json").exists():
        return RunDirectory(path.resolve())
    if name == LATEST and (runs / LATEST).exists():
        return RunDirectory((runs / LATEST).resolve())
    known = list(runs_in(runs))
    exact = [run for run in known if run.run_id == name]
    found = exact or [run for run in known if name and run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {run.run_id}" for run in found)
        raise RunDirectoryError(f"{len(found)} runs begin with {name}; write more of it:{listed}")
    raise RunDirectoryError(f"no run {name!r} in {runs}; `firex ps --all` lists those there are")
