"""What could be typed next: turns the text before the cursor into names, from the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from ..elaborate import CONSTANTS, FUNCTIONS, SPECIAL
from ..expr import OPS

_WORD = re.compile(r"""[^\s()\[\];"]*$""")


def suggestions(before: str, session: Any) -> list[str]:
    """Names that begin as the word before the cursor does; after a colon, the form's keywords."""
    match = _WORD.search(before)
    word = match[0] if match else ""
    if word.startswith(":"):
        return sorted(f":{k}" for k in _keywords(before[: -len(word)]) if k.startswith(word[1:]))
    known: Iterable[str] = {
        *OPS,
        *CONSTANTS,
        *FUNCTIONS,
        *SPECIAL,
        *session.prelude(),
        *session.definitions,
        *session.parameters,
        *session.columns,
    }
    return sorted(name for name in known if name.startswith(word))


def _keywords(before: str) -> tuple[str, ...]:
    """The keywords of the innermost open form."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += (before[at] in ")]") - (before[at] in "([")
        if depth < 0:
            head = re.match(r"""[^\s()\[\];"]*""", before[at + 1 :])
            name = head[0] if head else ""
            if name in SPECIAL:
                return SPECIAL[name].keywords or ()
            return OPS[name].options if name in OPS else ()
    return ()


class SessionCompleter(Completer):
    """`suggestions` for prompt_toolkit."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        before = document.text_before_cursor
        match = _WORD.search(before)
        length = len(match[0]) if match else 0
        for name in suggestions(before, self.session):
            yield Completion(name, start_position=-length)
