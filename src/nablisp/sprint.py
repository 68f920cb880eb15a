"""From a model to a descent that is machine code as a whole: Levenberg and Marquardt's steps.

One pass over the rows for each step: sums of products of slopes, whose damped equations are solved
as formulas, too. For problems that are met again or are large, well posed and of few parameters; it
makes no claims: what it comes to is polished and judged like any point, and where it fails the
careful way is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import backends
from .accurate import accurate
from .backends import Step
from .errors import NablispError
from .expr import Expr, Sym, call, sum_of
from .least_squares import Descent
from .model import Model
from .unroll import MOST

Vector = np.ndarray[Any, Any]

FEW = 8
"""Parameters up to which the equations are written out."""
LIMIT = 60
"""Steps after which the careful way is better."""
SURE, FLAT = 1e-26, 1e-14
"""Squares of the relative offset at which it ends: for certain, and once it falls no more."""
ROUNDING = 1 + 1e-13
"""What a sum of squares may rise by in a step that is taken."""
START, EASE, CARE = 1e-3, 0.1, 5.0
"""The damping at first, and its factor after a step that was taken and after one that was not."""
REFUSED = 4
"""Steps that may be refused on a surface that is not treacherous."""


def step_of(model: Model, columns: Sequence[str]) -> Step:
    """One step: the parameters' own names hold the trial, names with a blank what was accepted."""
    p = len(model.names)
    pairs = [(i, j) for i in range(p) for j in range(i + 1)]
    squares, gradient, products = Sym(" f"), {}, {}
    rows = list(zip(model.residuals, model.slopes, strict=True))
    found = sum_of([model.summed(call("*", r, r), columns) for r, _ in rows])
    lower = call("and", call("finite?", found), call("<=", found, call("*", ROUNDING, squares)))

    def kept(name: str, new: Expr) -> Expr:
        following[name] = call("where", lower, new, Sym(name))
        return following[name]

    following: dict[str, Expr] = {n: Sym(n) for n in model.columns if n not in columns}
    f = kept(" f", found)
    for i in range(p):
        kept(f" b{i}", Sym(model.names[i]))
        new = sum_of([model.summed(call("*", s[i], r), columns) for r, s in rows])
        gradient[i] = kept(f" g{i}", new)
    for i, j in pairs:
        new = sum_of([model.summed(call("*", s[i], s[j]), columns) for _, s in rows])
        products[i, j] = kept(f" a{i} {j}", new)
    scale = [call("max", Sym(f" d{i}"), products[i, i]) for i in range(p)]
    following.update((f" d{i}", scale[i]) for i in range(p))
    damping = call("*", Sym(" damping"), call("where", lower, EASE, CARE))
    following[" damping"] = damping
    following[" refused"] = call("+", Sym(" refused"), call("where", lower, 0, 1))
    for i in range(p):
        products[i, i] = call("+", products[i, i], call("*", damping, scale[i]))
    move = _solved(products, [call("neg", gradient[i]) for i in range(p)])
    for i, name in enumerate(model.names):
        following[name] = call("+", following[f" b{i}"], move[i])
    drop = sum_of([call("neg", call("*", gradient[i], move[i])) for i in range(p)])
    still = call("and", call("<=", drop, call("*", FLAT, f)), call(">=", drop, Sym(" drop")))
    settled = call("or", call("<=", drop, call("*", SURE, f)), still)
    following[" settled"] = call("where", settled, 1, 0)
    following[" drop"] = drop
    stop = {"settled": call("=", Sym(" settled"), 1)}
    outputs = accurate(*following.values())
    return Step(dict(zip(following, outputs, strict=True)), stop)


def _solved(a: dict[tuple[int, int], Expr], right: list[Expr]) -> list[Expr]:
    """The solution of symmetric positive equations, lower half given, by L D Lᵀ."""
    p = len(right)
    lower: dict[tuple[int, int], Expr] = {}
    d: list[Expr] = []
    for j in range(p):
        value = a[j, j]
        for k in range(j):
            value = call("-", value, call("*", lower[j, k], lower[j, k], d[k]))
        d.append(value)
        for i in range(j + 1, p):
            value = a[i, j]
            for k in range(j):
                value = call("-", value, call("*", lower[i, k], lower[j, k], d[k]))
            lower[i, j] = call("/", value, d[j])
    x = list(right)
    for i in range(p):
        for k in range(i):
            x[i] = call("-", x[i], call("*", lower[i, k], x[k]))
    x = [call("/", x[i], d[i]) for i in range(p)]
    for i in reversed(range(p)):
        for k in range(i + 1, p):
            x[i] = call("-", x[i], call("*", lower[k, i], x[k]))
    return x


def _compiled(model: Model, columns: tuple[str, ...], threads: int | None) -> Any:
    """A stepper, one for each caller; None where native cannot take the model."""
    try:
        shapes = dict.fromkeys(columns, ("rows",))
        native = backends.named("native")
        return native.iterate(step_of(model, columns), columns, shapes, MOST, threads, None)
    except (NablispError, ImportError):
        return None


def sprint(
    model: Model,
    start: Vector,
    values: Mapping[str, Any],
    rows: int,
    threads: int | None = None,
) -> Descent | None:
    """A descent from a start; None where it does not settle.

    `values` are the model's columns, arrays of one length, or numbers.
    """
    columns = tuple(name for name in model.columns if np.ndim(values[name]))
    threads = threads if rows >= backends.THREADED else 1
    free = model.compiled.setdefault(("sprint", columns, threads), [])
    try:
        stepper = free.pop()  # atomic: one for each caller
    except IndexError:
        stepper = _compiled(model, columns, threads)
        if stepper is None:
            return None
    state = dict.fromkeys(stepper.step.next, 0.0)
    state.update(zip(model.names, start.tolist(), strict=True))
    state |= {" f": np.inf, " damping": START / EASE}
    state |= {n: float(values[n]) for n in model.columns if n not in columns}
    given = {name: values[name] for name in columns}
    stop, steps = None, 0
    while stop is None and steps < LIMIT:
        ran = stepper(state, given, [(0, rows)], LIMIT - steps)
        state, stop, steps = {**state, **ran.state}, ran.stop, steps + ran.steps
    free.append(stepper)
    if stop != "settled":
        return None
    p = range(len(model.names))
    b = np.array([state[f" b{i}"] for i in p])
    products = np.array([[state[f" a{max(i, j)} {min(i, j)}"] for j in p] for i in p])
    scale = np.sqrt(np.diag(products))
    try:
        triangle = scale, np.linalg.cholesky(products / np.outer(scale, scale)).T
    except np.linalg.LinAlgError:
        return None
    rough = state[" refused"] > REFUSED
    return Descent(b, float(state[" f"]), "settled", steps, rough, triangle)
