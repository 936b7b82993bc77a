"""A census of Python files: every ``*.py`` below a directory, measured in parallel.

    $ firex run census -t examples/census.py
    $ firex run census -t examples/census.py --path src

The first is about this Python's standard library, the second about a directory. At the end come a report, which stays
in the run's directory as ``census.txt``, and what the task returned.

The task ``census`` finds the files and gives them to children in batches; what the children return is merged by name.
A file that does not parse gets a child of its own: that child fails and says why, nobody else does.
"""

from __future__ import annotations

import ast
import gc
import os
import sysconfig
import warnings
from collections import Counter
from contextlib import contextmanager
from heapq import nlargest
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firexkit import FireX, FireXTask, InputConverter, SingleArgDecorator, flame, get_results
from firexkit.report import ReportGenerator, report
from firexkit.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from celery.canvas import Signature

LIBRARY = Path(sysconfig.get_path("stdlib"))
TOP = 5

app = FireX("census")


# ── what is told ──────────────────────────────────────────────────────────────────────────


def sections(results: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What a census found: titles, and below each some rows of two cells that can be printed."""
    counts = {**results, "unparsable": len(results["unparsable"])}
    documented = f"{results['documented'] / max(results['functions'], 1):.1%}"
    told = [(name, f"{counts[name]:,}") for name in ("files", "parsed", "unparsable", "lines", "functions")]
    yield "census", [*told, ("with docstring", documented)]
    for title in ("longest_functions", "largest_files", "largest_packages"):
        yield title.replace("_", " "), [(printable(what), f"{lines:,}") for lines, what in results[title]]
    if results["unparsable"]:
        yield "unparsable", [(printable(file), printable(why)) for file, why in results["unparsable"].items()]


def printable(text: str) -> str:
    """A text in one line, with escapes for what can't be printed: a file's name may have anything in it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def as_text(results: Mapping[str, Any]) -> str:
    """A census for the terminal."""
    lines = []
    for title, rows in sections(results):
        width = max((len(label) for label, _ in rows), default=0)
        lines += [f"{title}:", *(f"  {label:<{width}}  {cell:>9}" for label, cell in rows), ""]
    return "\n".join(lines)


def as_html(bag: Mapping[str, Any]) -> str | None:
    """A census for who watches the run; nothing before there are results."""
    return "".join(table(title, rows) for title, rows in sections(bag)) if "files" in bag else None


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """HTML. Whoever names a file may write into it, so no text is taken as HTML."""
    cells = (f"<tr><td>{escape(label)}</td><td>{escape(cell)}</td></tr>" for label, cell in rows)
    return f"<table><caption>{escape(title)}</caption>{''.join(cells)}</table>"


class CensusReport(ReportGenerator):
    """Prints the census when the run is over, and keeps it in the run's directory."""

    def __init__(self) -> None:
        self.text = ""

    def add_entry(self, *, value: Any, formatters: Mapping[str, Callable[[Any], str]], **_: Any) -> None:
        """Take what a task marked with ``@report(text=…)`` returned."""
        self.text += formatters["text"](value)

    def post_run_report(self, *, uid: Uid, **_: Any) -> None:
        """Write it; this happens where ``firex run`` was typed."""
        if self.text:
            Path(uid.logs_dir, "census.txt").write_text(self.text, encoding="utf-8")
            print(self.text)


# ── the tasks ─────────────────────────────────────────────────────────────────────────────


@InputConverter.register
@SingleArgDecorator("path")
def existing_directory(path: str) -> Path:
    """What is typed as ``--path``, from the root on; the run does not start if it is no directory."""
    if not Path(path).is_dir():
        raise ValueError(f"{path} is not a directory")
    return Path(path).absolute()


@report(text=as_text)
@app.task(bind=True, returns=FireXTask.DYNAMIC_RETURN)
@flame("*", as_html)
def census(self: FireXTask, path: Path = LIBRARY, batch: int = 100) -> dict[str, Any]:
    """How many Python files there are, what they measure together, and why some do not parse.

    Args:
        self: the task, which sends its children.
        path: the directory; files below it are measured.
        batch: how many files a child gets.
    """
    files = python_files(path)
    at_once = 1 + (os.cpu_count() or 1)  # one waits, so that no core does
    chains = [*in_batches(self, path, files, batch)]  # of a list, who watches sees how many there will be
    batches = self.enqueue_in_parallel(chains, at_once, raise_exception_on_failure=True)
    measures = merged(get_results(child) for child in batches)

    rejected = measures["unparsable"]
    alone = self.enqueue_in_parallel([measure_file.s(root=path, file=file) for file in rejected])
    unparsable = {file: reason(child.result) for file, child in zip(rejected, alone, strict=True) if child.failed()}
    measures = merged([measures, *(get_results(child) for child in alone if child.successful())])
    packages = largest([[[lines, name] for name, lines in measures.pop("packages").items()]])
    return {"files": len(files), **measures, "largest_packages": packages, "unparsable": unparsable}


def in_batches(task: FireXTask, root: Path, files: list[str], size: int) -> Iterator[Signature]:
    """One child per batch. Each is asked for when there is room for it, so this tells how far the census is."""
    for start in range(0, len(files), size):
        task.send_firex_html(progress=f"{start:,} of {len(files):,} files")
        yield measure.s(root=root, files=files[start : start + size])


@app.task(returns=FireXTask.DYNAMIC_RETURN)
def measure(root: Path, files: list[str]) -> dict[str, Any]:
    """The measures of a batch; files that do not parse are only named.

    Args:
        root: where the files are.
        files: their names, relative to ``root``.
    """
    return merged(measured_or_rejected(root, file) for file in files)


@app.task(returns=FireXTask.DYNAMIC_RETURN)
def measure_file(root: Path, file: str) -> dict[str, Any]:
    """The measures of one file; fails if it does not parse.

    Args:
        root: where the file is.
        file: its name, relative to ``root``.
    """
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
    "unparsable": lambda lists: [*chain.from_iterable(lists)],
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


def measured_or_rejected(root: Path, file: str) -> dict[str, Any]:
    """The measures of a file, or only its name if it does not parse."""
    try:
        return measured(root, file)
    except UNPARSABLE:
        return {**merged([]), "unparsable": [file]}


def measured(root: Path, file: str) -> dict[str, Any]:
    """The measures of a file; any of UNPARSABLE is raised if there is no sense in it."""
    source = read(root / file)
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
            "unparsable": [],
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
