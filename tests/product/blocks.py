"""Do what a page says, block by block, as a reader would.

- A block with ``title="NAME"`` is a file: it is written.
- A ``sh`` block is typed into one bash that lives as long as the page, so what is exported stays, and so does what was
  started in the background. Its last command must succeed.
- A ``text`` block right below shows what the commands print, errors included. ``…`` stands for any text, alone in its
  line for any lines. Ids and times may differ.
- The reader is ada, at home in ``/home/ada`` on a machine called ``laptop``.
- Any other block needs a comment above that says why it is not done: ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Self

PATIENCE = 120.0
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n\n?)?"
    r"(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
ANYTHING = "…"
VARYING = (
    (r"FireX-[\w.]+-\d{6}-\d{6}-[0-9a-f]{32}", "RUN"),
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"\d\d:\d\d:\d\d(?:,\d+)?", "TIME"),
    (r"\b\d+(?:\.\d+)? s\b", "SECONDS"),
    (r"(?<=\S) {2,}", "  "),
)
MARK = "FIREXKIT_PAGE"


# ── what a page holds ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: the page.
        line: where its text begins.
        language: what stands behind the fence.
        title: the file that it is, or nothing.
        text: what is in it.
        reason: why it is not done; None if it is.
        follows: whether nothing but blank lines stands between it and the block above.
    """

    page: str
    line: int
    language: str
    title: str | None
    text: str
    reason: str | None
    follows: bool

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text, end, found = page.read_text(), 0, []
    for match in FENCE.finditer(text):
        found.append(
            Block(
                page=page.name,
                line=text.count("\n", 0, match.start("text")) + 1,
                language=match["language"],
                title=match["title"],
                text=re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
                reason=match["reason"],
                follows=bool(found) and not text[end : match.start()].strip(),
            )
        )
        end = match.end()
    return found


def steps_of(page: Path) -> Iterator[tuple[Block, str | None]]:
    """What a reader does, in order, and what is printed then, where the page shows it."""
    blocks = [block for block in blocks_of(page) if block.reason is None]
    for number, block in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        if block.title is None and block.language == "text":
            is_output = block.follows and number > 0 and blocks[number - 1].language == "sh"
            assert is_output, f"{block.place}: text that no command above it prints"
            continue
        assert block.title or block.language == "sh", f"{block.place}: neither a file nor commands, and not told why"
        is_told = following is not None and following.follows and following.language == "text" and not following.title
        yield block, following.text if block.language == "sh" and is_told and following else None


# ── doing it ─────────────────────────────────────────────────────────────────────────────


def follow(page: Path, home: Path, *, below: str = ".", instead: Mapping[str, str] | None = None) -> None:
    """Do all that a page says; fails where something else comes out than the page shows.

    Args:
        page: the Markdown file.
        home: an empty directory, for the reader's home.
        below: where in it the reader is.
        instead: what to take instead of texts of the page: addresses that only the page has.
    """
    home = home.resolve()
    real = {"/home/ada": str(home), "laptop": socket.gethostname(), **(instead or {})}
    steps = list(steps_of(page))
    with Shell(home, home / below) as shell:
        for block, shown in steps:
            if block.title is not None:
                _write(home / below / block.title, block.text)
                continue
            code, printed = shell.type(replaced(block.text, real), block.place)
            assert code == 0, f"{block.place}: exit code {code} of\n{block.text}\n{printed}"
            if shown is not None:
                expected = replaced(shown, real)
                assert matches(expected, printed), (
                    f"{block.place} prints something else:\n{difference(expected, printed)}"
                )


def replaced(text: str, real: Mapping[str, str]) -> str:
    """A text of the page with what is real here."""
    for written, meant in real.items():
        text = text.replace(written, meant)
    return text


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Shell:
    """A bash in a directory, with the commands of this environment. Whatever it started is ended with it."""

    def __init__(self, home: Path, directory: Path) -> None:
        self._mark = uuid4().hex
        self._directory = directory
        self._files = tempfile.TemporaryDirectory(prefix="page-")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "FIREX", "XDG_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        usual = {"HOME": str(home), "PATH": path, "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
        # Without SPT_NOENV a process that gives itself a title loses what psutil reads of its environment.
        self._env = {**ours, **usual, "SPT_NOENV": "1", MARK: self._mark}
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self._done, told = os.pipe()
        self._told = told
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
            env=self._env,
            pass_fds=[told],
            start_new_session=True,
        )
        return self

    def type(self, commands: str, place: str) -> tuple[int, str]:
        """The exit code of the last command, and all that was printed."""
        script, output = Path(self._files.name, "block"), Path(self._files.name, "printed")
        script.write_text(commands)
        # A file, not a pipe: what goes on in the background may keep it open.
        output.unlink(missing_ok=True)
        line = f". {shlex.quote(str(script))} > {shlex.quote(str(output))} 2>&1 < /dev/null; echo $? >&{self._told}\n"
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        ready, _, _ = select.select([self._done], [], [], PATIENCE)
        assert ready, f"{place} has not ended after {PATIENCE:g} s; so far it printed\n{output.read_text()}"
        return int(os.read(self._done, 16)), output.read_text()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        left = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=PATIENCE)
        os.close(self._done)
        os.close(self._told)
        self._files.cleanup()

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self._mark
        except psutil.Error:
            return False


# ── comparing ────────────────────────────────────────────────────────────────────────────


def matches(shown: str, printed: str) -> bool:
    """Whether something that was printed is what a page shows, but for what varies."""
    wanted, got = _lines(shown), _lines(printed)
    if not any(ANYTHING in line for line in wanted):
        return _in_any_order(wanted) == _in_any_order(got)
    return re.fullmatch("".join(map(_pattern, wanted)), "".join(f"{line}\n" for line in got)) is not None


def difference(shown: str, printed: str) -> str:
    """What a reader of a failed test wants to see, with the text as it was printed below."""
    lines = difflib.unified_diff(_lines(shown), _lines(printed), "shown", "printed", lineterm="")
    return "\n".join([*lines, "", "printed:", printed])


def _lines(text: str) -> Sequence[str]:
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _is_event(line: str) -> bool:
    return line.startswith("TIME ")


def _in_any_order(lines: Iterable[str]) -> list[str]:
    """Lines about tasks by their text: the next task of a chain may start before the end of the one before is told."""
    groups = itertools.groupby(lines, _is_event)
    return [line for are_events, group in groups for line in (sorted(group) if are_events else group)]


def _pattern(line: str) -> str:
    if line.strip() == ANYTHING:
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.split(ANYTHING))) + r"\n"
