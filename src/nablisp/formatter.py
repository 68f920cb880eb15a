"""Turns the text of a script into the same forms and comments, laid out as Lisp is written.

Where a line ends is the author's choice, and stays; the indent of the next, the blanks between
forms and the place of closing brackets are not. Only where a form would reach beyond column 100 a
line ends before it. How far it reaches depends on the rest of its line alone, and lines that end
sooner reach less far: so what is formatted stays as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import groupby
from typing import NamedTuple

from .commands import (
    FINE,
    MISTAKE,
    Parser,
    decoded,
    os_words,
    replace_file,
    say,
    script_bytes,
    script_files,
    wrong_use,
)
from .errors import NablispError, draw, visible
from .limits import no_collection
from .reader import read, tokens

WIDTH = 100
DEEPEST = 80
"""The largest indent: a text of any nesting grows in proportion only."""
LEFT = 40
"""Up to this column an argument stays beside its function, and is broken inside."""
BODY = frozenset({"define", "define-derivative", "lambda", "let", "if"})
"""Forms whose later lines are indented by two, whatever stands on the first."""


def formatted(text: str, *, name: str = "<input>") -> str:
    """The text laid out anew; NablispError "syntax" or "incomplete" where it does not read."""
    read(text, name=name)
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    with no_collection():
        pieces, end = _pieces(text)
        new = mark + "".join(line + end for line in _in_columns(_laid_out(pieces)))
        same = [p[:2] for p in _pieces(new)[0]] == [p[:2] for p in pieces]
    if not same:
        raise NablispError("syntax", "this cannot be formatted without changing what it says")
    return new


# ---- pieces --------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A bracket, atom or comment.

    `lines` counts the line ends before it; `column` is where a comment began.
    """

    kind: str
    text: str
    lines: int = 0
    column: int = 0


_KINDS = {"LPAR": "(", "LSQB": "[", "RPAR": ")", "RSQB": ")", "KEYWORD": ":"}
_GAP = re.compile(r"(;[^\n\r]*)|\r\n|\n|\r")


def _pieces(text: str) -> tuple[list[Piece], str]:
    """The pieces of a text in order, and what ends its lines."""
    text = text.removeprefix("\ufeff")
    found: list[Piece] = []
    end, before, lines, start = "", "", 0, 0
    for token in tokens(text):
        group = token.lastgroup
        at = token.start(group) if group else len(text)
        for gap in _GAP.finditer(text, token.start(), at):
            if gap[1]:
                column = len(text[start : gap.start()].expandtabs())
                found.append(Piece(";", gap[1], _kept(before, ";", lines), column))
                before, lines = ";", 0
            else:
                end, lines, start = end or gap[0], lines + 1, gap.end()
        if group:
            word, kind = token[group], _KINDS.get(group, "")
            found.append(Piece(kind, word, _kept(before, kind, lines)))
            before, lines = kind or "atom", 0
            if "\n" in word:
                start = at + word.rindex("\n") + 1
    return found, end or "\n"


def _kept(before: str, kind: str, lines: int) -> int:
    """How many line ends stay between two pieces: with two there is a blank line."""
    if not before:
        return 0
    if kind == ")":
        return int(before == ";")
    if before in "([":
        return min(lines, 1) if kind == ";" else 0
    return min(max(lines, int(before == ";")), 2)


# ---- lines ---------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of code, and the comment at its end with the column that had."""

    code: str
    comment: str = ""
    column: int = 0

    @property
    def end(self) -> int:
        return len(self.code.rpartition("\n")[2].expandtabs())


@dataclass(slots=True)
class _Open:
    """An open bracket: where its next lines begin, and how many items it has.

    `head` is "name" or "body" once the first item is a name, and says how the others are indented.
    """

    indent: int
    kind: str = ""
    items: int = 0
    head: str = ""

    def add(self, kind: str, word: str, column: int, fresh: bool) -> None:
        """Take up an item that stands at a column, first on its line or not."""
        if self.items == 0 and self.kind == "(" and not kind:
            self.head = "body" if word in BODY else "name"
            self.indent += self.head == "body"
        elif self.items == 1 and self.head == "name" and not fresh:
            self.indent = min(column, DEEPEST)
        self.items += 1


def _laid_out(pieces: Sequence[Piece]) -> Iterator[Line]:
    reach = _Reach(pieces)
    stack = [_Open(0)]
    parts: list[str] = []
    column, comment, wished, before = 0, "", 0, ""
    for i, (kind, word, lines, place) in enumerate(pieces):
        inner = stack[-1]
        beside = before not in ("", "(", "[") and kind != ")"
        fresh = lines > 0
        if beside and not fresh and kind != ";" and (before != ":" or kind == ":"):
            first = bool(inner.head) and inner.items == 1 and column < LEFT
            fresh = column + 1 + reach.of(i, WIDTH - inner.indent, first) > WIDTH
        if fresh:
            yield Line("".join(parts), comment, wished)
            if lines > 1:
                yield Line("")
            parts, column, comment = [" " * inner.indent], inner.indent, ""
        elif beside and kind != ";":
            parts.append(" ")
            column += 1
        if kind == ";" and before and not fresh:
            comment, wished = word, place
        else:
            parts.append(word)
        if kind == ")":
            stack.pop()
        elif kind != ";":
            inner.add(kind, word, column, fresh)
        if kind in ("(", "["):
            stack.append(_Open(min(column + 1, DEEPEST), kind))
        fold = word.rfind("\n") + 1
        column = len(word) - fold + (0 if fold else column)
        before = kind or "atom"
    if pieces:
        yield Line("".join(parts), comment, wished)


class _Reach:
    """How many columns a piece takes with all that has to stay beside it."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        count = len(pieces)
        self.starts, self.ends = [0] * count, [0] * count
        """where pieces would begin and end if all stood on one line"""
        self.closers = list(range(count))
        """by opener, where it closes"""
        self.tails, self.stops = list(range(count)), list(range(count))
        """the last of the closing brackets right after a piece; the last piece on its line"""
        at, before, opened = 0, "(", []
        for i, (kind, word, _, _) in enumerate(pieces):
            at += before not in ("(", "[") and kind != ")"
            self.starts[i] = at
            at += len(word.partition("\n")[0]) if kind != ";" else 0
            self.ends[i], before = at, kind
            if kind in ("(", "["):
                opened.append(i)
            elif kind == ")":
                self.closers[opened.pop()] = i
        for i in range(count - 2, -1, -1):
            kind, lines = pieces[i + 1].kind, pieces[i + 1].lines
            if not lines and kind != ";":
                self.stops[i] = self.stops[i + 1]
                if kind == ")":
                    self.tails[i] = self.tails[i + 1]

    def of(self, i: int, room: int, first: bool) -> int:
        """Columns from piece `i` on, up to where its line ends or may be ended.

        An array that fits on no line of `room` columns counts with its first element, for it fills
        lines; so does a `first` argument.
        """
        last = self.closers[i]
        kind = self.pieces[i].kind
        if (kind == "[" and self.ends[last] - self.starts[i] > room) or (first and kind == "("):
            last = self.closers[i + 1] if kind == "[" else i + 1
        elif kind == ":" and i + 1 < len(self.pieces) and self.pieces[i + 1].kind not in (")", ":"):
            last = self.closers[i + 1]
        return self.ends[min(self.tails[last], self.stops[i])] - self.starts[i]


def _in_columns(lines: Iterator[Line]) -> Iterator[str]:
    """Lines as text: comments below each other that shared a column share one again."""

    def shared(line: Line) -> tuple[bool, int]:
        return bool(line.comment) and max(line.end + 2, line.column) <= WIDTH, line.column

    for (together, _), group in groupby(lines, shared):
        rows = list(group)
        wished = [r.column if r.end < r.column <= WIDTH else r.end + 2 for r in rows]
        for row, own in zip(rows, wished, strict=True):
            at = max(wished) if together else own
            yield row.code + " " * (at - row.end) + row.comment if row.comment else row.code


# ---- the command ---------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """`nablisp fmt FILE…`: lay out scripts, or say which are not."""
    parser = Parser(
        prog="nablisp fmt",
        description="Lay out scripts: indents, blanks and brackets, in lines of up to 100 columns. "
        "Comments, blank lines and the author's own line ends stay.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="scripts, and folders of .gd files; - is a filter")
    add("--check", action="store_true", help="write nothing; status 1 if something would change")
    add("--diff", action="store_true", help="write nothing; show what would change")
    options = parser.parse_args(arguments)
    dry = options.check or options.diff
    found: list[bool] = []
    wrong = False
    for path in script_files(options.files):
        name = str(path)
        try:
            data = script_bytes(path)
            old = decoded(data, name)
            new = formatted(old, name=name)
            if not dry and name != "-" and new != old:
                replace_file(path, new.encode())
        except OSError as error:
            return wrong_use(f"{name}: {os_words(error)}")
        except NablispError as error:
            wrong = True
            print(draw(error), file=sys.stderr)
            continue
        found.append(new != old)
        if options.diff:
            sys.stdout.writelines(_difference(old, new, name))
        elif dry and new != old:
            say(name)
        elif not dry and name == "-":
            say(new, end="")
    if options.files != ["-"]:
        changed = sum(found)
        files = (
            f"{changed} file{'' if changed == 1 else 's'} {'would change' if dry else 'changed'}"
        )
        print(f"{files}, {len(found) - changed} as they were", file=sys.stderr)
    return MISTAKE if wrong or (options.check and any(found)) else FINE


def _difference(old: str, new: str, name: str) -> Iterator[str]:
    """What would change, as `diff -u` shows it."""
    lines = unified_diff(old.splitlines(), new.splitlines(), name, f"{name} formatted", lineterm="")
    return (f"{visible(line)}\n" for line in lines)
