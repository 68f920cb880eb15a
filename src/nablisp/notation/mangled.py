"""From the names of a program to identifiers that mean nothing yet in C or Python, each its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ..errors import NablispError, visible

_FUNCTION = re.compile(
    r"formula|(?!v_|nl_|f(max|min)imum_|(math_errhandling|static_assert|thread_local|.*_[rt])$)"
    r"[a-z][a-z0-9]*(_[a-z0-9]+)+"
)
"""Like no name of C's library (size_t, lgamma_r), no argument and no helper function."""


def mangled(names: Iterable[str], before: str) -> dict[str, str]:
    """`before` and what is left of each name in ASCII; numbered where two would meet.

    No keyword and no library begins like that, nor does anything else in the generated text.
    """
    made: dict[str, str] = {}
    met: Counter[str] = Counter()
    for name in names:
        stem = before + re.sub(r"[^A-Za-z0-9]+", "_", name)
        met[stem] += 1
        made[name] = stem if met[stem] == 1 else f"{stem}__{met[stem]}"
    return made


def comment(name: str) -> str:
    """A name inside a comment, which it cannot end."""
    return re.sub(r"[^ -~]|[\\?]|(?<=\*)/|(?<=/)\*", lambda m: f"<{ord(m[0]):x}>", name)


def function_name(name: str) -> str:
    """What the function shall be called, if nothing else is; NablispError "name" otherwise."""
    if _FUNCTION.fullmatch(name):
        return name
    raise NablispError(
        "name",
        f"the function cannot be called {visible(name)}",
        hint="two words or more in small letters, joined by _: my_loss",
    )
