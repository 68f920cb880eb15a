"""The forms of derivatives and values: rows of SPECIAL over derivative.py and evaluate.py."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import derivative as diff
from . import shapes as sh
from .elaborate import Application, Machine, form_row
from .errors import NablispError, Span, meant, nearest
from .evaluate import evaluate
from .expr import OPS, Call, Expr, Op, Sym, as_expr, names, plain, postorder, substitute
from .forms import List, Symbol
from .operations import array_of, call_op, formula_of, simplest
from .printer import brief
from .scope import Scope
from .shapes import ROWS, Shape, ShapeEnv, is_boolean
from .values import (
    Arguments,
    Closure,
    Formula,
    Value,
    described,
    expect,
    kind_of,
)


def _formula(value: Value, what: str, span: Span | None = None) -> Expr:
    return as_expr(expect(value, ("number", "array", "expression"), what, span))


def _symbols(a: Arguments, what: str) -> list[Sym]:
    """The names after the first argument."""
    for i, value in enumerate(a.given[1:], 1):
        if not isinstance(value, Sym):
            raise NablispError(
                "type",
                f"{what} differentiates by names, not by {described(value)}",
                span=a.at(i),
                hint="a name that is defined stands for its value; use a free or declared name",
            )
    return a.given[1:]


def _by(a: Arguments, root: Expr, what: str) -> list[Sym]:
    """The names given after the expression, else the parameters that occur in it."""
    if len(a.given) > 1:
        return _symbols(a, what)
    inside = names(root)
    found = [Sym(name) for name in a.session.parameters if name in inside]
    if not found:
        raise NablispError(
            "value",
            f"{brief(root)} has no parameters to differentiate by",
            hint="declare them with params, or name them: (grad e x y)",
        )
    return found


@form_row(
    "d",
    "(d e x …) or (d f)",
    "derivative by a name, or by several in turn; of a function of one argument, a function",
    (1, None),
    keywords=("raw",),
    example="(d (** x 3) x)",
)
def d(a: Arguments) -> Any:
    e, *by = a.given
    raw = expect(a.named.get("raw", False), ("boolean",), ":raw", a.at("raw"))
    if kind_of(e) == "function" and not by:
        return _derived(a, e)
    root = _formula(e, "what d differentiates", a.at(0))
    if not by:
        raise NablispError(
            "arity", "d takes an expression and a name", hint="(d e x); all parameters: (grad e)"
        )
    for symbol in _symbols(a, "d"):
        root = diff.raw(root, symbol) if raw else _slope(root, symbol, a.session.shapes)
        a.session.budget.node(len(postorder(root)))
    return _found(a, root)


def _slope(root: Expr, by: Sym, shapes: ShapeEnv) -> Expr:
    """The derivative; of `[e1 e2]` that of each part."""
    if isinstance(root, Call) and root.op.name == "stack" and not shapes.get(by.name):
        parts = tuple([_slope(part, by, shapes) for part in root.args])
        return Call(root.op, parts, root.options)
    return diff.derivative(root, by, shapes)


def _found(a: Arguments, root: Expr) -> Value:
    """A derivative as a value: computed where no name is left in it."""
    if not isinstance(root, Call) or any(
        isinstance(node, Sym) or (isinstance(node, Call) and not node.args)
        for node in postorder(root)
    ):
        return plain(root)
    return simplest(a.session, root)


def _derived(a: Arguments, function: Value) -> Machine:
    """The derivative of a function of one argument, as a function."""
    name = "x"
    least, most = getattr(function, "arity", (0, None))
    if isinstance(function, (Closure, Formula)):
        least = most = len(function.parameters)
        name = str(function.parameters[0]) if least else name
    if least > 1 or most == 0:
        raise NablispError(
            "arity",
            f"(d f) takes a function of one argument, and this one has {least}",
            hint="apply it to names first: (d (f x y) x)",
        )
    fresh = _fresh(name)
    body = _formula((yield Application(function, (fresh,))), "the function's value", a.at(0))
    slope = diff.derivative(body, fresh, a.session.shapes)
    while name in names(slope) or a.session.find(name) is not None:
        name += "_"
    slope = substitute([slope], {fresh: Sym(name)})[0]
    return Formula(f"(d {getattr(function, 'name', '') or 'f'})", (Sym(name),), slope)


def _fresh(name: str) -> Sym:
    """A name that no program has, and that reads like this one."""
    return Sym(f"{name} ")


@form_row(
    "grad",
    "(grad e x …)",
    "derivatives by the parameters in e, or by the names given: of "
    "several scalars a vector, of one array its own shape",
    (1, None),
)
def grad(a: Arguments) -> Value:
    root = _formula(a.given[0], "what grad differentiates", a.at(0))
    by = _by(a, root, "grad")
    found = diff.gradient(root, by, a.session.shapes, look_inside=True)
    a.session.budget.node(len(postorder(*found)))
    if len(by) == 1:
        return _found(a, found[0])
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


@form_row(
    "hessian",
    "(hessian e x …)",
    "second derivatives by the parameters in e, or by the names given: a symmetric matrix",
    (1, None),
)
def hessian(a: Arguments) -> Value:
    root = _formula(a.given[0], "what hessian differentiates", a.at(0))
    by = _by(a, root, "hessian")
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


@form_row(
    "jacobian",
    "(jacobian [e1 e2] x …)",
    "derivatives of several expressions: a row for each, a column for each name",
    (1, None),
)
def jacobian(a: Arguments) -> Value:
    root = _formula(a.given[0], "what jacobian differentiates", a.at(0))
    by = _by(a, root, "jacobian")
    shapes = a.session.shapes
    if len(by) == 1 and shapes.get(by[0].name):
        return _jacobian(a, root, by[0])
    _only_scalars(a, by, "jacobian")
    if isinstance(root, Call) and root.op.name == "stack" and len(a.session.shape(root)) == 1:
        return _rows(a, diff.jacobian(root.args, by, shapes))
    columns = [_found(a, diff.derivative(root, symbol, shapes)) for symbol in by]
    if any(isinstance(c, Expr) for c in columns):
        if sh.same_rows([a.session.shape(as_expr(column)) for column in columns]):
            return array_of(a.session, columns)
        last = {"axis": len(a.session.shape(root))}
        return call_op(a.session, OPS["stack"], columns, last)
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)


def _jacobian(a: Arguments, root: Expr, by: Sym) -> Value:
    """By one array: a gradient for every element of a fixed number of them."""
    shape = a.session.shape(root)
    if ROWS in shape or len(shape) > 1:
        raise NablispError(
            "shape",
            f"this has shape {sh.show(shape)}; a jacobian by an array is of a vector",
            hint="make it one number per element first",
        )
    if not shape:
        return _found(a, diff.gradient(root, [by], a.session.shapes)[0])
    rows = [
        diff.gradient(Call(OPS["ref"], (root,), (("index", (i,)),)), [by], a.session.shapes)[0]
        for i in range(int(shape[0]))
    ]
    return array_of(a.session, [simplest(a.session, row) for row in rows])


@form_row("simplify", "(simplify e)", "the same formula, tidied", (1, 1))
def simplify(a: Arguments) -> Value:
    from .simplify import simplify as tidy

    root = _formula(a.given[0], "what simplify tidies", a.at(0))
    return plain(tidy(root, a.session.shapes))


@form_row(
    "subst",
    "(subst e :x 2)",
    "e with names replaced by expressions, all at once",
    (1, 1),
    keywords=None,
    example="(subst (* a x) :x (+ y 1))",
)
def subst(a: Arguments) -> Value:
    root = _formula(a.given[0], "what subst replaces in", a.at(0))
    inside = names(root)
    for name in a.named:
        if name not in inside:
            raise _not_inside(a, name, inside)
    new: dict[Expr, Expr] = {}
    for name, value in a.named.items():
        new[Sym(name)] = formula_of(value, f":{name}", a.at(name))
    value = simplest(a.session, substitute([root], new)[0])
    if isinstance(value, Expr):
        a.session.shape(value)
    return value


def _not_inside(a: Arguments, name: str, inside: Iterable[str]) -> NablispError:
    return NablispError(
        "keyword",
        f"there is no {name} in this formula",
        span=a.key(name),
        hint=meant(name, inside, f"its names are {', '.join(inside)}", mark=":")
        if inside
        else "it has no names",
    )


@form_row(
    "val",
    "(val e :x 2 … :bound true)",
    "the value of e: names given here first, then parameters and columns; with :bound true also "
    "how far rounding may have moved it",
    (1, 1),
    keywords=None,
    example="(val (* m x) :x 3)",
)
def val(a: Arguments) -> Value:
    value = expect(
        a.given[0], ("number", "boolean", "array", "expression"), "what val computes", a.at(0)
    )
    # a truth value is never what a name stands for, so a name `bound` can still be given a number
    bound = isinstance(a.named.get("bound"), bool) and a.named.pop("bound")
    for name, given in a.named.items():
        try:
            expect(given, ("number", "array"), f":{name}")
            if is_boolean(given):
                raise NablispError(
                    "type",
                    f":{name} holds true and false",
                    hint="choose numbers with where: (where c 1 0)",
                )
        except NablispError as error:
            raise error.at(a.at(name)) from None
    if not isinstance(value, Expr):
        if not bound:
            return value
        from .rounding import bounded

        return bounded(as_expr(value), {}, a.session.budget)
    _refuse_misspelt(a, names(value))
    return a.session.value(value, a.named, bound=bound)


def _refuse_misspelt(a: Arguments, inside: Iterable[str]) -> None:
    """A name given in vain is fine, for a derivative may have lost it; one mistyped is not."""
    left = [name for name in inside if name not in a.named]
    for name in a.named:
        a.session.budget.step()
        if name not in inside and name not in a.session.shapes and nearest(name, left):
            raise _not_inside(a, name, left)


@form_row("latex", "(latex e)", "the formula as LaTeX", (1, 1))
def latex(a: Arguments) -> Value:
    from .notation import latex as write

    return write(_formula(a.given[0], "what latex writes", a.at(0)))


@form_row(
    "define-derivative",
    "(define-derivative (f z) e)",
    "give a function of one argument its derivative; checked against differences",
    (2, 2),
    raw=True,
)
def define_derivative(a: Arguments) -> Machine:
    target, body = a.given
    match target:
        case List((Symbol(name), Symbol(argument))):
            pass
        case _:
            raise NablispError(
                "syntax",
                "this takes (f z) and a formula in z",
                span=target.span,
                hint="(define-derivative (f z) (cos z))",
            )
    found = a.session.find(name)
    if found is None or not isinstance(found[0], (Closure, Formula)):
        built_in = found is not None and isinstance(found[0], Op)
        raise NablispError(
            "name" if built_in else "unbound-name",
            f"{name} has its derivative already"
            if built_in
            else f"{name} is no function defined here",
            span=target.items[0].span,
            hint="" if built_in else f"define it first: (define ({name} {argument}) …)",
        )
    fresh = _fresh(argument)
    means = yield Application(found[0], (fresh,))
    slope = yield body, Scope({argument: fresh}, a.scope)
    means = formula_of(means, f"({name} {argument})", target.span)
    slope = formula_of(slope, "the derivative", body.span)
    for formula, form in ((means, target), (slope, body)):
        if shape := a.session.shape(formula):
            raise NablispError(
                "shape",
                f"this has shape {sh.show(shape)}, and a derivative is given to a function whose "
                "value is a number",
                span=form.span,
            )
        if extra := [n for n in names(formula) if n != fresh.name]:
            raise NablispError(
                "name", f"only {argument} may occur, not {', '.join(extra)}", span=form.span
            )
    means, slope = substitute([means, slope], {fresh: Sym("x")})
    _check_slope(means, slope, name)
    row = Op(
        name,
        f"{name}, with a derivative of its own",
        (1, 1),
        means=means,
        partials=(slope,),
        exact=all(node.op.exact for node in postorder(means) if isinstance(node, Call)),
    )
    a.session.define(name, row, target.span, quiet=True)
    return None


def _check_slope(means: Expr, slope: Expr, name: str) -> None:
    """Refuse a derivative that central differences contradict."""
    points = np.array([-1.7, -0.61, 0.37, 1.29, 2.71])
    step = 1e-6 * np.maximum(1, np.abs(points))
    above, below = (evaluate([means], {"x": points + h})[0] for h in (step, -step))
    said = np.broadcast_to(evaluate([slope], {"x": points})[0], points.shape)
    with np.errstate(all="ignore"):
        seen = np.broadcast_to((above - below) / (2 * step), points.shape)
    wrong = np.isfinite(seen) & ~(np.abs(said - seen) <= 1e-4 * (1 + np.abs(seen)))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise NablispError(
            "gradient",
            f"at {points[i]:g} this derivative of {name} is {said[i]:.6g}, and differences give "
            f"{seen[i]:.6g}",
        )


@form_row(
    "check-grad",
    "(check-grad e x …)",
    "derivative against central differences at random points: the largest relative difference",
    (1, None),
)
def check_grad(a: Arguments) -> Value:
    root = _formula(a.given[0], "what check-grad checks", a.at(0))
    session = a.session
    inside = [name for name in names(root) if name not in session.columns]
    by = _symbols(a, "check-grad") or [Sym(name) for name in inside]
    if not by:
        raise NablispError("value", f"{brief(root)} has no names to differentiate by")
    for i, symbol in enumerate(by, 1):
        if symbol.name in session.columns:
            raise NablispError(
                "value",
                f"{symbol.name} is a column, and only parameters and free names are moved",
                span=a.at(i),
            )
    if session.shape(root):
        root = Call(OPS["sum"], (root,))
    slopes = diff.gradient(root, by, session.shapes)
    random = np.random.Generator(np.random.Philox(key=7))
    found = []
    for _ in range(5):
        at = {n: _drawn(random, session.shapes.get(n, ())) for n in inside}
        for symbol, slope in zip(by, slopes, strict=True):
            found.append(_difference(a, root, symbol, slope, at, random))
    apart = [difference for difference in found if difference is not None]
    if not apart:
        raise NablispError(
            "value",
            f"{brief(root)} is not finite anywhere near 1",
            hint="check it where it is: (val (d e x) :x …)",
        )
    if not max(apart) <= 1e-5:
        raise NablispError(
            "gradient",
            f"derivative and differences of {brief(root)} differ by {max(apart):.2g}",
            hint="a kink nearby, a loss of digits, or a wrong define-derivative",
        )
    return max(apart)


def _drawn(random: np.random.Generator, shape: Shape) -> Any:
    """Numbers near 1: most functions are at home there."""
    point = random.uniform(0.3, 1.7, [int(length) for length in shape])
    return point if shape else float(point)


def _difference(
    a: Arguments, root: Expr, by: Sym, slope: Expr, at: dict[str, Any], random: np.random.Generator
) -> float | None:
    """How far the derivative is from a central difference along one direction, relatively.

    None where the function is not finite.
    """
    here, step = at.get(by.name, 1.0), 1e-6
    direction = random.normal(size=np.shape(here)) if np.ndim(here) else 1.0
    up, down = (a.session.value(root, {**at, by.name: here + h * direction}) for h in (step, -step))
    if not (np.isfinite(up) and np.isfinite(down)):
        return None
    seen = (up - down) / (2 * step)
    said = float(np.sum(a.session.value(slope, {**at, by.name: here}) * direction))
    if not np.isfinite(said):
        return math.inf
    rounding = 4e-16 * max(abs(up), abs(down)) / step
    return float(max(0.0, abs(said - seen) - rounding) / max(abs(said), abs(seen), 1e-3))
