"""What the commands share: exit statuses, the texts of script files, words for wrong use."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from .errors import NablispError, Source, Span, visible
from .process import patient

FINE, MISTAKE, WRONG_USE, DIVERGED = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """Arguments of a command; what it says of them is safe on a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message, ""))


def say(text: str, end: str = "\n") -> None:
    """Text to standard output; on a terminal with its control characters escaped."""
    print(visible(text) if sys.stdout.isatty() else text, end=end, flush=True)


def note(line: str) -> None:
    """A remark, to standard error."""
    print(f"note: {visible(line)}", file=sys.stderr)


def wrong_use(message: str) -> int:
    """Say what is wrong with the command itself; its status."""
    print(f"error: {visible(message, '')}", file=sys.stderr)
    return WRONG_USE


def os_words(error: OSError) -> str:
    """What the system says went wrong."""
    return (error.strerror or str(error)).lower()


def decoded(data: bytes, name: str) -> str:
    """The text of a script; NablispError "file" where its bytes are no UTF-8."""
    try:
        return data.decode("utf-8", "surrogatepass" if name == "<text>" else "strict")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        source = Source(name, before + data[error.start :].decode(errors="replace"))
        raise NablispError(
            "file",
            f"byte {error.start} is not UTF-8 text",
            hint="save it as UTF-8",
            span=Span(source, len(before), len(before) + 1),
        ) from None


def script_files(names: Iterable[str]) -> Iterator[Path]:
    """The files named, and of folders the `.gd` files in them, however deep, in order.

    What a point hides is left out: a project's .venv holds scripts of others.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            for found in sorted(path.rglob("*.gd")):
                hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
                if not hidden and found.is_file():
                    yield found
        else:
            yield path


def script_bytes(path: Path) -> bytes:
    """What a script file holds; - is standard input. OSError where it cannot be read."""
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


@patient
def replace_file(path: Path, data: bytes) -> None:
    """Give a file other content, whole or not at all; its permissions stay, a link leads on.

    OSError where it, or its folder, may not be written.
    """
    path = path.resolve()
    known = path.exists()
    if known and not path.is_file():  # a device
        path.write_bytes(data)
        return
    if known:
        path.open("r+b").close()
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
        if known:
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
