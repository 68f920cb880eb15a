"""What a program computes with: names the kinds of values, and holds functions and declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NablispError, Span
from .expr import Expr, Op, Sym, substitute
from .forms import Form, Keyword, List
from .scope import Scope

if TYPE_CHECKING:
    from .session import Session

Value = Any
"""int, float, bool, str, Keyword, ndarray, Expr, a function (Op, Closure, Formula, Primitive), or a
result of a run"""


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A function written in the language."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Form, ...]
    scope: Scope | None
    doc: str = ""
    source: str = ""

    @property
    def signature(self) -> str:
        if not self.name:
            return f"(lambda ({' '.join(self.parameters)}) …)"
        return f"({' '.join((self.name, *self.parameters))})"

    @property
    def text(self) -> str:
        return f"function {self.signature}"


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A function given by an expression in its arguments: what `(d f)` makes."""

    name: str
    parameters: tuple[Sym, ...]
    body: Expr

    def __call__(self, *args: Expr) -> Expr:
        return substitute([self.body], dict(zip(self.parameters, args, strict=True)))[0]

    @property
    def signature(self) -> str:
        return f"({' '.join((self.name, *map(str, self.parameters)))})"

    @property
    def text(self) -> str:
        from .printer import brief

        names = " ".join(name.name for name in self.parameters)
        return f"function ({names}) → {brief(self.body)}"


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """A form or function of the language written in Python: a row of SPECIAL or FUNCTIONS.

    `raw` rows get their arguments unevaluated. `arity` counts positional arguments; `keywords` are
    the names it takes, or None for any.
    """

    name: str
    signature: str
    doc: str
    run: Callable[..., Any]
    arity: tuple[int, int | None] = (0, None)
    keywords: tuple[str, ...] | None = ()
    raw: bool = False
    example: str = ""
    later: tuple[str, ...] = ()
    """keywords of the language that this version does not have yet"""

    @property
    def text(self) -> str:
        return f"function {self.signature}"


@dataclass(slots=True)
class Parameter:
    """A trainable name: its value now, its start, and what bounds it."""

    value: Value
    start: Value
    low: float | None = None
    high: float | None = None
    rate: float | None = None
    fixed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(np.shape(self.value))


class Current(Mapping[str, Value]):
    """The values that parameters have now, none copied."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> Value:
        return self._parameters[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


@dataclass(slots=True)
class Arguments:
    """The arguments of a form, split: positional ones, and keyword → value."""

    form: List
    given: list[Any]
    named: dict[str, Any]
    session: Session
    scope: Scope | None

    def at(self, which: int | str) -> Span | None:
        """Where an argument was written: a positional one by number, another by its keyword."""
        return value_span(self.form, which)

    def key(self, name: str) -> Span | None:
        """Where a keyword was written."""
        return key_span(self.form, name)


def value_span(form: List | None, which: int | str) -> Span | None:
    """Where the value of an argument of a list is, if it was written."""
    if form is None:
        return None
    if isinstance(which, int):
        return form.items[1 + which].span if which + 1 < len(form.items) else None
    at = _key_at(form, which)
    return form.items[at + 1].span if 0 <= at < len(form.items) - 1 else None


def key_span(form: List | None, name: str) -> Span | None:
    """Where a keyword is in a list, if it was written."""
    at = -1 if form is None else _key_at(form, name)
    return form.items[at].span if form is not None and at >= 0 else None


def _key_at(form: List, name: str) -> int:
    found = (i for i, item in enumerate(form.items) if item == Keyword(name))
    return next(found, -1)


def kind_of(value: Value) -> str:
    """The kind of a value, as `(kind v)` names it."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case Keyword():
            return "keyword"
        case np.ndarray():
            return "array"
        case Expr():
            return "expression"
        case Op() | Closure() | Formula() | Primitive():
            return "function"
        case None:
            return "nothing"
    return "result"


def a_kind(value: Value) -> str:
    """`a number`, `an array`, …: for messages."""
    return _with_article(kind_of(value))


def _with_article(kind: str) -> str:
    return kind if kind == "nothing" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def described(value: Value) -> str:
    """The kind of a value and its text: for messages."""
    from .printer import brief

    return a_kind(value) if value is None else f"{a_kind(value)}: {brief(value)}"


def expect(value: Value, kinds: tuple[str, ...], what: str, span: Span | None = None) -> Value:
    """The value, or NablispError "type" that says what it had to be."""
    if kind_of(value) not in kinds:
        *most, last = map(_with_article, kinds)
        wanted = f"{', '.join(most)} or {last}" if most else last
        raise NablispError("type", f"{what} must be {wanted}, not {described(value)}", span=span)
    return value
