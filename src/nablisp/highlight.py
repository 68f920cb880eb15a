"""Colours: turns text into Pygments tokens, the kinds of names read off the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Punctuation, String, Text, _TokenType

from .elaborate import CONSTANTS, FUNCTIONS, SPECIAL
from .expr import OPS


class NablispLexer(RegexLexer):
    """Highlights nablisp."""

    name = "nablisp"
    aliases: ClassVar[list[str]] = ["nablisp", "gd"]
    filenames: ClassVar[list[str]] = ["*.gd"]
    tokens: ClassVar[dict[str, list[tuple[str, object]]]] = {
        "root": [
            (r"\s+", Text),
            (r";[^\n]*", Comment.Single),
            (r'"[^"\\]*(?:\\.[^"\\]*)*"?', String),
            (r'[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?=[\s()\[\];"]|$)', Number),
            (r':[^\s()\[\];"]+', Name.Attribute),
            (r"[()\[\]]", Punctuation),
            (r'[^\s()\[\];"]+', Name),
            (r".", Text),
        ]
    }

    def get_tokens_unprocessed(
        self, text: str, stack: Iterable[str] = ("root",)
    ) -> Iterator[tuple[int, _TokenType, str]]:
        """Tokens, with names told apart by the tables."""
        for at, token, value in super().get_tokens_unprocessed(text, tuple(stack)):
            if token is Name:
                yield at, _kind(value), value
            else:
                yield at, token, value


def _kind(name: str) -> _TokenType:
    if name in SPECIAL:
        return Keyword
    if name in CONSTANTS:
        return Keyword.Constant
    return Name.Builtin if name in OPS or name in FUNCTIONS else Name
