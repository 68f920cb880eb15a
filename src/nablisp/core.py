"""The forms that bind, choose and loop, and the functions on plain values: rows of SPECIAL and
FUNCTIONS. Loops run while the program expands; what they leave behind is an expression.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .elaborate import (
    CONSTANTS,
    FUNCTIONS,
    SPECIAL,
    Application,
    Machine,
    Tail,
    _sequence,
    form_row,
)
from .errors import NablispError, Span, meant
from .expr import EXACT, OPS, Call, Expr, plain
from .forms import Form, Keyword, List, Symbol
from .operations import array_of, call_op
from .printer import brief
from .results import Result
from .scope import Scope
from .shapes import ROWS, is_boolean
from .values import Arguments, Closure, Value, described, expect, kind_of

Row = Callable[[Callable[[Arguments], Any]], Callable[[Arguments], Any]]

# ---- binding -------------------------------------------------------------------------------------


@form_row(
    "define",
    "(define name e) or (define (f a b) e …)",
    "bind a name to a value, or define a function; inside a function or let, for use in there",
    (2, None),
    raw=True,
    example="(define (model x) (+ (* m x) b))",
)
def define(a: Arguments) -> Any:
    target, *body = a.given
    match target:
        case Symbol(name):
            if len(body) != 1:
                raise NablispError(
                    "arity",
                    f"define {name} takes one value, not {len(body)}",
                    hint=SPECIAL["define"].signature,
                )
            return _define_value(a, target, body[0])
        case List((Symbol(name) as head, *parameters)):
            names = _names_of(a.session, parameters, name)
            _bind(a, head, Closure(name, names, tuple(body), a.scope, "", _source(a)))
            return None
    raise NablispError(
        "syntax",
        "define takes a name, or a function's name and arguments in a list",
        span=target.span,
        hint=SPECIAL["define"].signature,
    )


def _define_value(a: Arguments, target: Symbol, body: Form) -> Machine:
    value = yield body, a.scope
    if value is None:
        raise NablispError("type", f"there is no value to define {target.name} by", span=body.span)
    _bind(a, target, value)
    return None


def _bind(a: Arguments, target: Symbol, value: Value) -> None:
    if a.scope is None:
        a.session.define(target.name, value, target.span)
    else:
        _check_local(a.session, target)
        a.scope.bind(target.name, value)


def _source(a: Arguments) -> str:
    return a.form.span.text if a.form.span else ""


def _check_local(session: Any, target: Symbol) -> None:
    """Refuse to bind a constant inside a function or `let`; remark on a name like another."""
    session.meet(target.name)
    if target.name in CONSTANTS:
        raise NablispError(
            "name", f"{target.name} is a constant", span=target.span, hint="choose another name"
        )


def _names_of(session: Any, forms: Sequence[Form], owner: str) -> tuple[str, ...]:
    """Argument names: symbols, each once."""
    found: dict[str, None] = {}
    for form in forms:
        if not isinstance(form, Symbol):
            raise NablispError(
                "name", f"an argument of {owner} must be a name, not {brief(form)}", span=form.span
            )
        if form.name in found:
            raise NablispError(
                "name", f"{owner} has two arguments called {form.name}", span=form.span
            )
        _check_local(session, form)
        found[form.name] = None
    return tuple(found)


@form_row(
    "lambda",
    "(lambda (a b) e …)",
    "a function without a name",
    (2, None),
    raw=True,
    example="(map (lambda (k) (** x k)) (range 4))",
)
def lambda_(a: Arguments) -> Value:
    names, *body = a.given
    if not isinstance(names, List):
        raise NablispError(
            "syntax",
            "lambda takes its arguments in a list",
            span=names.span,
            hint=SPECIAL["lambda"].signature,
        )
    return Closure(
        "", _names_of(a.session, names.items, "lambda"), tuple(body), a.scope, "", _source(a)
    )


@form_row(
    "let",
    "(let ((a 1) (b 2)) e …)",
    "names for use inside; later ones see earlier ones",
    (2, None),
    raw=True,
)
def let(a: Arguments) -> Machine:
    bindings, *body = a.given
    if not isinstance(bindings, List):
        raise NablispError(
            "syntax",
            "let takes a list of (name value)",
            span=bindings.span,
            hint=SPECIAL["let"].signature,
        )
    scope = Scope({}, a.scope)
    seen: set[str] = set()
    for binding in bindings.items:
        match binding:
            case List((Symbol(name) as target, form)):
                _check_local(a.session, target)
                if name in seen:
                    raise NablispError("name", f"let binds {name} twice", span=binding.span)
                seen.add(name)
                value = yield form, scope
                scope.bind(name, value)
                if kind_of(value) == "function":  # it sees what came before it, not what follows
                    scope = Scope({}, scope)
            case _:
                raise NablispError(
                    "syntax",
                    f"let binds with (name value), not {brief(binding)}",
                    span=binding.span,
                    hint=SPECIAL["let"].signature,
                )
    return (yield from _sequence(tuple(body), scope))


# ---- choice --------------------------------------------------------------------------------------


@form_row("if", "(if c a b)", "a if c is true, else b; decided at once", (3, 3), raw=True)
def if_(a: Arguments) -> Machine:
    condition, yes, no = a.given
    value = yield condition, a.scope
    if isinstance(value, Expr):
        raise NablispError(
            "type",
            f"if decides now, and {brief(value)} depends on names without a value",
            span=condition.span,
            hint="choose inside an expression with (where c a b)",
        )
    expect(value, ("boolean",), "the condition of if", condition.span)
    return Tail(yes if value else no, a.scope)


def _connective(name: str, decides: bool) -> None:
    word = "true if all are" if name == "and" else "true if any is"

    @form_row(
        name, f"({name} a b …)", f"{word}; stops at the first that decides", (0, None), raw=True
    )
    def connective(a: Arguments) -> Machine:
        waiting: list[Value] = []
        for form in a.given:
            value = yield form, a.scope
            if not is_boolean(value):
                raise NablispError(
                    "type",
                    f"{name} takes conditions, not {described(value)}",
                    span=form.span,
                    hint="a condition is a comparison: (> x 0)",
                )
            if value is decides and not waiting:
                return decides
            if value is not (not decides):
                waiting.append(value)
        if not waiting:
            return not decides
        return waiting[0] if len(waiting) == 1 else call_op(a.session, OPS[name], waiting, {})


_connective("and", False)
_connective("or", True)


# ---- loops ---------------------------------------------------------------------------------------


def _elements(session: Any, value: Value, what: str) -> list[Value]:
    """The elements of an array along its first axis, or the parts of `[a b]`."""
    if isinstance(value, np.ndarray):
        session.budget.check("steps", session.budget.steps + len(value))
        return [part if part.ndim else _number(part.item()) for part in value]
    if isinstance(value, Expr) and (shape := session.shape(value)):
        if (
            isinstance(value, Call)
            and value.op.name == "stack"
            and (ROWS in shape or dict(value.options)["axis"] % len(shape) == 0)
        ):
            return [plain(arg) for arg in value.args]
        if shape[0] != ROWS:
            session.budget.check("nodes", session.budget.nodes + shape[0])
            return [call_op(session, OPS["ref"], (value, i), {}) for i in range(shape[0])]
        raise NablispError(
            "type",
            f"{what} cannot go over the rows of {brief(value)}",
            hint="operations on a column work on all its rows: (sin x), (sum x)",
        )
    raise NablispError("type", f"{what} goes over an array, not {described(value)}")


def _number(value: float | bool) -> Value:
    """An element as a number; whole ones are integers, as they print in an array."""
    if (
        type(value) is float
        and abs(value) <= EXACT
        and value.is_integer()
        and (value or math.copysign(1, value) > 0)
    ):
        return int(value)
    return value


@form_row(
    "map",
    "(map f v)",
    "f of each element of an array",
    (2, 2),
    table=FUNCTIONS,
    example="(map (lambda (k) (* k k)) (range 4))",
)
def map_(a: Arguments) -> Machine:
    function, over = a.given
    found = []
    for element in _elements(a.session, over, "map"):
        a.session.budget.step()
        found.append((yield Application(function, (element,))))
    return array_of(a.session, found)


@form_row(
    "fold",
    "(fold f init v)",
    "f of the result so far and each element in turn",
    (3, 3),
    table=FUNCTIONS,
    example="(fold + 0 [1 2 3])",
)
def fold(a: Arguments) -> Machine:
    function, value, over = a.given
    for element in _elements(a.session, over, "fold"):
        a.session.budget.step()
        value = yield Application(function, (value, element))
    return value


@form_row(
    "repeat",
    "(repeat n f init)",
    "f applied n times, from init on",
    (3, 3),
    table=FUNCTIONS,
    example="(repeat 3 (lambda (x) (* x x)) y)",
)
def repeat(a: Arguments) -> Machine:
    count, function, value = a.given
    turns = _count(count, "the count of repeat", a.at(0))
    a.session.budget.check("steps", turns)
    for _ in range(turns):
        a.session.budget.step()
        value = yield Application(function, (value,))
    return value


def _count(value: Value, what: str, span: Span | None) -> int:
    number = expect(value, ("number",), what, span)
    if not (0 <= number < float("inf") and number == number // 1):
        raise NablispError(
            "value", f"{what} must be a whole number from 0, not {brief(number)}", span=span
        )
    return int(number)


# ---- arrays of values ----------------------------------------------------------------------------


@form_row("range", "(range n) or (range from to)", "0, 1, … n - 1", (1, 2), table=FUNCTIONS)
def range_(a: Arguments) -> Value:
    first, last = (0.0, a.given[0]) if len(a.given) == 1 else a.given
    length = np.ceil(_finite(last, "an end of range") - _finite(first, "an end of range"))
    length = max(0.0, float(length))
    a.session.budget.array((length,))
    return np.arange(length) + first


def _finite(value: Value, what: str) -> float:
    if not abs(expect(value, ("number",), what)) < float("inf"):
        raise NablispError("value", f"{what} must be finite, not {brief(value)}")
    return float(value)


@form_row("reverse", "(reverse v)", "the elements from last to first", (1, 1), table=FUNCTIONS)
def reverse(a: Arguments) -> Value:
    return array_of(a.session, _elements(a.session, a.given[0], "reverse")[::-1])


@form_row("linspace", "(linspace a b n)", "n numbers from a to b, evenly", (3, 3), table=FUNCTIONS)
def linspace(a: Arguments) -> Value:
    first, last = (_finite(value, "an end of linspace") for value in a.given[:2])
    count = _count(a.given[2], "the count of linspace", a.at(2))
    a.session.budget.array((count,))
    with np.errstate(all="ignore"):
        return np.linspace(first, last, count)


def _lengths(a: Arguments, what: str) -> tuple[int, ...]:
    given = a.given
    if len(given) == 1 and isinstance(given[0], np.ndarray):
        given = given[0].ravel().tolist()
    lengths = tuple(_count(n, f"a length of {what}", a.at(i)) for i, n in enumerate(given))
    if not lengths:
        raise NablispError("value", f"{what} needs a length", span=a.at(0))
    a.session.budget.array(tuple(max(n, 1) for n in lengths))
    return lengths


def _initializer(name: str, doc: str, keywords: tuple[str, ...] = ()) -> Row:
    return form_row(
        name,
        f"({name} n …{''.join(f' :{k} …' for k in keywords)})",
        doc,
        (1, None),
        keywords=keywords,
        table=FUNCTIONS,
    )


@_initializer("zeros", "an array of zeros of these lengths")
def zeros(a: Arguments) -> Value:
    return np.zeros(_lengths(a, "zeros"))


@_initializer("ones", "an array of ones of these lengths")
def ones(a: Arguments) -> Value:
    return np.ones(_lengths(a, "ones"))


@_initializer("normal", "random numbers around 0 with standard deviation :scale", ("scale",))
def normal(a: Arguments) -> Value:
    scale = float(expect(a.named.get("scale", 1.0), ("number",), ":scale", a.at("scale")))
    return _normal(a, _lengths(a, "normal"), scale)


@_initializer("uniform", "random numbers between :low and :high", ("low", "high"))
def uniform(a: Arguments) -> Value:
    low = float(expect(a.named.get("low", 0.0), ("number",), ":low", a.at("low")))
    high = float(expect(a.named.get("high", 1.0), ("number",), ":high", a.at("high")))
    with np.errstate(all="ignore"):
        return low + (high - low) * a.session.random().random(_lengths(a, "uniform"))


@_initializer("he", "random weights for relu layers: standard deviation sqrt(2 / first length)")
def he(a: Arguments) -> Value:
    lengths = _lengths(a, "he")
    return _normal(a, lengths, math.sqrt(2 / max(lengths[0], 1)))


@_initializer("glorot", "random weights for tanh layers: variance 2 / (sum of the lengths)")
def glorot(a: Arguments) -> Value:
    lengths = _lengths(a, "glorot")
    return _normal(a, lengths, math.sqrt(2 / max(sum(lengths), 1)))


def _normal(a: Arguments, lengths: tuple[int, ...], scale: float) -> Value:
    with np.errstate(all="ignore"):
        return a.session.random().normal(0.0, 1.0, lengths) * scale


@form_row(
    "shape",
    "(shape v)",
    "the lengths of an array; those of a column hold (rows)",
    (1, 1),
    table=FUNCTIONS,
)
def shape(a: Arguments) -> Value:
    value = expect(a.given[0], ("number", "array", "expression"), "what shape measures", a.at(0))
    lengths = a.session.shape(value) if isinstance(value, Expr) else np.shape(value)
    if ROWS in lengths:
        rows = Call(OPS["rows"], ())
        return array_of(a.session, [rows if n == ROWS else n for n in lengths])
    return np.array(lengths, dtype=np.float64)


# ---- tools ---------------------------------------------------------------------------------------


@form_row(
    "kind", "(kind v)", "what sort of value this is, as a string", (1, 1), raw=True, keywords=None
)
def kind(a: Arguments) -> Machine:
    return kind_of((yield a.given[0], a.scope))


@form_row(
    "print",
    "(print v …)",
    "write values on a line, strings without quotes",
    (0, None),
    table=FUNCTIONS,
)
def print_(a: Arguments) -> None:
    words = [v if isinstance(v, str) else a.session.text(v) for v in a.given]
    a.session.write(a.session.budget.write(" ".join(words)))


@form_row("assert", '(assert c "why")', "stop with an error unless c is true", (1, 2), raw=True)
def assert_(a: Arguments) -> Machine:
    condition = a.given[0]
    value = yield condition, a.scope
    if isinstance(value, Expr):
        value = a.session.value(value)
    if isinstance(value, np.ndarray) and value.dtype == bool:
        value = bool(value.all())
    expect(value, ("boolean",), "what assert checks", condition.span)
    if not value:
        why = (yield a.given[1], a.scope) if len(a.given) > 1 else ""
        said = why if isinstance(why, str) else a.session.text(why)
        raise NablispError(
            "assertion", said if said.strip() else "this does not hold", span=condition.span
        )
    return None


@form_row(
    "get",
    "(get r :key)",
    "a part of a result: :status, :loss, :steps, :seconds, :history, or a parameter",
    (2, 2),
    raw=True,
    keywords=None,
)
def get(a: Arguments) -> Machine:
    result, key = a.given
    if not isinstance(key, Keyword):
        raise NablispError(
            "keyword", "get takes a result and a keyword", span=key.span, hint="(get r :loss)"
        )
    value = yield result, a.scope
    parts = getattr(value, "parts", None)
    if parts is None:
        raise NablispError(
            "type", f"get takes a part of a result, not of {described(value)}", span=result.span
        )
    found = parts()
    if key.name not in found:
        has = ", ".join(f":{name}" for name in found)
        raise NablispError(
            "keyword",
            f"this result has no part :{key.name}",
            span=key.span,
            hint=meant(key.name, found, f"it has {has}", mark=":"),
        )
    return found[key.name]


@form_row(
    "time",
    "(time e)",
    "seconds that evaluating e takes; of a run, it says which backend ran and how fast",
    (1, 1),
    raw=True,
)
def time_(a: Arguments) -> Machine:
    before = time.perf_counter()
    value = yield a.given[0], a.scope
    a.session.budget.begin()
    seconds = time.perf_counter() - before
    if isinstance(value, Result) and value.work is not None:
        a.session.note(value.work.words(value.steps))
    elif isinstance(work := getattr(value, "work", None), str):
        a.session.note(work)
    return seconds
