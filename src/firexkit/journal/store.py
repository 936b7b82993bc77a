"""A journal as a file: the facts of one run in SQLite, with an index of their words.

One process writes (it holds a lock beside the file), any number read meanwhile. Facts are kept as they were written,
so a newer release can read more of them than the one that recorded them. What is written twice is there once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from firexkit.journal.model import (
    AnyFact,
    Began,
    Entry,
    Failed,
    Queued,
    Returned,
    Revoked,
    Unknown,
    decoded,
    encoded_text,
)
from firexkit.journal.places import lock_of

_MIGRATIONS: Final = (
    """
    CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE fact (number INTEGER PRIMARY KEY, entry TEXT NOT NULL UNIQUE, task TEXT NOT NULL, raw BLOB NOT NULL);
    CREATE INDEX facts_of_task ON fact (task);
    CREATE TABLE value (digest TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize='unicode61');
    """,
)
"""Each makes a file of the version before one of the next; `user_version` counts those that were made."""
VERSION: Final = len(_MIGRATIONS)
_BUSY: Final = 10.0
"""Seconds that another process may keep the file to itself."""
_LOOKS: Final = 0.05
"""Seconds between two tries."""
_POSITION: Final = "position"
_HEADER: Final = 100
"""Bytes."""


class JournalError(RuntimeError):
    """A journal can't be read or written; the text says which, why, and what can be done."""


class Recorded(NamedTuple):
    """A fact in the journal.

    Attributes:
        number: its place there; later ones have higher numbers.
        fact: the fact.
    """

    number: int
    fact: AnyFact | Unknown


class Journal:
    """The facts of one run.

    Args:
        path: the file.
        writes: make it if it is not there, and be the one who writes.

    Attributes:
        path: the file.
        damage: what could not be read, as sentences; filled while it is read.

    Raises:
        JournalError: it is not there, is none, was written by a newer release, or another process writes it.
    """

    def __init__(self, path: Path, *, writes: bool = False) -> None:
        self.path: Path = path
        self.damage: list[str] = []
        self._scratch: TemporaryDirectory[str] | None = None
        self._lock = _locked(path) if writes else None
        try:
            self._db = self._opened(writes=writes)
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _opened(self, *, writes: bool) -> sqlite3.Connection:
        if not writes and not self.path.exists():
            raise JournalError(f"There is no journal at {self.path}.")
        with self._telling("open"):
            path = self.path if writes else self._mended()
            uri = f"{path.absolute().as_uri()}?mode={'rwc' if writes else 'ro'}"
            db = sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            with self._telling("open"):
                self._prepare(db, writes=writes)
        except BaseException:
            db.close()
            raise
        return db

    def _mended(self) -> Path:
        """The file, or where it was cut off a copy that SQLite reads as far as it goes."""
        try:
            with self.path.open("rb") as file:
                header = file.read(_HEADER)
        except OSError as error:
            raise JournalError(f"Can't open the journal {self.path}: {error}.") from error
        there, due = self.path.stat().st_size, _size_in(header)
        # As long as it is written, what the header counts may still be beside it.
        if there >= due or self.path.with_name(f"{self.path.name}-wal").exists():
            return self.path
        self.damage.append(f"the file was cut off after {there:,} of {due:,} bytes")
        self._scratch = TemporaryDirectory(prefix="firex-journal-")
        copy = Path(shutil.copy(self.path, self._scratch.name))
        os.truncate(copy, due)
        return copy

    def _prepare(self, db: sqlite3.Connection, *, writes: bool) -> None:
        ((version,),) = db.execute("PRAGMA user_version")
        if version > VERSION:
            raise JournalError(
                f"{self.path} was written by a newer release (version {version}; this one reads up to {VERSION}). "
                "Upgrade firexkit to read it."
            )
        if not writes:
            return
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        for number, migration in enumerate(_MIGRATIONS[version:], start=version + 1):
            db.executescript(f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;")

    # ── writing ───────────────────────────────────────────────────────────────────────────

    def append(self, entries: Iterable[tuple[str, bytes]], values: Iterable[tuple[str, bytes]] = ()) -> int:
        """Keep facts, all or none of them; those that are there already stay as they are.

        Args:
            entries: facts as they were written, each with the id that its stream gave it.
            values: whole values with their digests.

        Returns:
            How many were new.

        Raises:
            JournalError: they can't be written: the disk is full, say.
        """
        with self._telling("write"), self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO value VALUES (?, ?)", values)
            return sum([self._insert(entry, raw) for entry, raw in entries])

    def _insert(self, entry: str, raw: bytes) -> int:
        task, text = _indexed(raw)
        added = self._db.execute("INSERT OR IGNORE INTO fact (entry, task, raw) VALUES (?, ?, ?)", (entry, task, raw))
        if not added.rowcount:
            return 0
        if text:
            self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (added.lastrowid, text))
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_POSITION, entry))
        return 1

    def seal(self) -> None:
        """Make it one file that can be copied, and read where nothing can be written. Nothing more is appended."""
        with self._telling("write"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _patiently(lambda: self._db.execute("PRAGMA journal_mode = DELETE"))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ── reading ───────────────────────────────────────────────────────────────────────────

    @property
    def position(self) -> str:
        """The id of the entry that was appended last; empty when there is none."""
        return self.about(_POSITION)

    def about(self, name: str) -> str:
        """Something about the run itself; empty when nothing was noted."""
        with self._telling("read"):
            row = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def facts(self, after: int = 0) -> Iterator[Recorded]:
        """All facts, or those after a number, as far as they can be read; ``damage`` says what can't."""
        return self._recorded("WHERE number > ? ORDER BY number", after)

    def facts_of(self, task: str) -> Iterator[Recorded]:
        """The facts of one task, found by an index; as far as they can be read."""
        if self._scratch is not None:  # what was cut off may be a part of the index
            return (one for one in self.facts() if not isinstance(one.fact, Unknown) and one.fact.task == task)
        return self._recorded("WHERE task = ? ORDER BY number", task)

    def _recorded(self, where: str, asked: str | int | bytes) -> Iterator[Recorded]:
        try:
            with closing(self._db.execute(f"SELECT number, raw FROM fact {where}", (asked,))) as rows:
                for number, raw in rows:
                    try:
                        yield Recorded(number, decoded(raw or b""))  # NULL where a file was cut off
                    except ValueError as error:
                        self._note(f"fact {number}: {error}")
        except sqlite3.DatabaseError as error:
            self._note(f"what follows can't be read: {error}")

    def _note(self, damage: str) -> None:
        if damage not in self.damage:
            self.damage.append(damage)

    def ids_beginning(self, start: str) -> list[str]:
        """The ids of the tasks that begin so, in their order; all of them for an empty text."""
        query = "SELECT DISTINCT task FROM fact WHERE task >= ? AND task < ? ORDER BY task"
        try:
            return [task for (task,) in self._db.execute(query, (start, f"{start}\U0010ffff")) if task]
        except sqlite3.DatabaseError as error:
            self._note(f"its index of tasks can't be read: {error}")
            known = {fact.task for _, fact in self.facts() if not isinstance(fact, Unknown)}
            return sorted(task for task in known if task.startswith(start))

    def kin_of(self, task: str) -> Iterator[Recorded]:
        """What tells whose children there are: facts of those that a task enqueued, and of all that follow others.

        No index has them: to look for what our encoder writes takes milliseconds, to decode everything would not.
        """
        said = b'"parent":' + encoded_text(task)
        return self._recorded("WHERE instr(raw, ?) OR instr(raw, CAST('\"after\":' AS BLOB)) ORDER BY number", said)

    def value(self, digest: str) -> bytes | None:
        """A whole value; None when it was too large to be kept."""
        with self._telling("read"):
            row = self._db.execute("SELECT data FROM value WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None

    def find(self, words: Sequence[str]) -> list[str]:
        """The tasks in whose names, arguments, results and errors all of some words stand, the first told first.

        Args:
            words: each stands as it is, or as the beginning of a longer one; one may stand in a task's name, another
                in its error.
        """
        try:
            found = [dict.fromkeys(self._with(word)) for word in words if word]
        except JournalError as error:
            self._note(f"{error} All facts were looked through instead")
            found = [dict.fromkeys(_with_word(self.facts(), word)) for word in words if word]
        return [task for task in found[0] if all(task in one for one in found)] if found else []

    def _with(self, word: str) -> Iterator[str]:
        asked = f'"{word.replace(chr(34), chr(34) * 2)}"*'
        query = "SELECT task FROM fact WHERE number IN (SELECT rowid FROM words WHERE words MATCH ?) ORDER BY number"
        with self._telling("search"):
            yield from (task for (task,) in self._db.execute(query, (asked,)))

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"Can't {what} the journal {self.path}: {error}.") from error


def _patiently(act: Callable[[], object]) -> None:
    """Do what SQLite refuses at once as long as somebody else reads."""
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_LOOKS)


def _size_in(header: bytes) -> int:
    """The bytes of a whole file, as its header tells (sqlite.org/fileformat2.html); 0 when that is none."""
    if len(header) < _HEADER or not header.startswith(b"SQLite format 3\0"):
        return 0
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return (65536 if page == 1 else page) * pages


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"Can't write the journal {path}: {error}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"Another recorder writes the journal {path}; end that one first.") from error
    return descriptor


def _indexed(raw: bytes) -> tuple[str, str]:
    """The task that a fact is about, and the words by which people look for it."""
    try:
        fact = decoded(raw)
    except ValueError:
        return "", ""
    if isinstance(fact, Unknown):
        return "", ""
    return fact.task, _text_of(fact)


def _with_word(facts: Iterable[Recorded], word: str) -> Iterator[str]:
    for _, fact in facts:
        if not isinstance(fact, Unknown) and word.casefold() in _text_of(fact).casefold():
            yield fact.task


def _text_of(fact: AnyFact) -> str:
    return " ".join(filter(None, _words(fact)))


def _words(fact: AnyFact) -> Iterator[Any]:
    if isinstance(fact, (Queued, Began)):
        yield fact.name
    if isinstance(fact, Began):
        yield from _words_of((*fact.arguments, *fact.passing))
    if isinstance(fact, Returned):
        yield from _words_of(fact.results)
    if isinstance(fact, Failed):
        yield from (fact.error, fact.message)
    if isinstance(fact, Revoked):
        yield fact.reason


def _words_of(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        yield from (entry.name, entry.value.preview)
