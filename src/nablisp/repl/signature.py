"""The bottom line: turns the text before the cursor into how the innermost form is written."""

from __future__ import annotations

from typing import Any

from prompt_toolkit.utils import get_cwidth

from ..errors import visible
from ..help import called
from .brackets import head, nesting
from .commands import COMMANDS
from .settings import SETTINGS

REMINDER = ("Tab", "completes · ?name explains · Alt-Enter new line · Ctrl-R searches · ,help")


def signature(before: str, session: Any) -> tuple[str, str]:
    """Signature and doc of the innermost open form that is known; else what the keys do."""
    line = before.lstrip()
    if line.startswith(","):
        name, _, rest = line[1:].partition(" ")
        row = SETTINGS.get(rest.split(" ")[0]) or COMMANDS.get(name.strip())
        if row is not None and not nesting(rest).open:
            return row.signature, row.doc
    for at in reversed(nesting(before).open):
        if (entry := called(session, head(before, at))) is not None:
            return entry.signature, entry.doc
    return REMINDER


def cut(signature: str, doc: str, width: int) -> tuple[str, str]:
    """Both in one line of a width, the doc cut first."""
    first = _cut(visible(signature).replace("\n", " "), width)
    return first, _cut(visible(doc).replace("\n", " "), width - get_cwidth(first) - 2)


def _cut(text: str, width: int) -> str:
    if get_cwidth(text) <= width:
        return text
    while text and get_cwidth(text) >= width:
        text = text[:-1]
    return text + "…" if width > 0 else ""
