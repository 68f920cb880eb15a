"""`nablisp resume FILE…`: turns a script, or its checkpoint, into the script run with --resume.

A checkpoint names its script, and only one that lies beside it is run: a stranger's file leads
nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from .checkpoint import kept
from .cli import main as run
from .commands import os_words, wrong_use
from .errors import NablispError
from .tensors import is_ours


def main(arguments: list[str]) -> int:
    """Run the scripts with the options given; returns the exit status."""
    if not arguments:
        return wrong_use("resume takes a script, or a checkpoint beside its script")
    try:
        return run(["--resume", *map(script_of, arguments)])
    except NablispError as error:
        return wrong_use(error.message)


def script_of(argument: str) -> str:
    """The script that a checkpoint names; any other argument as it is."""
    path = Path(argument)
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise NablispError("file", f"{argument}: {os_words(error)}") from None
    if not is_ours(data):
        return argument
    try:
        script = kept(data).script
    except NablispError as error:
        raise NablispError("file", f"{argument} is damaged: {error.message}") from None
    beside = path.parent / script
    if not script or Path(script).name != script or beside.is_symlink() or not beside.is_file():
        raise NablispError("file", f"{argument} names no script beside it: give the script itself")
    return str(beside)
