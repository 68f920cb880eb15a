"""What text is made of: a tree of frozen forms, each with the span it was read from.

Two forms are equal when their text is, whatever their spans; nesting may be 10^6 deep, so nothing
here recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .errors import Span


@dataclass(frozen=True, slots=True)
class Number:
    """An integer up to 2^53 in magnitude, else a binary64 number."""

    value: int | float
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name, in Unicode normal form NFC."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class String:
    """A text, its escapes resolved."""

    value: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Keyword:
    """A name that says which option a value is for; `name` is without its colon."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


class _Sequence:
    """Equality, hash and repr over `_leaves`, a flat walk, instead of the items' own."""

    __slots__ = ()
    items: tuple[Form, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Sequence):
            return NotImplemented
        return self is other or list(_leaves(self)) == list(_leaves(other))

    def __hash__(self) -> int:
        return hash(tuple(_leaves(self)))

    def __repr__(self) -> str:
        from .printer import text

        return f"{type(self).__name__}({text(self)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class List(_Sequence):
    """`( … )`"""

    items: tuple[Form, ...]
    span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Array(_Sequence):
    """`[ … ]`"""

    items: tuple[Form, ...]
    span: Span | None = None


Form = Number | Symbol | String | Keyword | List | Array


def _leaves(form: _Sequence) -> Iterator[object]:
    """The leaves of a form in order, with a mark where a sequence begins and ends."""
    stack: list[object] = [form]
    while stack:
        item = stack.pop()
        if isinstance(item, _Sequence):
            yield type(item)
            stack.append("end")
            stack.extend(reversed(item.items))
        elif isinstance(item, Number):
            yield "number", type(item.value), repr(item.value)
        else:
            yield item
