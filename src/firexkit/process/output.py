"""What a command prints: decoded, without secrets, its end kept, all of it passed on to a file."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from firexkit import _wire
from firexkit._serialization.redaction import known
from firexkit.process.masking import Mask, secret_values
from firexkit.process.tail import Tail
from firexkit.secret import Secret

LARGEST_TOLD: Final = 32_000
"""Characters of output that observers and errors get at most."""

Write = Callable[[str], None]


class Masks(NamedTuple):
    """What is hidden: to the caller, the secrets it named; to everybody else, the environment's and the task's, too."""

    given: Mask
    shown: Mask

    @classmethod
    def of(cls, secrets: Iterable[str | Secret[str]], variables: Mapping[str, str]) -> Masks:
        """The masks for a command.

        Args:
            secrets: those that the caller named.
            variables: those that the caller gave the command, besides ours.
        """
        given = Mask(secrets)
        found = (secret_values(each, _wire.KEPT_FROM_COMMANDS) for each in (os.environ, variables))
        return cls(given, Mask([*given.secrets, *chain.from_iterable(found), *known()]))


class Copy:
    """One copy of the text: without the secrets of its mask, its end kept."""

    def __init__(self, mask: Mask, limit: int | None, write: Write | None = None) -> None:
        self._stream = mask.stream()
        self._write = write
        self._tail = Tail(limit)

    @property
    def text(self) -> str:
        """What is kept."""
        return self._tail.text

    @property
    def is_truncated(self) -> bool:
        """Whether there was more."""
        return self._tail.is_truncated

    def feed(self, text: str) -> None:
        """Take the next piece."""
        self._pass_on(self._stream.feed(text))

    def finish(self) -> None:
        """Nothing comes any more."""
        self._pass_on(self._stream.end())

    def _pass_on(self, text: str) -> None:
        self._tail.feed(text)
        if self._write is not None and text:
            self._write(text)


class Output:
    """What a command prints on one stream.

    Args:
        masks: what is hidden.
        limit: how many characters are kept for the caller; None for all.
        file: where all of it goes.
    """

    def __init__(self, masks: Masks, limit: int | None, file: OutputFile) -> None:
        # Bytes that are no text are replaced, as nobody can decode them later.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.given: Copy = Copy(masks.given, limit, file.write if file.is_callers else None)
        told = LARGEST_TOLD if limit is None else min(limit, LARGEST_TOLD)
        self.shown: Copy = Copy(masks.shown, told, None if file.is_callers else file.write)

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._feed(self._decoder.decode(data))

    def finish(self) -> None:
        """Nothing comes any more."""
        self._feed(self._decoder.decode(b"", final=True))
        self.given.finish()
        self.shown.finish()

    def _feed(self, text: str) -> None:
        self.given.feed(text)
        self.shown.feed(text)


class Printed(NamedTuple):
    """All that a command prints: its output, and its standard error if that is kept apart."""

    output: Output
    errors: Output | None

    @classmethod
    def to(cls, file: OutputFile, masks: Masks, limit: int | None, *, separate_stderr: bool) -> Printed:
        """Nothing yet; what comes goes to this file."""
        return cls(Output(masks, limit, file), Output(masks, limit, file) if separate_stderr else None)

    @property
    def streams(self) -> list[Output]:
        """Its streams, standard output first."""
        return [output for output in self if output is not None]


class OutputFile:
    """The file that can be followed while the command runs.

    Args:
        descriptor: the open file.
        path: where it is.
        is_callers: whether the caller chose it; else it belongs to the log, which others read.
        is_temporary: whether it goes when the command has ended.
    """

    def __init__(self, descriptor: int, path: Path, *, is_callers: bool = False, is_temporary: bool = False) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._is_writable = True
        self.path: Path = path
        self.is_callers: bool = is_callers
        self.is_temporary: bool = is_temporary

    @property
    def lasting_path(self) -> Path | None:
        """Where it is later on; None if it goes."""
        return None if self.is_temporary else self.path

    def write(self, text: str) -> None:
        """Add text, for readers to see at once.

        Raises:
            OSError: it cannot be written. This is told once, so that the end of the command can still be read.
        """
        if not self._is_writable:
            return
        try:
            self._file.write(text.encode())
            self._file.flush()
        except OSError as error:
            self._is_writable = False
            message = f"cannot write the command's output to {self.path}: {error.strerror}"
            raise OSError(error.errno, message) from error

    def close(self) -> None:
        """Close it, and remove it if it is temporary."""
        with contextlib.suppress(OSError):  # what could not be written was told when it was
            self._file.close()
        if self.is_temporary:
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str] | None, beside_log: Path | None) -> Iterator[OutputFile]:
    """The caller's file, else one beside the task's log, else a temporary one; only the owner may read it.

    Raises:
        OSError: the file cannot be made.
    """
    file = _opened(path, beside_log)
    try:
        yield file
    finally:
        file.close()


def _opened(path: str | os.PathLike[str] | None, beside_log: Path | None) -> OutputFile:
    if path is not None:
        return OutputFile(_open(Path(path), os.O_TRUNC), Path(path).absolute(), is_callers=True)
    if beside_log is not None:
        return OutputFile(_open(beside_log, os.O_EXCL), beside_log)
    descriptor, name = tempfile.mkstemp(prefix="firex-command-", suffix=".txt")
    return OutputFile(descriptor, Path(name), is_temporary=True)


def _open(path: Path, how: int) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    except OSError as error:
        is_homeless = error.errno == errno.ENOENT and not path.parent.is_dir()
        advice = f"make the directory {path.parent} first" if is_homeless else str(error.strerror)
        raise OSError(error.errno, f"cannot write a command's output to {path}: {advice}") from error
