"""Every file of a session is opened here: turns a root folder and a name in it into an open file.

A name is a path relative to the root. It never leads out of there, not even by a link put in its
way between the check and the opening; and only regular files open.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PureWindowsPath
from secrets import token_hex
from typing import IO, Any, Literal

from .errors import NablispError, Span, nearest
from .limits import Budget
from .process import patient

Mode = Literal["r", "rb"]

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
_WRITE = _OPEN | os.O_WRONLY
_NEW = _WRITE | os.O_CREAT | os.O_EXCL
_LIST = _flags("O_NOFOLLOW", "O_DIRECTORY") | os.O_RDONLY
_ENTER = _flags("O_NOFOLLOW", "O_DIRECTORY", "O_PATH")

_NO_NAME = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, ends of lines, halves of characters."""

_RELATIVE = "files are named from the session's folder on, like data/points.csv"


def open_file(root: Path | None, name: str, mode: Mode) -> IO[Any]:
    """The file `name` under `root`, open; the caller closes it. Text is UTF-8, a BOM is skipped.

    Raises NablispError of kind `file`.
    """
    top, path = _resolve(root, name)
    try:
        number = _regular(top, path, name, _READ)[0]
    except OSError as error:
        raise _failed(top, path, name, error) from None
    return os.fdopen(number, mode, encoding=None if mode == "rb" else "utf-8-sig")


@patient
def replace_file(
    root: Path | None, name: str, pieces: Iterable[Any], older: str | None = None
) -> None:
    """Put bytes in the place of the file `name` at one blow: nobody ever finds half of them.

    They are written beside, flushed to the disk and renamed; with `older` what was there keeps that
    name in the same folder. Where anything fails, what was there is there still, under one of the
    two names. Permissions stay; a name that is linked to another file is parted from it. Folders
    are not made. Raises NablispError of kind `file`.
    """
    top, path = _resolve(root, name)
    part, moved, there = f"{path.name}.{token_hex(8)}.part", False, path.exists()
    try:
        mode = _mode(top, path, name) if there else None
        with _folder(top, path.parent) as (folder, where):
            number = os.open(where(part), _NEW, 0o666, dir_fd=folder)
            try:
                try:
                    with suppress(OSError):  # where files cannot be locked, none is swept
                        _claim(number)
                    if mode is not None and hasattr(os, "fchmod"):
                        os.fchmod(number, mode)
                    for piece in pieces:
                        _write(number, memoryview(piece))
                    os.fsync(number)
                finally:
                    os.close(number)
                if older is not None and there:
                    _rename(folder, where(path.name), where(older))
                    moved = True
                _rename(folder, where(part), where(path.name))
                moved = False
            except BaseException:
                with suppress(OSError):
                    os.unlink(where(part), dir_fd=folder)  # by the folder's number
                if moved and older is not None:
                    with suppress(OSError):
                        _rename(folder, where(older), where(path.name))
                raise
            if folder is not None:
                os.fsync(folder)
    except OSError as error:
        raise _failed(top, path, name, error, "written") from None


def sweep(root: Path | None, name: str) -> None:
    """Remove what a `replace_file` of this name left behind when its process was killed.

    Who writes such a file holds a lock on it, which ends with the process.
    """
    top, path = _resolve(root, name)
    orphan = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.part")
    with suppress(OSError), _folder(top, path.parent) as (folder, where):
        for left in os.listdir(path.parent if folder is None else folder):  # noqa: PTH208
            if orphan.fullmatch(left):
                with suppress(OSError):  # of another process that is at it, too
                    number = os.open(where(left), _READ, dir_fd=folder)
                    try:
                        _claim(number)
                        os.unlink(where(left), dir_fd=folder)  # by the folder's number
                    finally:
                        os.close(number)


def read_bytes(root: Path | None, name: str, budget: Budget) -> bytes | None:
    """What is in a file, or None where there is none; NablispError "limit" where it is too much."""
    top, path = _resolve(root, name)
    if not path.exists() and path.parent.is_dir():
        return None
    with open_file(root, name, "rb") as file:
        budget.check("bytes", os.fstat(file.fileno()).st_size)
        try:
            found: bytes = file.read()
        except OSError as error:
            raise _failed(top, path, name, error, "read") from None
    return found


def write_file(root: Path | None, name: str, data: bytes, span: Span | None) -> None:
    """Write a file under `root`, all or nothing; NablispError "file" at `span`."""
    try:
        replace_file(root, name, [data])
    except NablispError as error:
        raise error.at(span) from None


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


def rooted(path: str | Path) -> tuple[Path, str]:
    """A path that a program of Python gives, as a root and a name in it."""
    whole = Path(path).absolute()
    whole = whole.resolve() if ".." in whole.parts else whole
    root, name = whole.parent.resolve(), whole.name
    if not whole.resolve().is_relative_to(root):  # a link, which Python may follow anywhere
        return Path(whole.anchor), whole.relative_to(whole.anchor).as_posix()
    return root, name


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
    if not name or _NO_NAME.search(name):
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
            path.exists()  # OSError where it is too long, or in a folder that is closed
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise _failed(root, root / name, name, error) from None
        if path.is_relative_to(top):
            return top, path
        wrong = "is a link that leads out of the session's folder"
    raise NablispError("file", f'"{name}" {wrong}', hint=_RELATIVE)


def _regular(top: Path, path: Path, name: str, flags: int) -> tuple[int, os.stat_result]:
    """A regular file that is there, opened, and its status."""
    _only_regular(name, path.lstat())  # to open a device may already do something
    number = _descend(top, path, flags)
    try:
        status = os.fstat(number)
        _only_regular(name, status)
    except BaseException:
        os.close(number)
        raise
    return number, status


def _mode(top: Path, path: Path, name: str) -> int:
    """The permissions of a file that is there, which must allow to write it."""
    number, status = _regular(top, path, name, _WRITE)
    os.close(number)
    return stat.S_IMODE(status.st_mode)


def _claim(number: int) -> None:
    """Lock a file until it is closed; BlockingIOError where another process has it.

    On Windows nobody can remove what is open, so nothing need be locked.
    """
    if os.name == "posix":
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


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


Where = Callable[[str], "str | Path"]


@contextmanager
def _folder(top: Path, path: Path) -> Iterator[tuple[int | None, Where]]:
    """A folder open, and how a name in it is said; by its whole path where none can be opened."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_DIRECTORY"):
        yield None, path.joinpath
        return
    folder = os.open(top, _LIST) if path == top else _descend(top, path, _LIST)
    try:
        yield folder, str
    finally:
        os.close(folder)


def _write(number: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(number, piece) :]


def _rename(folder: int | None, old: str | Path, new: str | Path) -> None:
    os.replace(old, new, src_dir_fd=folder, dst_dir_fd=folder)  # by its number


def _only_regular(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        words = (words for is_kind, words in _KINDS if is_kind(status.st_mode))
        raise NablispError("file", f'"{name}" is {next(words, "something else")}, not a file')


def _failed(
    top: Path, path: Path, name: str, error: Exception, done: str = "opened"
) -> NablispError:
    if isinstance(error, FileNotFoundError):
        return _missing(top, path)
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return NablispError("file", f'"{name}" cannot be {done}: {why.lower()}')


def _missing(top: Path, path: Path) -> NablispError:
    """The first part of a path that is not there, and the nearest name beside it that is."""
    if not top.is_dir():
        return NablispError("file", f'the session\'s folder "{top}" is not there')
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    names: list[str] = []
    with suppress(OSError), _folder(top, missing.parent) as (folder, _):
        entries = os.scandir(missing.parent if folder is None else folder)
        names = [entry.name for entry in islice(entries, 10_000)]
    close = nearest(missing.name, names)
    what = "file" if missing == path else "folder"
    return NablispError(
        "file",
        f'there is no {what} "{missing.relative_to(top).as_posix()}"',
        hint=f'did you mean "{close}"?' if close else _RELATIVE,
    )
