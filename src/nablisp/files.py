"""Every file of a session is opened here: turns a root folder and a name in it into an open file.

A name is a path relative to the root. It never leads out of there, not even by a link put in its
way between the check and the opening; and only regular files open.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import IO, Any, Literal

from .errors import NablispError, Span, nearest

Mode = Literal["r", "rb", "w", "wb"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link that leads nowhere"),
)


def _flags(*names: str) -> int:
    """Flags for `os.open`; those that this system lacks count for nothing."""
    return sum(getattr(os, name, 0) for name in names)


_OPEN = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY")  # NONBLOCK: no pipe can hang us
_READ = _OPEN | os.O_RDONLY
_WRITE = _OPEN | os.O_WRONLY | os.O_CREAT
_LIST = _flags("O_NOFOLLOW", "O_DIRECTORY") | os.O_RDONLY
_ENTER = _flags("O_NOFOLLOW", "O_DIRECTORY", "O_PATH")

_RELATIVE = "files are named from the session's folder on, like data/points.csv"


def open_file(root: Path | None, name: str, mode: Mode) -> IO[Any]:
    r"""The file `name` under `root`, open; the caller closes it.

    Text is UTF-8: a BOM is skipped, lines are written with `\n`. Writing makes the file or empties
    it; folders are not made. Raises NablispError of kind `file`.
    """
    top, path = _resolve(root, name)
    reads = mode.startswith("r")
    try:
        if reads or path.exists():
            _only_regular(name, path.lstat())  # to open a device may already do something
        number = _descend(top, path, _READ if reads else _WRITE)
        try:
            _only_regular(name, os.fstat(number))
            if not reads:
                os.ftruncate(number, 0)
        except BaseException:
            os.close(number)
            raise
    except OSError as error:
        raise _failed(top, path, name, error) from None
    if mode.endswith("b"):
        return os.fdopen(number, mode)
    if reads:
        return os.fdopen(number, mode, encoding="utf-8-sig")
    return os.fdopen(number, mode, encoding="utf-8", newline="\n")


def write_file(root: Path | None, name: str, data: bytes, span: Span | None) -> None:
    """Write a whole file under `root`; NablispError "file" at `span` where that cannot be."""
    try:
        with open_file(root, name, "wb") as file:
            file.write(data)
    except NablispError as error:
        raise error.at(span) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise NablispError("file", f'"{name}" cannot be written: {why}', span=span) from None


def folder_names(root: Path | None, name: str) -> list[str] | None:
    """The names of what is in the folder `name` under `root`, sorted; None where it is no folder.

    Raises NablispError of kind `file`.
    """
    top, path = _resolve(root, name)
    if not path.is_dir():
        return None
    try:
        if os.scandir not in os.supports_fd:
            return sorted(entry.name for entry in os.scandir(path))
        number = os.open(top, _LIST) if path == top else _descend(top, path, _LIST)
        try:
            return sorted(entry.name for entry in os.scandir(number))
        finally:
            os.close(number)
    except OSError as error:
        raise _failed(top, path, name, error) from None


def resolve(root: Path | None, name: str) -> Path:
    """The absolute path, free of links, that `name` means under `root`; it need not exist.

    Raises NablispError of kind `file` where there is no root, or the name leads out of it.
    """
    return _resolve(root, name)[1]


def _resolve(root: Path | None, name: str) -> tuple[Path, Path]:
    """The root and the path, both absolute and free of links."""
    if root is None:
        raise NablispError(
            "file",
            "this session may not open files",
            hint="the program that runs it gives it a folder with Session(root=…)",
        )
    parts = PureWindowsPath(name)  # knows both kinds of slashes, and drives
    if not name or "\0" in name:
        wrong = "is no name of a file"
    elif re.match(r"\w[\w+.-]+:/", name, re.ASCII):
        wrong = "is an address, and nothing is fetched"
    elif parts.drive or parts.root:
        wrong = "is an absolute path"
    elif ".." in parts.parts:
        wrong = "leads upwards by .."
    else:
        try:
            top = root.resolve(strict=True)
            path = (top / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise _failed(root, root / name, name, error) from None
        if path.is_relative_to(top):
            return top, path
        wrong = "is a link that leads out of the session's folder"
    raise NablispError("file", f'"{name}" {wrong}', hint=_RELATIVE)


def _descend(top: Path, path: Path, flags: int) -> int:
    """Open `path` folder by folder from `top` on, following no link."""
    if os.open not in os.supports_dir_fd:
        return os.open(path, flags, 0o666)
    folder = os.open(top, _ENTER)
    try:
        for part in path.relative_to(top).parts[:-1]:
            inner = os.open(part, _ENTER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(path.name, flags, 0o666, dir_fd=folder)
    finally:
        os.close(folder)


def _only_regular(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        words = (words for is_kind, words in _KINDS if is_kind(status.st_mode))
        raise NablispError("file", f'"{name}" is {next(words, "something else")}, not a file')


def _failed(top: Path, path: Path, name: str, error: Exception) -> NablispError:
    if isinstance(error, FileNotFoundError):
        return _missing(top, path)
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return NablispError("file", f'"{name}" cannot be opened: {why.lower()}')


def _missing(top: Path, path: Path) -> NablispError:
    """The first part of a path that is not there, and the nearest name beside it that is."""
    if not top.is_dir():
        return NablispError("file", f'the session\'s folder "{top}" is not there')
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    try:
        names = [entry.name for entry in islice(os.scandir(missing.parent), 10_000)]
    except OSError:
        names = []
    close = nearest(missing.name, names)
    what = "file" if missing == path else "folder"
    return NablispError(
        "file",
        f'there is no {what} "{missing.relative_to(top).as_posix()}"',
        hint=f'did you mean "{close}"?' if close else _RELATIVE,
    )
