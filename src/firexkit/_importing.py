"""Python files and modules that a user names: imported once, under the name that every process gives them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import stat
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Final

_OWN: Final = f"{Path(__file__).parent}{os.sep}"
_STANDARD: Final = tuple(f"{sysconfig.get_path(kind)}{os.sep}" for kind in ("stdlib", "platstdlib"))
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_SCRIPTS: Final = frozenset({"__main__", "__mp_main__"})
"""Names under which a file may be imported that other processes do not give it."""


class SourceError(Exception):
    """A file or module that can't be used; the text tells what, where and why.

    Args:
        what: what was asked for.
        file: where the reason lies; None when it lies in no file.
        line: the line there; None when it lies in none.
        reason: what is wrong.
    """

    def __init__(self, what: str, file: str | None, line: int | None, reason: str) -> None:
        self.what: str = what
        self.file: str | None = file
        self.line: int | None = line
        self.reason: str = reason
        super().__init__(what, file, line, reason)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (f"cannot load {self.what}", place, self.reason) if part)


def names_file(source: str | Path, directory: str | Path = ".") -> bool:
    """Whether a source is a file rather than a module's dotted name.

    Args:
        source: what the user wrote.
        directory: where a relative path begins.
    """
    text = str(source)
    has_separator = any(separator in text for separator in (os.sep, os.altsep) if separator)
    return isinstance(source, Path) or has_separator or text.endswith(".py") or os.path.isfile(Path(directory, text))  # noqa: PTH113 - false, not an error, for what can't be a path


def import_source(source: str | Path) -> ModuleType:
    """The module of a Python file or of a dotted name, imported unless it was before.

    A file in a package has its dotted name there; any other has its stem, with ``_`` for characters that no identifier
    has. The directory that the name is relative to is put in front of ``sys.path`` and stays there. So files find
    their siblings, and another process that imports the same file gets the same names.

    An import that fails leaves ``sys.path`` as it was, and no module of the user's; libraries that came in stay, since
    some can't be imported twice.

    Args:
        source: a path (with a separator, with ``.py`` at its end, or of a file that is there), or a dotted name.

    Raises:
        SourceError: it is no Python file or module, its name is taken, or it raises; the cause is kept.
    """
    what = str(source)
    own_file = str(Path(source).expanduser().absolute()) if names_file(source) else None
    with explained(what, own_file), _undone_on_failure():
        importlib.invalidate_caches()
        return _file(what, Path(source).expanduser()) if names_file(source) else _module(what)


def _module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise SourceError(name, None, None, "it is neither a Python file (.py) nor a module's dotted name")
    return importlib.import_module(name)


def _file(what: str, path: Path) -> ModuleType:
    if reason := _obstacle(path):
        raise SourceError(what, str(path.absolute()), None, reason)
    file = path.resolve()
    if (known := _imported_from(file)) is not None:
        return known
    name, directory = module_name(file)
    _refuse_taken_name(what, file, name, directory)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    if directory == file.parent:
        return _executed(name, file)
    module = importlib.import_module(name)
    if (found := _file_of(module)) != file:
        raise SourceError(what, str(file), None, f"{name} is found in {found} first; rename one of the two")
    return module


def _obstacle(path: Path) -> str | None:
    """Why a path is no Python file that can be read; None when it is one."""
    try:
        if reason := _wrong_kind(path, path.stat().st_mode):
            return reason
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"it can't be read: {getattr(error, 'strerror', None) or error}"
    return None


def _wrong_kind(path: Path, mode: int) -> str | None:
    if stat.S_ISDIR(mode):
        return "it is a directory; name the files in it, or a module by its dotted name"
    if path.suffix != ".py":
        return "it is no Python file: its name does not end in .py"
    return None if stat.S_ISREG(mode) else "it is no regular file"


def module_name(file: Path) -> tuple[str, Path]:
    """The name that a file is imported under, and the directory that the name is relative to.

    Args:
        file: a Python file, its path resolved.
    """
    parts = [] if file.name == "__init__.py" else [file.stem]
    directory = file.parent
    while directory.name and (directory / "__init__.py").is_file():
        parts.insert(0, directory.name)
        directory = directory.parent
    if directory == file.parent:
        return _identifier(file.stem), directory
    return ".".join(parts), directory


def _identifier(stem: str) -> str:
    text = "".join(char if f"_{char}".isidentifier() else "_" for char in stem)
    return text if text.isidentifier() else f"_{text}"


def _file_of(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _imported_from(file: Path) -> ModuleType | None:
    """The module that a file was imported as; None when it was not."""
    for name, module in list(sys.modules.items()):
        # Most modules differ in the last part already; to resolve them all would take a while.
        ends_alike = str(getattr(module, "__file__", None)).endswith(file.name)
        if ends_alike and name not in _SCRIPTS and _file_of(module) == file:
            return module
    return None


def _refuse_taken_name(what: str, file: Path, name: str, directory: Path) -> None:
    parts = name.split(".")
    if parts[0] in sys.stdlib_module_names:
        taken = f"{parts[0]!r} is the name of a module of Python's standard library; rename the file or its package"
        raise SourceError(what, str(file), None, taken)
    for count in range(1, len(parts) + 1):
        prefix = ".".join(parts[:count])
        known = sys.modules.get(prefix)
        expected = file if count == len(parts) else directory.joinpath(*parts[:count], "__init__.py")
        if known is not None and (other := _file_of(known)) != expected:
            place = other or next(iter(getattr(known, "__path__", ())), "elsewhere")
            taken = f"a module {prefix!r} is imported already, from {place}; rename one of the two"
            raise SourceError(what, str(file), None, taken)


def _executed(name: str, file: Path) -> ModuleType:
    """A file that is in no package, as a module; the import system would look for its stem, and where it likes."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise SourceError(name, str(file), None, "Python has no loader for it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    # As Python does: a module may put something else into its own place.
    return sys.modules[name]


# ── failure ───────────────────────────────────────────────────────────────────────────────


@contextmanager
def _undone_on_failure() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    try:
        yield
    except BaseException:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if is_users_code(str(getattr(sys.modules.get(name), "__file__", None) or "<none>")):
                sys.modules.pop(name, None)
        raise


def is_users_code(filename: str) -> bool:
    """Whether code comes from a file of the user's: not from Python, an installed package, this kit, or no file."""
    return not filename.startswith(("<", _OWN, *_STANDARD)) and not _is_installed(filename)


def _is_installed(filename: str) -> bool:
    return not filename.startswith(_OWN) and not _INSTALLED.isdisjoint(Path(filename).parts)


@contextmanager
def explained(what: str, own_file: str | None = None) -> Iterator[None]:
    """Turn whatever the user's code raises in the block into the one error that tells where.

    Args:
        what: what is being loaded.
        own_file: where the reason lies when no line of code is to blame.

    Raises:
        SourceError: the block raised something.
    """
    try:
        yield
    except SourceError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error)
        file, line = place or (own_file, None)
        raise SourceError(what, file, line, _reason(error, what, is_found=place is not None)) from error


def _reason(error: BaseException, what: str, *, is_found: bool) -> str:
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        return f"it ends the program when it is imported ({told}); put that under if __name__ == '__main__':"
    if isinstance(error, SyntaxError):
        text = (error.text or "").strip()
        return ": ".join(part for part in (type(error).__name__, error.msg, text) if part)
    if isinstance(error, ModuleNotFoundError) and not is_found:
        return f"{error.msg}{_hint(what)}"
    return told


def _hint(name: str) -> str:
    file = Path(*name.split(".")).with_suffix(".py")
    return f"; did you mean the file {file}?" if file.is_file() else "; is it installed?"


def _place(error: BaseException) -> tuple[str, int | None] | None:
    """The file and the line that raised it: the last of the user's, else the last of an installed package."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return error.filename, error.lineno
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    users = [place for place in frames if is_users_code(place[0])]
    installed = [place for place in frames if _is_installed(place[0])]
    return next(reversed(users or installed), None)
