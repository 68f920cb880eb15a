"""Mistakes as data: turns a kind, a place and words into an error, and an error into drawn text.

An error raised below the session has no span yet; whoever knows the form under way adds it with
`error.at(span)`. Words come last: only a shell calls `draw`.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import NamedTuple, Self

KINDS = {
    "syntax": "text that is not a form",
    "incomplete": "text that ends before its form does",
    "unbound-name": "a name that nothing declares, where a meaning is needed",
    "slip": "a name that looks like a formula written without prefix form",
    "name": "a name that cannot be declared, bound or forgotten",
    "arity": "too few or too many arguments",
    "keyword": "a keyword that is unknown, repeated or out of place",
    "type": "a value of the wrong kind",
    "shape": "shapes that do not fit together",
    "value": "a value outside what is allowed",
    "busy": "a session that another thread is using",
    "limit": "more nodes, steps, bytes or time than the session may use",
    "file": "a file that cannot be read or written, or may not be",
    "data": "a table of numbers that is not one",
    "assertion": "an assert that does not hold",
    "gradient": "a derivative that differences contradict",
    "unavailable": "a part of the language that this version does not have",
}


@dataclass(frozen=True)
class Source:
    """A text and the name under which errors show it (a path, or `<input>`)."""

    name: str
    text: str = field(repr=False)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1; CR, LF and CRLF each end a line."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")

    @cached_property
    def _starts(self) -> array[int]:  # a list takes ten times as much
        ends = re.finditer(r"\r\n|\r|\n", self.text)
        return array("Q", chain((0,), (end.end() for end in ends)))


class Span(NamedTuple):
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def line(self) -> int:
        return self.source.place(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.place(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


class NablispError(Exception):
    """A mistake in a program, its data or its use.

    `kind` is one of `KINDS` and never changes between versions; `message` says what and why in the
    user's words; `hint`, where there is one, is the cure; `span` is where, once it is known.
    """

    def __init__(
        self, kind: str, message: str, *, span: Span | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.span = span
        self.hint = hint

    def at(self, span: Span | None) -> Self:
        """The same error with a place, unless it has one already."""
        if self.span is None:
            self.span = span
        return self

    def __str__(self) -> str:
        return draw(self)

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.kind, self.message, self.span, self.hint)


class Incomplete(NablispError):  # noqa: N818  # the reader's word, as in Hy
    """Text that ends inside a form: at a prompt, a wish for more lines."""

    def __init__(self, message: str, *, span: Span | None = None, hint: str = "") -> None:
        super().__init__("incomplete", message, span=span, hint=hint)


def _revive(
    cls: type[NablispError], kind: str, message: str, span: Span | None, hint: str
) -> NablispError:
    error = cls.__new__(cls)
    NablispError.__init__(error, kind, message, span=span, hint=hint)
    return error


def draw(error: NablispError) -> str:
    """An error as lines of text: what, where (file:line:column, the line, a caret), cure."""
    lines = [f"error: {visible(error.message, '')}"]
    if (span := error.span) is not None:
        lines.append(f"  {visible(span.file, '')}:{span.line}:{span.column}")
        lines += _excerpt(span)
    if error.hint:
        lines += [f"  {visible(line)}" for line in error.hint.splitlines()]
    return "\n".join(lines)


def _excerpt(span: Span, width: int = 96) -> list[str]:
    """The source line and a row of carets, cut to a window around the span when it is long."""
    line = span.source.line(span.line)
    start = span.column - 1
    end = max(start + 1, min(len(line), start + span.end - span.start))
    left = max(0, min(start - width // 3, len(line) - width)) if len(line) > width else 0
    shown = line[left : left + width]
    before = width_of(visible(shown[: start - left]))
    carets = width_of(visible(shown[start - left : end - left])) or 1
    head = f"{span.line} | "
    if left:
        head += "… "
    tail = " …" if left + width < len(line) else ""
    return [f"  {head}{visible(shown)}{tail}", " " * (2 + len(head) + before) + "^" * carets]


def width_of(text: str) -> int:
    """Terminal cells a text takes: none for combining marks, two for wide characters."""
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )


def visible(text: str, kept: str = "\n") -> str:
    """Text for a terminal: control, bidirectional and invisible characters become escapes.

    A tab becomes a blank, and line ends stay; with `kept=""` they, too, are escapes: what must be
    one line is one, whatever a file is called.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in kept or c == " " or shows(c) else f"\\u{{{ord(c):x}}}"
        for c in text.replace("\t", " ")
    )


# Letters and marks that show nothing: fillers, joiners, variation selectors. What Unicode calls
# default ignorable, and Python printable.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def shows(c: str) -> bool:
    """Does a character put ink on the screen?"""
    return c.isprintable() and c != " " and not _UNSEEN.match(c)


CANDIDATES = 2000
"""How many names are looked at for the one that was meant."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that a mistyped one most likely meant, or None."""
    import difflib

    known = sorted(set(islice(names, CANDIDATES)))
    folded = {k.lower().replace("_", "-"): k for k in reversed(known)}
    if (same := folded.get(name.lower().replace("_", "-"))) is not None:
        return same
    if len(name) == 1:  # near to anything
        return None
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return close[0] if close else None


def meant(name: str, names: Iterable[str], instead: str = "", *, mark: str = "") -> str:
    """A hint: the known name that was meant, if one is near; else what to do instead."""
    close = nearest(name, names)
    return f"did you mean {mark}{close}?" if close else instead


def no_such(
    what: str, name: object, names: Iterable[str], kind: str = "value", *, mark: str = ""
) -> NablispError:
    """There is nothing of this sort under that name; the hint has the name that was meant, or all.

    >>> raise no_such("optimizer", "adm", ["gd", "adam"])
    """
    known = list(names)
    every = f"there are {', '.join(mark + n for n in known)}"
    return NablispError(
        kind,
        f"there is no {what} called {mark}{name}",
        hint=meant(str(name), known, every, mark=mark),
    )
