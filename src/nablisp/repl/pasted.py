"""Text copied from a prompt or a page: turns it into what was typed, without what was shown."""

from __future__ import annotations

import re

from .brackets import MARK

PROMPT, MORE = "∇ ", "· "
"""What stands before an entry, and before its further lines."""

_TYPED = re.compile(rf"\s*(?:{PROMPT[0]}|{MORE[0]})(?: |$)")
_NUMBER = re.compile(r"(?<!\s)\s{2,}+_[0-9]++\s*$")


def pasted(text: str) -> str:
    """Without prompts and output, as `unprompted`, wherever the copy begins; and without the
    `; =>` comments of a script that holds its output, and its last line end.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if any(map(_TYPED.match, text.split("\n"))):
        text = _entries(text)
    return _silent(text) if "; =>" in text else text


def unprompted(text: str) -> str:
    """A text that begins with a prompt without prompts, and without the lines that have none."""
    return _entries(text) if text.lstrip().startswith(PROMPT) else text


def _entries(text: str) -> str:
    """What was typed: the first line, and those behind prompts; the value's number is no part."""
    found = []
    for i, line in enumerate(text.split("\n")):
        if i and not _TYPED.match(line):
            continue
        first = line.lstrip().startswith(PROMPT[0])
        found.append(_TYPED.sub("", _NUMBER.sub("", line) if first else line, count=1))
    return "\n".join(found)


def _silent(text: str) -> str:
    """Without comments that begin with `; =>`, and those right below that go on from them."""
    kept, at, dropped = [], 0, False
    for mark in MARK.finditer(text):
        between = text[at : mark.start()]
        goes_on = dropped and not between.strip() and mark[0].startswith(";   ")
        dropped = mark[0].startswith("; =>") or goes_on
        kept.append(between.rstrip() if dropped else between + mark[0])
        at = mark.end()
    return "".join((*kept, text[at:]))
