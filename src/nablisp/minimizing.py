"""The forms of minima and curvature: rows of SPECIAL over minimize.py and advise.py."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np

from .elaborate import SPECIAL, Machine, form_row
from .errors import NablispError, meant
from .expr import Expr, as_expr, names
from .forms import Form, Keyword, List, Symbol
from .options import Options
from .printer import brief
from .results import Result
from .running import backend, setting, trained, watched, word, words
from .shapes import is_boolean
from .values import Arguments, Value, expect, kind_of


@form_row(
    "minimize",
    "(minimize e :from ((x -1.2) (y 1)) …)",
    "the lowest point of e near a start: of free names, with bounds like (x 1 :min 0 :max 2), or "
    "without :from of the parameters, which move; :by newton or lbfgs, else the choice is by size",
    (1, 1),
    raw=True,
    keywords=("from", "by", "wrt", "steps", "seconds", "tol", "until", "backend", "threads"),
    example="(minimize (+ (** (- x 1) 2) (** y 2)) :from ((x 0) (y 3)))",
)
def minimize(a: Arguments) -> Machine:
    from .minimizer import minimizing

    session = a.session
    value = yield a.given[0], a.scope
    loss = as_expr(expect(value, ("number", "array", "expression"), "what to minimize", a.at(0)))
    chosen: dict[str, Any] = {
        "by": "",
        "backend": session.backend,
        "threads": session.threads,
    }
    starts: dict[str, Value] | None = None
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for key, form in a.named.items():
        match key:
            case "by":
                chosen[key] = word(form)
            case "backend":
                chosen[key] = backend(form)
            case "wrt":
                chosen[key] = words(form)
            case "until":
                value = yield form, a.scope
                chosen[key] = as_expr(expect(value, ("boolean", "expression"), ":until", form.span))
            case "from":
                starts, bounds = yield from _starts(a, form)
            case _:
                chosen[key] = yield from setting(a, form, key, f":{key}")
    if starts is None:
        _check_free(a, loss, session.shapes)
        return trained(a, loss, chosen, partial(minimizing, word="minimize"))
    return _from_starts(a, loss, starts, bounds, chosen)


def _starts(a: Arguments, form: Form) -> Machine:
    """`((x -1.2) (y 1 :min 0))`: starts and bounds by name."""
    if not isinstance(form, List) or not form.items:
        raise _malformed(form)
    found: dict[str, Value] = {}
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for pair in form.items:
        match pair:
            case List((Symbol(name), start, *facts)) if name not in found:
                pass
            case List((Symbol(name), _, *_)):
                raise NablispError("name", f"{name} has two starts", span=pair.span)
            case _:
                raise _malformed(pair)
        value = expect((yield start, a.scope), ("number", "array"), f"the start of {name}")
        if is_boolean(value) or not np.size(value) or not np.isfinite(value).all():
            raise NablispError("value", f"{name} cannot start at {brief(value)}", span=start.span)
        sides: dict[str, float] = {}
        for key, side in zip(facts[::2], facts[1::2], strict=False):
            if not isinstance(key, Keyword) or key.name not in ("min", "max"):
                raise _malformed(pair)
            bound = yield side, a.scope
            sides[key.name] = expect(bound, ("number",), f":{key.name}", side.span)
        if len(facts) % 2 or any(np.isnan(side) for side in sides.values()):
            raise _malformed(pair)
        found[name] = value
        if sides:
            bounds[name] = sides.get("min"), sides.get("max")
    return found, bounds


def _malformed(form: Form) -> NablispError:
    return NablispError(
        "syntax",
        f":from takes names with starts, not {brief(form)}",
        span=form.span,
        hint=":from ((x -1.2) (y 1 :min 0 :max 2))",
    )


def _from_starts(
    a: Arguments,
    loss: Expr,
    starts: dict[str, Value],
    bounds: dict[str, tuple[float | None, float | None]],
    chosen: dict[str, Any],
) -> Value:
    """Minimise over the names of `:from`; nothing in the session moves."""
    session = a.session
    inside = names(loss)
    for name in starts:
        if name in session.columns:
            raise NablispError(
                "value", f"{name} is a column, and columns do not move", span=a.at("from")
            )
        if name not in inside:
            raise NablispError(
                "unbound-name",
                f":from names {name}, which is not in the formula",
                span=a.at("from"),
                hint=meant(name, inside, f"its names are {', '.join(inside) or 'none'}"),
            )
    held = {n: p.value for n, p in session.parameters.items()}
    _check_free(a, loss, {**session.shapes, **starts})
    chosen.setdefault("wrt", tuple(starts))
    options = Options(bounds=bounds, **chosen)
    from .minimizer import minimizing

    run: Generator[Any, None, Result] = minimizing(
        loss, {**held, **starts}, session.columns, options, session.budget
    )
    return watched(run, session)


def _check_free(a: Arguments, loss: Expr, known: Any) -> None:
    """Refuse names that have no value."""
    for name in names(loss):
        if name not in known:
            raise NablispError(
                "unbound-name",
                f"{name} has no value",
                span=a.at(0),
                hint=f"give it a start: :from (({name} 0)), or declare it: (params {name})",
            )


@form_row(
    "advise",
    "(advise loss)",
    "what the curvature of a loss allows: the largest stable single learning rate, the condition "
    "number, one rate for each parameter, and the steps to expect; :lr auto takes these rates",
    (1, 1),
    raw=True,
    keywords=("wrt",),
)
def advise(a: Arguments) -> Machine:
    session = a.session
    value = yield a.given[0], a.scope
    if kind_of(value) != "expression":
        raise NablispError(
            "type",
            f"advise takes a loss, a formula of parameters, not {brief(value)}",
            span=a.at(0),
            hint=SPECIAL["advise"].signature,
        )
    wrt = words(a.named["wrt"]) if "wrt" in a.named else None
    if wrt is None and any(p.fixed for p in session.parameters.values()):
        wrt = tuple(n for n, p in session.parameters.items() if not p.fixed)
    options = Options(wrt=wrt, backend=session.backend, threads=session.threads)
    held = {n: p.value for n, p in session.parameters.items()}
    from .advice import advised

    return advised(value, held, session.columns, options, session.budget)
