"""Text copied from a prompt or a page: turns it into what was typed, without what was shown."""

from __future__ import annotations

import re

PROMPT, MORE = "∇ ", "· "
"""What stands before an entry, and before its further lines."""

_TYPED = re.compile(rf"\s*(?:{PROMPT[0]}|{MORE[0]})(?: |$)")
_NUMBER = re.compile(r"\s{2,}_[0-9]+\s*$")
_SHOWN = re.compile(r"(?m)^[ \t]*; =>.*(?:\n[ \t]*;   .*)*\n?|[ \t]+; =>.*(?:\n[ \t]*;   .*)*")


def cleaned(text: str) -> str:
    """Without prompts, and where there are some without the lines between, which were output;
    without the `; =>` comments of a script that holds its output.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if any(map(_TYPED.match, lines)):
        lines = [
            _NUMBER.sub("", line) if line.lstrip().startswith(PROMPT[0]) else line
            for i, line in enumerate(lines)
            if i == 0 or _TYPED.match(line)
        ]
        lines = [_TYPED.sub("", line, count=1) for line in lines]
    return _SHOWN.sub("", "\n".join(lines))
