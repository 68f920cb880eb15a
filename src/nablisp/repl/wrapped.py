"""Long lines: turns text into lines of a width, what is left of each below its last column."""

from __future__ import annotations

import re
from textwrap import TextWrapper

_COLUMN = re.compile(r"\s*(?:\S+(?: \S+)* {2,})*")


def wrapped(text: str, width: int) -> str:
    """Lines cut at blanks; without room in the last column, the rest is four further in."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        found = _COLUMN.match(line)
        column = found.end() if found else indent
        rest = column if column > indent and column <= width // 2 else indent + 4
        wrapper = TextWrapper(max(width, 20), subsequent_indent=" " * rest, break_on_hyphens=False)
        lines += wrapper.wrap(line) or [""]
    return "\n".join(lines)
