"""Turns text into forms with spans: one regular expression and one loop over an LALR table.

`grammar/nablisp.lark` is the definition. The table that Lark computes from it is kept in
`reader_table.py`, because importing Lark takes longer than most programs run; where the grammar has
changed since, Lark computes it anew.
"""

from __future__ import annotations

import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from .errors import Incomplete, NablispError, Source, Span, shows
from .forms import Array, Form, Keyword, List, Number, String, Symbol
from .limits import BATCH, Budget, no_collection

Token = re.Match[str]
Forms = list[Form]


def read(text: str, *, name: str = "<input>", budget: Budget | None = None) -> Forms:
    """All forms of a text; a byte order mark at its start belongs neither to them nor to the spans.

    Raises `Incomplete` where more text could complete it, else `NablispError`: `syntax`, or `limit`
    for more text or nesting than the budget allows.
    """
    budget = budget or Budget()
    try:
        budget.check("source", len(text))  # in characters first: none is less than a byte
        if not text.isascii():
            budget.check("source", _bytes(text))
    except NablispError as error:
        beginning = Source(name, text[:100])  # errors show no more of it
        raise error.at(Span(beginning, 0, 0)) from None
    source = Source(name, text.removeprefix("\ufeff"))
    if not text.isascii() and (found := re.search(_TREACHEROUS, source.text)):
        raise _misplaced(source, found.start())
    with no_collection():
        return _parse(source, budget)


def recovered(
    text: str, *, name: str = "<input>", budget: Budget | None = None
) -> tuple[Forms, list[tuple[NablispError, str]]]:
    """The forms of a text, and every mistake in it with the part of the text that it spoils.

    After a mistake a form begins where a line begins with `(`.
    """
    budget = budget or Budget()
    try:
        return read(text, name=name, budget=budget), []
    except NablispError as error:
        if error.kind == "limit":
            return [], [(error, "")]
    source = Source(name, text.removeprefix("\ufeff"))
    wrong = [(_misplaced(source, m.start()), "") for m in re.finditer(_TREACHEROUS, source.text)]
    starts = [m.start() for m in re.finditer(r"(?m)^\(", source.text)]
    forms: Forms = []
    for start, end in pairwise([0, *starts, len(source.text)]):
        try:
            forms += _parse(source, budget, start, end)
        except NablispError as error:
            if end < len(source.text):
                error.message = error.message.replace("the text ends", "the next form begins")
            wrong.append((error, source.text[start:end]))
    return forms, wrong


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text without a byte order mark, each with what is ignored before it.

    `lastgroup` names the terminal; the last token has none.
    """
    return _machine()[0].finditer(text)


def _parse(source: Source, budget: Budget, start: int = 0, end: int = sys.maxsize) -> Forms:
    tokens, table = _machine()
    builder = _Builder(source)
    rules = [(made, size, name and getattr(builder, name)) for made, size, name in table.rules]
    states = table.states
    path: list[int] = [0]
    values: list[Any] = []  # for each open bracket, the forms before it and its token
    deepest = 2 * budget.limits.depth
    for count, token in enumerate(tokens.finditer(source.text, start, end)):
        if not count % BATCH:
            _check(budget.reads, count, builder.span(token))
        terminal = token.lastgroup or "$END"
        while (action := states[path[-1]].get(terminal, 0)) < 0:
            made, size, build = rules[~action]
            if build:  # the forms so far stay, and take up what the rest makes
                rest = 1 - size
                values[-size].append(build(*values[rest:]))
                del values[rest:], path[rest:]
            elif size == 0:
                if len(values) > deepest:
                    _check(budget.nests, len(values) // 2, builder.span(values[-1]))
                values.append([])
                path.append(states[path[-1]][made])
            else:
                forms: Forms = values[0]
                return forms
        if action == 0:
            break
        values.append(token)
        path.append(action)
    raise _unexpected(source, token, values)


class _Builder:
    """The form that each rule of the grammar adds, under the rule's name."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: dict[str, str] = {}
        """each name met, to its normal form"""

    def span(self, token: Token) -> Span:
        # Span(…) takes twice as long.
        return tuple.__new__(Span, (self.source, *token.span(token.lastgroup or 0)))

    def between(self, opener: Token, closer: Token) -> Span:
        return tuple.__new__(Span, (self.source, opener.end() - 1, closer.end()))

    def integer(self, token: Token) -> Number:
        text = token["INTEGER"]
        digits = text.lstrip("+-0") or "0"
        # Python refuses to convert thousands of digits; 2^53 has sixteen.
        if len(digits) <= 16 and (size := int(digits)) <= 2**53:
            return Number(-size if text[0] == "-" else size, self.span(token))
        return Number(float(text), self.span(token))

    def float(self, token: Token) -> Number:
        return Number(float(token["FLOAT"]), self.span(token))

    def symbol(self, token: Token) -> Symbol:
        text = token["SYMBOL"]
        return Symbol(self.names.get(text) or self.name(text, token), self.span(token))

    def keyword(self, token: Token) -> Keyword:
        text = token["KEYWORD"][1:]
        return Keyword(self.names.get(text) or self.name(text, token), self.span(token))

    def string(self, token: Token) -> String:
        value = token["STRING"][1:-1]
        if "\\" in value:
            start = token.start("STRING") + 1
            value = re.sub(_ESCAPE, lambda escape: self.escaped(escape, start), value)
        return String(value, self.span(token))

    def list(self, opener: Token, items: Forms, closer: Token) -> List:
        return List(tuple(items), self.between(opener, closer))

    def array(self, opener: Token, items: Forms, closer: Token) -> Array:
        return Array(tuple(items), self.between(opener, closer))

    def name(self, text: str, token: Token) -> str:
        """The normal form of the name a token ends with, if all its characters are admitted."""
        name = text
        if not text.isascii():
            marks = _MARKS  # full, so that none comes first
            for offset, c in enumerate(text, token.end() - len(text)):
                if not (c.isascii() or (unicodedata.category(c)[0] in "LMN" and shows(c))):
                    raise _misplaced(self.source, offset)
                if unicodedata.category(c)[0] != "M":
                    marks = 0 if c.isalnum() else _MARKS
                elif (marks := marks + 1) > _MARKS:
                    raise NablispError(
                        "syntax",
                        f"{_described(c)} needs a letter before it, with under {_MARKS} marks",
                        span=Span(self.source, offset, offset + 1),
                        hint="delete it",
                    )
            name = unicodedata.normalize("NFC", text)
        self.names[text] = name
        return name

    def escaped(self, escape: Token, start: int) -> str:
        """The character an escape stands for, in a string whose text begins at `start`."""
        code, letter = escape.groups()
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if code and ((number := int(code, 16)) < 0xD800 or 0xDFFF < number < 0x110000):
            return chr(number)
        raise NablispError(
            "syntax",
            f"`{escape[0]}` is no character"
            if code
            else f"in a string, a backslash means nothing before {_described(letter)}",
            span=Span(self.source, start + escape.start(), start + escape.end()),
            hint=r"the escapes are \n \t \" \\ and \u{1f600}, of 1 to 6 digits up to 10ffff",
        )


_ESCAPE = r"\\(?:u\{([0-9a-fA-F]{1,6})\}|([\s\S]))"
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}

_MARKS = 30
"""Most marks on a letter: Unicode's stream-safe bound, without which NFC takes quadratic time."""

# Bidirectional controls, which make text look like other text; halves of surrogate pairs.
_TREACHEROUS = "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"

_CURES = {
    "'`‘’": "names stand for themselves, unquoted: x",
    ",": "arguments are separated by blanks: (f x y)",
    "{}": "an array is [1 2 3], a list (f x y)",
    "#": "a comment begins with ; and the truth values are true and false",
    "|": "write (or a b), or (abs x)",
    "\\": "a backslash belongs into a string; a function is (lambda (x) …)",
    ":": "a keyword is a colon and a name: :lr",
    "×·⋅∙": "write *",
    "÷∕": "write /",
    "−‐‑–—": "write -",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "√": "write (sqrt x)",
    "∂": "write (d e x)",
    "∇": "write (grad e)",
    "∑": "write (sum v)",
    "∞": "write inf",
    "“”„«»": 'a string is "…"',
}


def _described(c: str) -> str:
    """A character in words; by itself too where that is safe to print."""
    if c.isascii() and shows(c):
        return f"`{c}`"
    category = unicodedata.category(c)
    nameless = {"Cc": "control character", "Cs": "half of a surrogate pair", "Co": "private use"}
    name = unicodedata.name(c, nameless.get(category, "unassigned")).lower()
    return f"{f'`{c}` ' if shows(c) and category[0] != 'M' else ''}U+{ord(c):04X} ({name})"


def _misplaced(source: Source, offset: int) -> NablispError:
    """What is wrong with a character that is part of no token, or must not be."""
    c = source.text[offset]
    if unicodedata.category(c) == "Cs":
        problem, cure = "is no character", "delete it"
    elif re.match(_TREACHEROUS, c):
        problem, cure = "disguises text", f"delete it, or write \\u{{{ord(c):x}}} in a string"
    elif c.isspace():
        problem, cure = "is no blank here", "put a plain blank in its place"
    elif not shows(c):
        problem, cure = "cannot be seen", "delete it"
    else:
        problem = "has no meaning here"
        plain = unicodedata.normalize("NFKC", c)  # an ASCII sign for its full-width twin
        cure = next((cure for signs, cure in _CURES.items() if c in signs or plain in signs), "")
        if not cure and plain != c and plain.isascii():
            cure = f"write {plain}"
    return NablispError(
        "syntax",
        f"{_described(c)} {problem}",
        span=Span(source, offset, offset + 1),
        hint=cure or "a name is made of letters, digits and + - * / < > = ! ? _ % & ^ ~ . @",
    )


def _check(count: Callable[[int], None], asked: int, span: Span) -> None:
    """Count against a limit; an error points to the place."""
    try:
        count(asked)
    except NablispError as error:
        raise error.at(span) from None


def _bytes(text: str) -> int:
    """The length in UTF-8, without a copy of the whole."""
    part = 2**20
    return sum(len(text[i : i + part].encode(errors="replace")) for i in range(0, len(text), part))


def _unexpected(source: Source, token: Token, values: list[Any]) -> NablispError:
    """Why no form goes on with this token: the end, a closing bracket or a stray character."""
    start, end = token.span(token.lastgroup or 0)
    openers = (value for value in reversed(values) if isinstance(value, re.Match))
    opener = next((Span(source, value.end() - 1, value.end()) for value in openers), None)
    if token.lastgroup is None and opener:
        return Incomplete(f"the text ends before {_opened(opener)} is closed", span=opener)
    span = Span(source, start, end)
    if span.text == '"':
        return Incomplete(f"the text ends before {_opened(span)} is closed", span=span)
    if span.text not in _CLOSERS.values():
        return _misplaced(source, start)
    if opener:
        message = f"`{span.text}` cannot close {_opened(opener)}"
        hint = f"that wants `{_CLOSERS[opener.text]}` first"
    else:
        message = f"`{span.text}` closes nothing"
        hint = "delete it, or look for a bracket that was closed too early"
    return NablispError("syntax", message, span=span, hint=hint)


_CLOSERS = {"(": ")", "[": "]"}


def _opened(span: Span) -> str:
    return f"the `{span.text}` of line {span.line}, column {span.column}"


class _Table(NamedTuple):
    """What the grammar says, as the loop wants it."""

    ignored: list[str]
    """regular expressions of what stands between tokens"""
    terminals: list[tuple[str, str]]
    """names and regular expressions of tokens: the first that matches wins"""
    rules: list[tuple[str, int, str]]
    """the symbol a rule makes, out of how many values, and the name of the form it adds, if any"""
    states: list[dict[str, int]]
    """by terminal, the next state or ~(the rule to apply); by symbol, the next state"""


def _compute(grammar: str) -> _Table:
    """Lark's table, its states numbered as they are met from the first."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    lark = Lark(grammar, parser="lalr", lexer="basic")
    frontend: Any = lark.parser
    machine = frontend.parser._parse_table
    found = [machine.start_states["start"]]
    states = []
    for state in found:
        row = {}
        for symbol, (action, then) in sorted(machine.states[state].items()):
            if action is not Shift:
                row[symbol] = ~lark.rules.index(then)
                continue
            if then not in found:
                found.append(then)
            row[symbol] = found.index(then)
        states.append(row)
    regexes = [(str(t.name), t.pattern.to_regexp()) for t in frontend.lexer.terminals]
    return _Table(
        ignored=[regex for name, regex in regexes if name in lark.ignore_tokens],
        terminals=[pair for pair in regexes if pair[0] not in lark.ignore_tokens],
        rules=[(str(r.origin.name), len(r.expansion), r.alias or "") for r in lark.rules],
        states=states,
    )


@cache
def _machine() -> tuple[re.Pattern[str], _Table]:
    """The expression that finds the next token behind what is ignored, and the table."""
    from . import reader_table as kept

    grammar = _grammar()
    if zlib.crc32(grammar.encode()) == kept.GRAMMAR:
        table = _Table(kept.IGNORED, kept.TERMINALS, kept.RULES, kept.STATES)
    else:
        table = _compute(grammar)
    tokens = "|".join(f"(?P<{name}>{regex})" for name, regex in table.terminals)
    ignored = "|".join(table.ignored)
    return re.compile(rf"(?:{ignored})*+(?:{tokens}|(?P<stray>[\s\S])|\Z)"), table


def _grammar() -> str:
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent.parent):  # installed, or a checkout
        if (path := folder / "grammar" / "nablisp.lark").is_file():
            return path.read_text(encoding="utf-8")
    from importlib.resources import files

    return (files("nablisp") / "grammar" / "nablisp.lark").read_text(encoding="utf-8")


def table_module() -> str:
    """The text of `reader_table.py`."""
    grammar = _grammar()
    text = f'''"""What Lark computes from the grammar; `reader._Table` says what it means.

This line writes it anew: python -c "from nablisp import reader; reader.keep_table()"
"""

# ruff: noqa: E501
# fmt: off

GRAMMAR = {zlib.crc32(grammar.encode()):#010x}
"""`zlib.crc32` of grammar/nablisp.lark"""
'''
    for name, rows in _compute(grammar)._asdict().items():
        text += f"\n{name.upper()} = [\n" + "".join(f"    {row!r},\n" for row in rows) + "]\n"
    return text


def keep_table() -> None:
    Path(__file__).with_name("reader_table.py").write_text(table_module(), encoding="utf-8")
