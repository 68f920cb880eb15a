"""The forms of derivatives and values: rows of SPECIAL over derivative.py and evaluate.py."""

from __future__ import annotations


from typing import Any

import numpy as np

from . import derivative as diff
from . import shapes as sh
from .elaborate import Application, Machine, array_of, form_row, simplest
from .errors import NablispError
from .expr import OPS, Call, Expr, Op, Sym, as_expr, names, plain, postorder, substitute
from .forms import List, Symbol
from .printer import brief
from .shapes import ROWS
from .values import Arguments, Closure, Formula, Value, a_kind, expect, kind_of


def _formula(value: Value, what: str) -> Expr:
    return as_expr(expect(value, ("number", "array", "expression"), what))


def _symbols(values: list[Value], what: str) -> list[Sym]:
    for value in values:
        if not isinstance(value, Sym):
            raise NablispError(
                "type",
                f"{what} differentiates by names, not by {a_kind(value)}: {brief(value)}",
                hint="a name that is defined stands for its value; use a free or declared name",
            )
    return values


def _by(a: Arguments, root: Expr) -> list[Sym]:
    """The names given after the expression, else the parameters that occur in it."""
    if len(a.given) > 1:
        return _symbols(a.given[1:], "this")
    inside = names(root)
    found = [Sym(name) for name in a.session.parameters if name in inside]
    if not found:
        raise NablispError(
            "value",
            f"{brief(root)} has no parameters to differentiate by",
            hint="declare them with params, or name them: (grad e x y)",
        )
    return found


@form_row("d", "(d e x …) or (d f)", "derivative by a name, or by several in turn; of a function of "
          "one argument, a function", (1, None), keywords=("raw",), example="(d (** x 3) x)")  # fmt: skip
def d(a: Arguments) -> Any:
    e, *by = a.given
    if kind_of(e) == "function" and not by:
        return _derived(a, e)
    root = _formula(e, "what d differentiates")
    if not by:
        raise NablispError(
            "arity", "d takes an expression and a name", hint="(d e x); all parameters: (grad e)"
        )
    raw = expect(a.named.get("raw", False), ("boolean",), ":raw")
    for symbol in _symbols(by, "d"):
        root = (
            diff.raw(root, symbol) if raw else diff.derivative(root, symbol, a.session.shapes)
        )
        a.session.budget.node(len(postorder(root)))
    return plain(root)


def _derived(a: Arguments, function: Value) -> Machine:
    """The derivative of a function of one argument, as a function."""
    if isinstance(function, Closure):
        count, name = len(function.parameters), function.parameters[0] if function.parameters else ""
    elif isinstance(function, Formula):
        count, name = len(function.arguments), function.arguments[0].name
    else:
        least, most = function.arity
        count, name = (1 if least <= 1 and (most is None or most >= 1) else least), "x"
    if count != 1:
        raise NablispError(
            "arity", f"(d f) takes a function of one argument, and this one has {count}",
            hint="apply it to names first: (d (f x y) x)")  # fmt: skip
    while a.session.find(name) is not None:
        name += "'"
    argument = Sym(name)
    body = yield Application(function, (argument,))
    slope = diff.derivative(_formula(body, "the function's value"), argument, a.session.shapes)
    label = getattr(function, "name", "") or "f"
    return Formula(f"(d {label})", (argument,), slope)


@form_row("grad", "(grad e x …)", "derivatives by the parameters in e, or by the names given: of "
          "several scalars a vector, of one array its own shape", (1, None))  # fmt: skip
def grad(a: Arguments) -> Value:
    root = _formula(a.given[0], "what grad differentiates")
    by = _by(a, root)
    found = diff.gradient(root, by, a.session.shapes, look_inside=True)
    a.session.budget.node(len(postorder(*found)))
    if len(by) == 1:
        return plain(found[0])
    _only_scalars(a, by, "grad")
    return array_of(a.session, [plain(slope) for slope in found])


def _only_scalars(a: Arguments, by: list[Sym], what: str) -> None:
    for symbol in by:
        if shape := a.session.shapes.get(symbol.name, ()):
            raise NablispError(
                "shape",
                f"{symbol.name} has shape {sh.show(shape)}, and {what} by several names takes "
                "numbers",
                hint=f"one at a time: ({what} e {symbol.name})",
            )


@form_row("hessian", "(hessian e x …)", "second derivatives by the parameters in e, or by the names "
          "given: a symmetric matrix", (1, None))  # fmt: skip
def hessian(a: Arguments) -> Value:
    root = _formula(a.given[0], "what hessian differentiates")
    by = _by(a, root)
    shapes = a.session.shapes
    if len(by) == 1 and shapes.get(by[0].name):
        slope = diff.gradient(root, by, shapes)[0]
        return _jacobian(a, slope, by[0])
    _only_scalars(a, by, "hessian")
    return _rows(a, diff.hessian(root, by, shapes))


def _rows(a: Arguments, rows: list[list[Expr]]) -> Value:
    """A matrix of expressions."""
    session = a.session
    return array_of(session, [array_of(session, [plain(cell) for cell in row]) for row in rows])


@form_row("jacobian", "(jacobian [e1 e2] x …)", "derivatives of several expressions: a row for each, "
          "a column for each name", (1, None))  # fmt: skip
def jacobian(a: Arguments) -> Value:
    root = _formula(a.given[0], "what jacobian differentiates")
    by = _by(a, root)
    shapes = a.session.shapes
    if len(by) == 1 and shapes.get(by[0].name):
        return _jacobian(a, root, by[0])
    _only_scalars(a, by, "jacobian")
    if isinstance(root, Call) and root.op.name == "stack" and len(a.session.shape(root)) == 1:
        return _rows(a, diff.jacobian(root.args, by, shapes))
    columns = [plain(diff.derivative(root, symbol, shapes)) for symbol in by]
    if any(isinstance(c, Expr) for c in columns):
        nodes = tuple(as_expr(column) for column in columns)
        node = Call(OPS["stack"], nodes, (("axis", -1),))
        a.session.shape(node)
        return node
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _jacobian(a: Arguments, root: Expr, by: Sym) -> Value:
    """By one array: a gradient for every element of a fixed number of them."""
    shape = a.session.shape(root)
    if ROWS in shape or len(shape) > 1:
        raise NablispError(
            "shape", f"this has shape {sh.show(shape)}; a jacobian by an array is of a vector",
            hint="make it one number per element first")  # fmt: skip
    if not shape:
        return plain(diff.gradient(root, [by], a.session.shapes)[0])
    rows = [
        diff.gradient(Call(OPS["ref"], (root,), (("index", (i,)),)), [by], a.session.shapes)[0]
        for i in range(int(shape[0]))
    ]
    return array_of(a.session, [plain(row) for row in rows])


@form_row("simplify", "(simplify e)", "the same formula, tidied", (1, 1))
def simplify(a: Arguments) -> Value:
    from .simplify import simplify as tidy

    root = _formula(a.given[0], "what simplify tidies")
    return plain(tidy(root, a.session.shapes))


@form_row("subst", "(subst e :x 2)", "e with names replaced by expressions, all at once", (1, 1),
          keywords=None, example="(subst (* a x) :x (+ y 1))")  # fmt: skip
def subst(a: Arguments) -> Value:
    root = _formula(a.given[0], "what subst replaces in")
    new = {Sym(n): _formula(v, f":{n}") for n, v in a.named.items()}
    _used(root, a)
    found = substitute([root], new)[0]
    value = simplest(a.session, found)
    if isinstance(value, Expr):
        a.session.shape(value)
    return value


def _used(root: Expr, a: Arguments) -> None:
    inside = names(root)
    for name in a.named:
        if name not in inside:
            from .elaborate import unknown_keyword

            raise unknown_keyword(name, "this formula", tuple(inside), a.spans.get(name))


@form_row("val", "(val e :x 2 …)", "the value of e: names given here first, then parameters and "
          "columns", (1, 1), keywords=None, example="(val (* m x) :x 3)")  # fmt: skip
def val(a: Arguments) -> Value:
    value = a.given[0]
    if kind_of(value) not in ("expression", "number", "array", "boolean"):
        raise NablispError("type", f"val takes a formula, not {a_kind(value)}: {brief(value)}")
    for name, given in a.named.items():
        expect(given, ("number", "array", "boolean"), f":{name}")
    return a.session.value(as_expr(value), a.named) if isinstance(value, Expr) else value


@form_row("latex", "(latex e)", "the formula as LaTeX", (1, 1))
def latex(a: Arguments) -> Value:
    from .export import latex as write

    return write(_formula(a.given[0], "what latex writes"))


@form_row("define-derivative", "(define-derivative (f z) e)", "give a function of one argument its "
          "derivative; checked against differences", (2, 2), raw=True)  # fmt: skip
def define_derivative(a: Arguments) -> Machine:
    target, body = a.given
    match target:
        case List((Symbol(name), Symbol(argument))):
            pass
        case _:
            raise NablispError("syntax", "this takes (f z) and a formula in z", span=target.span,
                               hint="(define-derivative (f z) (cos z))")  # fmt: skip
    found = a.session.find(name)
    if found is None or not isinstance(found[0], (Closure, Formula)):
        raise NablispError("unbound-name", f"{name} is no function defined here", span=target.span,
                           hint=f"define it first: (define ({name} {argument}) …)")  # fmt: skip
    from .values import Scope

    z = Sym("x")
    means = yield Application(found[0], (z,))
    scope = Scope({argument: z}, a.scope)
    slope = yield body, scope
    means, slope = _formula(means, f"({name} {argument})"), _formula(slope, "the derivative")
    for formula in (means, slope):
        if extra := [n for n in names(formula) if n != "x"]:
            raise NablispError("name", f"only {argument} may occur, not {', '.join(extra)}",
                               span=target.span)  # fmt: skip
    row = Op(name, f"{name}, with a derivative of its own", (1, 1), means=means, partials=(slope,),
             latex=rf"\operatorname{{{{{name}}}}}\left({{x}}\right)")  # fmt: skip
    _check_slope(a, row, means, slope, name)
    a.session.define(name, row, target.span, quiet=True)
    return None


def _check_slope(a: Arguments, row: Op, means: Expr, slope: Expr, name: str) -> None:
    points = np.array([-1.7, -0.61, 0.37, 1.29, 2.71])
    step = 1e-6 * np.maximum(1, np.abs(points))
    from .evaluate import evaluate

    above = evaluate([means], {"x": points + step})[0]
    below = evaluate([means], {"x": points - step})[0]
    said = np.broadcast_to(evaluate([slope], {"x": points})[0], points.shape)
    with np.errstate(all="ignore"):
        seen = np.broadcast_to((above - below) / (2 * step), points.shape)
    wrong = np.isfinite(seen) & (np.abs(said - seen) > 1e-4 * (1 + np.abs(seen)))
    wrong |= np.isfinite(seen) & ~np.isfinite(said)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise NablispError(
            "gradient",
            f"at {points[i]:g} this derivative of {name} is {said[i]:.6g}, and differences give "
            f"{seen[i]:.6g}",
        )


@form_row("check-grad", "(check-grad e x …)", "derivative against central differences at random "
          "points: the largest relative difference", (1, None))  # fmt: skip
def check_grad(a: Arguments) -> Value:
    root = _formula(a.given[0], "what check-grad checks")
    inside = names(root)
    by = _symbols(a.given[1:], "check-grad") or [
        s for s in inside.values() if s.name not in a.session.columns
    ]
    if not by:
        raise NablispError("value", f"{brief(root)} has no names to differentiate by")
    if a.session.shape(root):
        root = Call(OPS["sum"], (root,))
    slopes = diff.gradient(root, by, a.session.shapes)
    random = np.random.Generator(np.random.Philox(key=7))
    worst = 0.0
    for _ in range(5):
        point = {
            n: random.uniform(0.3, 1.7, a.session.shapes.get(n) or ())
            for n in inside
            if n not in a.session.columns
        }
        at = {n: v if np.ndim(v) else float(v) for n, v in point.items()}
        said = [a.session.value(slope, at) for slope in slopes]
        for symbol, slope in zip(by, said, strict=True):
            worst = max(worst, _difference(a, root, symbol, slope, at, random))
    if not worst <= 1e-5:
        raise NablispError(
            "gradient", f"derivative and differences of {brief(root)} differ by {worst:.2g}",
            hint="a kink nearby, a loss of digits, or a wrong define-derivative")  # fmt: skip
    return worst


def _difference(
    a: Arguments, root: Expr, by: Sym, slope: Any, at: dict[str, Any], random: Any
) -> float:
    """Directional derivative against a central difference along one random direction."""
    here = at.get(by.name)
    if here is None:
        raise NablispError("value", f"{by.name} is a column; differences move parameters and names")
    direction = random.normal(size=np.shape(here))
    step = 1e-6
    up = a.session.value(root, {**at, by.name: _scalar(here + step * direction)})
    down = a.session.value(root, {**at, by.name: _scalar(here - step * direction)})
    seen = (up - down) / (2 * step)
    said = float(np.sum(slope * direction))
    if not (np.isfinite(seen) and np.isfinite(said)):
        return 0.0 if np.isnan(seen) == np.isnan(said) else float("inf")
    rounding = 1e-16 * max(abs(up), abs(down)) / step
    return max(0.0, abs(said - seen) - 4 * rounding) / max(abs(said), abs(seen), 1e-3)


def _scalar(value: Any) -> Any:
    return value if np.ndim(value) else float(value)


