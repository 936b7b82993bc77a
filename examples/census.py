"""The census of this Python's standard library: every ``*.py`` below it, measured in parallel.

    .venv/bin/python examples/census.py [--path DIR]

The task ``census`` finds the files and gives them to children in batches; what the children return is merged by name.
A file that does not parse gets a child of its own: that child fails and says why, nobody else does.
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import sys
import sysconfig
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from heapq import nlargest
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery

from firexkit.result import WaitLoopCallBack, get_results, wait_on_async_results
from firexkit.runtime.server import ServerError
from firexkit.task import FireXTask
from local import INTERRUPTED, WorkerError, local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from celery.canvas import Signature
    from celery.result import AsyncResult

CORES = min(os.cpu_count() or 1, 8)
TOP = 5

app = Celery("census", task_cls=FireXTask)  # CELERY_BROKER_URL and CELERY_RESULT_BACKEND say where it works


# ── the tasks ─────────────────────────────────────────────────────────────────────────────


@app.task(bind=True, returns=("files", "measures", "unparsable"))
def census(self: FireXTask, path: str, batch: int = 100) -> tuple[int, dict[str, Any], dict[str, str]]:
    """How many files there are, what they measure together, and why some do not parse."""
    files = python_files(Path(path))
    batches = self.enqueue_in_parallel(
        in_batches(self, path, files, batch), max_parallel_chains=2 * CORES, raise_exception_on_failure=True
    )
    measures = merged(get_results(child) for child in batches)

    rejected = measures["rejected"]
    alone = self.enqueue_in_parallel(measure_file.s(root=path, file=file) for file in rejected)
    unparsable = {file: reason(child.result) for file, child in zip(rejected, alone, strict=True) if child.failed()}
    measures = merged([measures, *(get_results(child) for child in alone if child.successful())])
    return len(files), measures, unparsable


def in_batches(task: FireXTask, root: str, files: list[str], size: int) -> Iterator[Signature]:
    """One child per batch. Each is asked for when there is room for it, so this tells how far the census is."""
    for start in range(0, len(files), size):
        task.update_state(state="PROGRESS", meta={"files": len(files), "handed_out": start})
        yield measure.s(root=root, files=files[start : start + size])


@app.task(returns=FireXTask.DYNAMIC_RETURN)
def measure(root: str, files: list[str]) -> dict[str, Any]:
    """The measures of a batch; files that do not parse are rejected."""
    return merged(measured_or_rejected(root, file) for file in files)


@app.task(returns=FireXTask.DYNAMIC_RETURN)
def measure_file(root: str, file: str) -> dict[str, Any]:
    """The measures of one file; fails if it does not parse."""
    return measured(root, file)


# ── merging: the same names for a file, a batch and the whole ─────────────────────────────


def largest(rankings: Iterable[list[Any]]) -> list[Any]:
    """The first few of several rankings."""
    return nlargest(TOP, chain.from_iterable(rankings))


MERGE: dict[str, Callable[[Iterable[Any]], Any]] = {
    "parsed": sum,
    "lines": sum,
    "functions": sum,
    "documented": sum,
    "longest_functions": largest,
    "largest_files": largest,
    "packages": lambda counts: dict(sum(map(Counter, counts), Counter())),
    "rejected": lambda lists: [*chain.from_iterable(lists)],
}


def merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several measures as one."""
    measures = list(parts)
    return {name: merge(measure[name] for measure in measures) for name, merge in MERGE.items()}


# ── one file ──────────────────────────────────────────────────────────────────────────────

UNPARSABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def python_files(root: Path) -> list[str]:
    """What ``find ROOT -name '*.py'`` lists, relative to ROOT: with links, and with directories of such a name."""
    entries = (Path(where, name) for where, directories, files in os.walk(root) for name in (*directories, *files))
    return sorted(str(entry.relative_to(root)) for entry in (root, *entries) if entry.name.endswith(".py"))


def measured_or_rejected(root: str, file: str) -> dict[str, Any]:
    """The measures of a file, or only its name if it does not parse."""
    try:
        return measured(root, file)
    except UNPARSABLE:
        return {**merged([]), "rejected": [file]}


def measured(root: str, file: str) -> dict[str, Any]:
    """The measures of a file; any of UNPARSABLE is raised if there is no sense in it."""
    source = read(Path(root, file))
    with in_peace():
        functions = list(functions_of(ast.parse(source, file)))
        lengths = [[node.end_lineno - node.lineno + 1, f"{node.name}  {file}:{node.lineno}"] for node in functions]
        lines = len(source.splitlines())
        return {
            "parsed": 1,
            "lines": lines,
            "functions": len(functions),
            "documented": sum(ast.get_docstring(node, clean=False) is not None for node in functions),
            "longest_functions": largest([lengths]),
            "largest_files": [[lines, file]],
            "packages": {package_of(file): lines},
            "rejected": [],
        }


def read(path: Path) -> bytes:
    """The source as it is on disk, because the parser honours its encoding."""
    if path.is_file():
        return path.read_bytes()
    raise FileNotFoundError("not a file")  # such as a directory, a dangling link, a pipe that would never end


@contextmanager
def in_peace() -> Iterator[None]:
    """No warnings about the sources, and no search for garbage among the many nodes of their trees."""
    gc.disable()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        gc.enable()


def functions_of(tree: ast.Module) -> Iterator[Any]:
    """Every ``def`` in a file. They are statements, so expressions need no look."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for block in BLOCKS:
            pending.extend(getattr(node, block, ()))


def package_of(file: str) -> str:
    """The package at the top that a file belongs to."""
    above = Path(file).parent.parts
    return "/".join(above[: 2 if above[:1] == ("site-packages",) else 1]) or "(single modules)"


def reason(error: Any) -> str:
    """Why a file does not parse, in a line."""
    where = f" (line {error.lineno})" if getattr(error, "lineno", None) else ""
    return f"{type(error).__name__}: {getattr(error, 'msg', error)}{where}"


# ── the command ───────────────────────────────────────────────────────────────────────────


def summary(files: int, measures: Mapping[str, Any], unparsable: Mapping[str, str]) -> Iterator[str]:
    """The lines that tell the results."""
    counts = {"files": files, "parsed": measures["parsed"], "unparsable": len(unparsable)}
    for name, count in {**counts, "lines": measures["lines"], "functions": measures["functions"]}.items():
        yield f"{name:<16}{count:>12,}"
    yield f"{'with docstring':<16}{measures['documented'] / max(measures['functions'], 1):>12.1%}"
    yield from ranking("longest functions", measures["longest_functions"])
    yield from ranking("largest files", measures["largest_files"])
    yield from ranking("largest packages", nlargest(TOP, ((n, name) for name, n in measures["packages"].items())))
    if unparsable:
        width = max(map(len, unparsable))
        yield from ("", "unparsable:", *(f"  {file:<{width}}  {why}" for file, why in unparsable.items()))


def ranking(title: str, entries: Iterable[Any]) -> Iterator[str]:
    """The largest few of something, in lines of code."""
    yield from ("", f"{title}:", *(f"{lines:>12,}  {what}" for lines, what in entries))


def tell_progress(result: AsyncResult) -> None:
    """How far the census is; on a terminal, each telling replaces the one before."""
    if isinstance(known := result.info, dict) and "handed_out" in known:
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"measuring: {known['handed_out']:,} of {known['files']:,} files", end=end, file=sys.stderr, flush=True)


def run(path: Path) -> dict[str, Any]:
    """The results of a census by a worker of our own."""
    # One more than there are cores: the census itself only waits.
    with local("census", Path(__file__).parent, concurrency=CORES + 1) as worker:
        result = census.s(path=str(path)).enqueue()
        progress = WaitLoopCallBack(tell_progress, 0.2 if sys.stderr.isatty() else 2, {"result": result})
        wait_on_async_results(result, callbacks=[progress, WaitLoopCallBack(worker.check, 0.5, {})])
        if sys.stderr.isatty():
            print(end="\033[K", file=sys.stderr, flush=True)  # the results come where the progress was
        return get_results(result)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the Python files below a directory.")
    parser.add_argument("--path", type=Path, default=sysconfig.get_path("stdlib"), help="where (the standard library)")
    options = parser.parse_args()
    if not options.path.is_dir():
        parser.error(f"{options.path} is not a directory")
    started = time.monotonic()
    try:
        results = run(options.path.absolute())
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ServerError, WorkerError) as error:
        sys.exit(f"census: {error}")
    sys.stdout.reconfigure(errors="backslashreplace")
    print("\n".join([f"census of {options.path}, in {time.monotonic() - started:.1f} s", *summary(**results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
