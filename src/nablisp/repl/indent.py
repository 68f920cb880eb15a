"""Indentation as Lisp has it: turns the text before a line into the column where it begins."""

from __future__ import annotations

import re

from .brackets import head, nesting

BODY = frozenset(("define", "define-derivative", "lambda", "let"))
"""Forms whose further lines are a body, two columns in."""


def indentation(before: str) -> int:
    """The column of a line that follows a text: the body of the innermost open form, else below
    its first argument, or behind its bracket where no argument stands on the head's line.
    """
    found = nesting(before)
    if not found.open or found.inside == '"':
        return 0
    at = found.open[-1]
    column = at - (before.rfind("\n", 0, at) + 1)
    name = head(before, at)
    if name in BODY:
        return column + 2
    argument = re.compile(r"[ \t]+(?=[^\s;])").match(before, at + 1 + len(name))
    return column + (argument.end() - at if name and argument else 1)
