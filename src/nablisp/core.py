"""The forms that bind, choose and loop, and the functions on plain values: rows of SPECIAL and
FUNCTIONS. Loops run while the program expands; what they leave behind is an expression.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .elaborate import (
    CONSTANTS,
    FUNCTIONS,
    SPECIAL,
    Application,
    Machine,
    Tail,
    _apply,
    _sequence,
    array_of,
    form_row,
)
from .errors import NablispError
from .expr import OPS, Call, Expr, Num, as_expr
from .forms import Form, Keyword, List, Symbol
from .printer import brief
from .shapes import ROWS
from .values import Arguments, Closure, Scope, Value, a_kind, expect, kind_of

# ---- binding -------------------------------------------------------------------------------------


@form_row(
    "define",
    "(define name e) or (define (f a b) e …)",
    "bind a name to a value, or define a function",
    (2, None),
    raw=True,
    example="(define (model x) (+ (* m x) b))",
)
def define(a: Arguments) -> Any:
    target, *body = a.given
    match target:
        case Symbol(name):
            if len(body) != 1:
                raise NablispError("arity", f"define {name} takes one value, not {len(body)}")
            return _define_value(a, target, body[0])
        case List((Symbol(name) as head, *parameters)):
            doc = ""
            source = target.span.source.text[a.form.span.start : a.form.span.end] if (
                target.span and a.form.span) else ""  # fmt: skip
            closure = Closure(name, _names_of(parameters, name), tuple(body), a.scope, doc, source)
            a.session.define(name, closure, head.span)
            return None
    raise NablispError(
        "syntax", "define takes a name, or a function's name and arguments in a list",
        span=getattr(target, "span", None), hint=SPECIAL["define"].signature,
    )  # fmt: skip


def _define_value(a: Arguments, target: Symbol, body: Form) -> Machine:
    value = yield body, a.scope
    a.session.define(target.name, value, target.span)
    return None


def _names_of(forms: list[Form] | tuple[Form, ...], owner: str) -> tuple[str, ...]:
    """Argument names: symbols, each once."""
    found: list[str] = []
    for form in forms:
        if not isinstance(form, Symbol):
            raise NablispError(
                "name", f"an argument of {owner} must be a name, not {brief(form)}",
                span=form.span)  # fmt: skip
        if form.name in found:
            raise NablispError(
                "name", f"{owner} has two arguments called {form.name}", span=form.span
            )
        if form.name in CONSTANTS:
            raise NablispError("name", f"{form.name} is a constant", span=form.span)
        found.append(form.name)
    return tuple(found)


@form_row("lambda", "(lambda (a b) e …)", "a function without a name", (2, None), raw=True,
          example="(map (lambda (k) (** x k)) (range 4))")  # fmt: skip
def lambda_(a: Arguments) -> Value:
    names, *body = a.given
    if not isinstance(names, List):
        raise NablispError(
            "syntax", "lambda takes its arguments in a list", span=names.span,
            hint=SPECIAL["lambda"].signature)  # fmt: skip
    return Closure("", _names_of(names.items, "lambda"), tuple(body), a.scope)


@form_row("let", "(let ((a 1) (b 2)) e …)", "names for use inside; later ones see earlier ones",
          (2, None), raw=True)  # fmt: skip
def let(a: Arguments) -> Machine:
    bindings, *body = a.given
    if not isinstance(bindings, List):
        raise NablispError("syntax", "let takes a list of (name value)", span=bindings.span)
    scope = a.scope
    seen: set[str] = set()
    for binding in bindings.items:
        match binding:
            case List((Symbol(name), value)) if name not in CONSTANTS:
                if name in seen:
                    raise NablispError("name", f"let binds {name} twice", span=binding.span)
                seen.add(name)
                found = yield value, scope
                scope = Scope({name: found}, scope)
            case _:
                raise NablispError(
                    "syntax", f"let binds with (name value), not {brief(binding)}",
                    span=binding.span)  # fmt: skip
    result = _sequence(tuple(body), scope or Scope({}))
    return (yield from result)


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
    expect(value, ("boolean",), "the condition of if")
    return Tail(yes if value else no, a.scope)


def _connective(name: str, decides: bool) -> None:
    word = "true if all are" if name == "and" else "true if any is"

    @form_row(name, f"({name} a b …)", f"{word}; stops at the first that decides", (0, None),
              raw=True)  # fmt: skip
    def connective(a: Arguments) -> Machine:
        waiting: list[Expr] = []
        for form in a.given:
            value = yield form, a.scope
            if isinstance(value, Expr) or isinstance(value, np.ndarray):
                waiting.append(value)  # type: ignore[arg-type]
                continue
            expect(value, ("boolean",), f"an argument of {name}")
            if value is decides and not waiting:
                return decides
            if value is decides:
                waiting.append(as_expr(value))
        if not waiting:
            return not decides
        return waiting[0] if len(waiting) == 1 else _apply(a.session, OPS[name], waiting)


_connective("and", False)
_connective("or", True)


# ---- loops ---------------------------------------------------------------------------------------


def _elements(session: Any, value: Value, what: str) -> list[Value]:
    """The elements of an array along its first axis, or the parts of `[a b]`."""
    if isinstance(value, np.ndarray):
        return [part if part.ndim else part.item() for part in value]
    if isinstance(value, Call) and value.op.name == "stack":
        return [_value(arg) for arg in value.args]
    if isinstance(value, Expr) and (shape := session.shape(value)) and shape[0] != ROWS:
        return [Call(OPS["ref"], (value,), (("index", (i,)),)) for i in range(shape[0])]
    raise NablispError("type", f"{what} goes over an array, not {a_kind(value)}: {brief(value)}")


def _value(node: Expr) -> Value:
    return node.value if isinstance(node, Num) else node


@form_row("map", "(map f v)", "f of each element of an array", (2, 2), table=FUNCTIONS,
          example="(map (lambda (k) (* k k)) (range 4))")  # fmt: skip
def map_(a: Arguments) -> Machine:
    function, over = a.given
    found = []
    for element in _elements(a.session, over, "map"):
        a.session.budget.step()
        found.append((yield Application(function, (element,))))
    return array_of(a.session, found)


@form_row("fold", "(fold f init v)", "f of the result so far and each element in turn", (3, 3),
          table=FUNCTIONS, example="(fold + 0 [1 2 3])")  # fmt: skip
def fold(a: Arguments) -> Machine:
    function, value, over = a.given
    for element in _elements(a.session, over, "fold"):
        a.session.budget.step()
        value = yield Application(function, (value, element))
    return value


@form_row("repeat", "(repeat n f init)", "f applied n times, from init on", (3, 3),
          table=FUNCTIONS, example="(repeat 3 (lambda (x) (* x x)) y)")  # fmt: skip
def repeat(a: Arguments) -> Machine:
    count, function, value = a.given
    a.session.budget.check("steps", _count(count, "repeat"))
    for _ in range(_count(count, "repeat")):
        a.session.budget.step()
        value = yield Application(function, (value,))
    return value


def _count(value: Value, what: str) -> int:
    number = expect(value, ("number",), f"the count of {what}")
    if not (number >= 0 and number == number // 1):
        raise NablispError("value", f"the count of {what} must be a whole number, not {number}")
    if number == float("inf"):
        raise NablispError("limit", f"{what} cannot count to infinity")
    return int(number)


# ---- arrays of values ----------------------------------------------------------------------------


@form_row("range", "(range n) or (range from to)", "0, 1, … n - 1", (1, 2), table=FUNCTIONS)
def range_(a: Arguments) -> Value:
    first, last = (0.0, a.given[0]) if len(a.given) == 1 else a.given
    for value in (first, last):
        expect(value, ("number",), "an end of range")
    length = max(0.0, np.ceil(float(last - first))) if last - first == last - first else 0.0
    a.session.budget.check("bytes", 8 * length)
    return np.arange(length) + first


@form_row("reverse", "(reverse v)", "the elements from last to first", (1, 1), table=FUNCTIONS)
def reverse(a: Arguments) -> Value:
    return array_of(a.session, _elements(a.session, a.given[0], "reverse")[::-1])


@form_row("linspace", "(linspace a b n)", "n numbers from a to b, evenly", (3, 3), table=FUNCTIONS)
def linspace(a: Arguments) -> Value:
    first, last, count = a.given
    for value in (first, last):
        expect(value, ("number",), "an end of linspace")
    a.session.budget.check("bytes", 8 * float(expect(count, ("number",), "the count")))
    with np.errstate(all="ignore"):
        return np.linspace(first, last, _count(count, "linspace"))


def _lengths(a: Arguments, what: str) -> tuple[int, ...]:
    given = a.given[0].tolist() if len(a.given) == 1 and isinstance(a.given[0], np.ndarray) else (
        a.given)  # fmt: skip
    lengths = tuple(float(expect(n, ("number",), f"a length of {what}")) for n in given)
    if any(not n >= 0 or n != n // 1 for n in lengths):
        raise NablispError("value", f"the lengths of {what} are whole numbers")
    a.session.budget.check("bytes", 8 * float(np.prod(lengths)))
    return tuple(map(int, lengths))


def _initializer(name: str, doc: str, keywords: tuple[str, ...] = ()) -> Any:
    return form_row(name, f"({name} n …{''.join(f' :{k} …' for k in keywords)})", doc, (0, None),
                    keywords=keywords, table=FUNCTIONS)  # fmt: skip


@_initializer("zeros", "an array of zeros of these lengths")
def zeros(a: Arguments) -> Value:
    return _plain(np.zeros(_lengths(a, "zeros")))


@_initializer("ones", "an array of ones of these lengths")
def ones(a: Arguments) -> Value:
    return _plain(np.ones(_lengths(a, "ones")))


@_initializer("normal", "random numbers around 0 with standard deviation :scale", ("scale",))
def normal(a: Arguments) -> Value:
    scale = float(expect(a.named.get("scale", 1.0), ("number",), ":scale"))
    return _plain(a.session.random().normal(0.0, 1.0, _lengths(a, "normal")) * scale)


@_initializer("uniform", "random numbers between :low and :high", ("low", "high"))
def uniform(a: Arguments) -> Value:
    low = float(expect(a.named.get("low", 0.0), ("number",), ":low"))
    high = float(expect(a.named.get("high", 1.0), ("number",), ":high"))
    return _plain(low + (high - low) * a.session.random().random(_lengths(a, "uniform")))


@_initializer("he", "random weights for relu layers: standard deviation sqrt(2 / first length)")
def he(a: Arguments) -> Value:
    lengths = _lengths(a, "he")
    return _plain(a.session.random().normal(0.0, 1.0, lengths) * np.sqrt(2 / max(lengths[0], 1)))


@_initializer("glorot", "random weights for tanh layers: variance 2 / (sum of the lengths)")
def glorot(a: Arguments) -> Value:
    lengths = _lengths(a, "glorot")
    return _plain(a.session.random().normal(0.0, 1.0, lengths) * np.sqrt(2 / max(sum(lengths), 1)))


def _plain(array: Any) -> Value:
    return array if array.ndim else array.item()


@form_row("shape", "(shape v)", "the lengths of an array; those of a column hold (rows)", (1, 1),
          table=FUNCTIONS)  # fmt: skip
def shape(a: Arguments) -> Value:
    value = expect(a.given[0], ("number", "array", "expression"), "the argument of shape")
    lengths = a.session.shape(value) if isinstance(value, Expr) else np.shape(value)
    if ROWS in lengths:
        return array_of(a.session, [Call(OPS["rows"], ()) if n == ROWS else n for n in lengths])
    return np.array(lengths, dtype=np.float64)


# ---- tools ---------------------------------------------------------------------------------------


@form_row("kind", "(kind v)", "what sort of value this is, as a string", (1, 1), table=FUNCTIONS)
def kind(a: Arguments) -> Value:
    return kind_of(a.given[0])


@form_row("print", "(print v …)", "write values on a line, strings without quotes", (0, None),
          table=FUNCTIONS)  # fmt: skip
def print_(a: Arguments) -> None:
    words = [v if isinstance(v, str) else a.session.text(v) for v in a.given]
    a.session.write(" ".join(words))


@form_row("assert", '(assert c "why")', "stop with an error unless c is true", (1, 2), raw=True)
def assert_(a: Arguments) -> Machine:
    value = yield a.given[0], a.scope
    if isinstance(value, np.ndarray) and value.dtype == bool:
        value = bool(value.all())
    if isinstance(value, Expr):
        value = a.session.value(value)
    expect(value, ("boolean",), "what assert checks")
    if not value:
        why = (yield a.given[1], a.scope) if len(a.given) > 1 else "this does not hold"
        raise NablispError("assertion", why if isinstance(why, str) else a.session.text(why),
                           span=a.given[0].span)  # fmt: skip
    return None


@form_row("get", "(get r :key)", "a part of a result: :params, :loss, :status, :history, …", (2, 2),
          raw=True, keywords=None)  # fmt: skip
def get(a: Arguments) -> Machine:
    result, key = a.given
    if not isinstance(key, Keyword):
        raise NablispError("keyword", "get takes a result and a keyword", span=key.span,
                           hint="(get r :loss)")  # fmt: skip
    value = yield result, a.scope
    parts = getattr(value, "parts", None)
    if parts is None:
        raise NablispError("type", f"get takes a part of a result, not of {a_kind(value)}")
    found = parts()
    if key.name not in found:
        from .elaborate import unknown_keyword

        raise unknown_keyword(key.name, "this result", tuple(found), key.span)
    return found[key.name]


@form_row("time", "(time e)", "seconds that evaluating e takes", (1, 1), raw=True)
def time_(a: Arguments) -> Machine:
    import time

    before = time.perf_counter()
    yield a.given[0], a.scope
    return time.perf_counter() - before
