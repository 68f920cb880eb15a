"""What a program computes with: names the kinds of values, and holds functions and declarations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NablispError, Span
from .expr import Call, Const, Expr, Op, Sym, substitute
from .forms import Form, Keyword

if TYPE_CHECKING:
    from .session import Session

Value = Any
"""int, float, bool, str, Keyword, ndarray, Expr, a function (Op, Closure, Formula, Primitive), or a
result of a run"""


class Scope:
    """Names bound by a function or `let`, inside the scope they were written in."""

    __slots__ = ("names", "outer")

    def __init__(self, names: dict[str, Value], outer: Scope | None = None):
        self.names = names
        self.outer = outer

    def find(self, name: str) -> tuple[Value] | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return (scope.names[name],)
            scope = scope.outer
        return None


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
    def text(self) -> str:
        return f"function ({' '.join((self.name or 'lambda', *self.parameters))})"


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A function given by an expression in its arguments: what `(d f)` makes."""

    name: str
    arguments: tuple[Sym, ...]
    body: Expr

    def __call__(self, *args: Expr) -> Expr:
        return substitute([self.body], dict(zip(self.arguments, args, strict=True)))[0]

    @property
    def text(self) -> str:
        from .printer import brief

        names = " ".join(argument.name for argument in self.arguments)
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


@dataclass(slots=True)
class Arguments:
    """The arguments of a form, split: positional ones, and keyword → value, each with its form."""

    form: Form
    given: list[Any]
    named: dict[str, Any]
    session: Session
    scope: Scope | None
    spans: dict[str, Span | None] = field(default_factory=dict)


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


def is_boolean(value: Value) -> bool:
    """Is this a truth value, an array of them, or an expression that will be one?"""
    while isinstance(value, Call) and value.op.result == "choice":
        value = value.args[1]
    if isinstance(value, Call):
        return value.op.result == "boolean"
    if isinstance(value, (np.ndarray, Const)):
        return bool(getattr(value, "value", value).dtype == bool)
    return isinstance(getattr(value, "value", value), bool)


def a_kind(value: Value) -> str:
    """`a number`, `an array`, …: for messages."""
    kind = kind_of(value)
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def expect(value: Value, kinds: tuple[str, ...], what: str) -> Value:
    """The value, or NablispError "type" that says what it had to be."""
    if kind_of(value) not in kinds:
        from .printer import brief

        raise NablispError(
            "type", f"{what} must be {' or '.join(kinds)}, not {a_kind(value)}: {brief(value)}"
        )
    return value
