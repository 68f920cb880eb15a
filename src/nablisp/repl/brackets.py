"""Where brackets stand: turns text into those still open, outside strings and comments."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import Incomplete, NablispError
from ..reader import read

MARK = re.compile(r'"[^"\\]*+(?:\\[\s\S][^"\\]*+)*+(?P<closed>")?|;[^\n\r]*+|[()\[\]]')
"""A string, a comment, or a bracket outside of both."""
_HEAD = re.compile(r"""[^\s()\[\]";:][^\s()\[\]";]*""")


@dataclass(frozen=True, slots=True)
class Nesting:
    """Offsets of the brackets still open at the end of a text, outermost first.

    `inside` is `"` or `;` where the text ends in a string or a comment, `start` where that begins.
    """

    open: tuple[int, ...] = ()
    inside: str = ""
    start: int = 0


def nesting(text: str) -> Nesting:
    """What is still open at the end of a text."""
    opened: list[int] = []
    for mark in MARK.finditer(text):
        match mark[0][0]:
            case "(" | "[":
                opened.append(mark.start())
            case ")" | "]":
                del opened[-1:]
            case '"' if not mark["closed"]:
                return Nesting(tuple(opened), '"', mark.start())
            case ";" if mark.end() == len(text):
                return Nesting(tuple(opened), ";", mark.start())
    return Nesting(tuple(opened))


def head(text: str, at: int) -> str:
    """The name right behind the bracket at an offset, or nothing."""
    found = _HEAD.match(text, at + 1) if text[at] == "(" else None
    return found[0] if found else ""


def finished(text: str) -> bool:
    """Does the text end with its forms, so that Enter should run it?"""
    try:
        read(text)
    except Incomplete:
        return False
    except NablispError:
        return True
    return True
