"""The forms of fits: rows of SPECIAL over fitter.py and intervals.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Columns
from .elaborate import Machine, form_row
from .errors import NablispError
from .expr import Expr, as_expr
from .forms import Array, Form, Number
from .running import watcher, word, words
from .values import Arguments, Value, described, expect
from .views import Pair

if TYPE_CHECKING:
    from .certificate import FitResult


@form_row(
    "fit",
    "(fit y model …)",
    "least squares, with standard errors and a certificate: [y1 y2] [m1 m2] for several responses; "
    "robust with :loss huber, soft-l1 or cauchy",
    (2, 2),
    raw=True,
    keywords=("sigma", "weights", "loss", "scale", "starts", "fixed", "seconds", "threads"),
    example="(fit y (* a (exp (* k x))) :sigma 0.1)",
)
def fit(a: Arguments) -> Machine:
    from .fit_options import FitOptions, in_fit_range, weighing
    from .fitter import fitted

    session = a.session
    responses = yield from _formulas(a, a.given[0], "the response")
    models = yield from _formulas(a, a.given[1], "the model")
    chosen: dict[str, Any] = {"threads": session.threads}
    columns = Columns(session.columns)
    fixed = {name for name, p in session.parameters.items() if p.fixed}
    for key, form in a.named.items():
        match key:
            case "sigma" | "weights":
                found = yield from _values(a, form, f":{key}")
                try:
                    chosen[key] = weighing(found, len(responses), key, columns)
                except NablispError as error:
                    raise error.at(form.span) from None
            case "loss":
                chosen[key] = word(form)
            case "fixed":
                fixed |= set(words(form))
            case _:
                value = expect((yield form, a.scope), ("number",), f":{key}", form.span)
                try:
                    chosen[key] = in_fit_range(key, value)
                except NablispError as error:
                    raise error.at(form.span) from None
    held = session.parameters
    options = FitOptions(
        bounds={n: (p.low, p.high) for n, p in held.items() if (p.low, p.high) != (None, None)},
        fixed=frozenset(fixed),
        **chosen,
    )
    start = {name: p.value for name, p in held.items()}
    with watcher(session, False) as see:
        result = fitted(responses, models, start, columns, options, session.budget, see)
    for name, value in result.params.items():
        held[name].value = value
    session.interrupted = result.interrupted
    session.fits = a.form
    session.runs.append(result)
    pairs = [Pair(model, y) for model, y in zip(models, responses, strict=True)]
    session.compared = lambda: pairs
    if session.explain:
        session.note(result.work)
    return result


def _formulas(a: Arguments, form: Form, what: str) -> Machine:
    """One formula, or the formulas in brackets."""
    values = yield from _values(a, form, what)
    found: list[Expr] = [as_expr(value) for value in values]
    return found


def _values(a: Arguments, form: Form, what: str) -> Machine:
    """The value of a form; of a list in brackets the values, unless they are numbers."""
    several = isinstance(form, Array) and not any(_is_number(item) for item in form.items)
    found = []
    for item in form.items if several and isinstance(form, Array) else (form,):
        value = yield item, a.scope
        found.append(expect(value, ("number", "array", "expression"), what, item.span))
    return found


def _is_number(form: Form) -> bool:
    return isinstance(form, (Array, Number))


def _result(a: Arguments, what: str) -> FitResult:
    from .certificate import FitResult

    found = a.given[0]
    if not isinstance(found, FitResult):
        raise NablispError(
            "type",
            f"{what} takes the result of a fit, not {described(found)}",
            span=a.at(0),
            hint="(define r (fit y model))",
        )
    return found


def _level(a: Arguments) -> float:
    from .intervals import in_level

    value = a.named.pop("level", 0.95)
    try:
        return in_level(float(expect(value, ("number",), ":level", a.at("level"))))
    except NablispError as error:
        raise error.at(a.at("level")) from None


@form_row(
    "predict",
    "(predict r :x [1 2] :level 0.95)",
    "a fitted model at other rows, with standard errors and the band for new observations",
    (1, 1),
    keywords=None,
    example="(predict r :x 3)",
)
def predict(a: Arguments) -> Value:
    result = _result(a, "predict")
    level = _level(a)
    given = {
        name: np.atleast_1d(expect(value, ("number", "array"), f":{name}", a.at(name)))
        for name, value in a.named.items()
    }
    longest = max((len(v) for v in given.values()), default=0)
    data = {n: np.repeat(v, longest, axis=0) if len(v) == 1 else v for n, v in given.items()}
    return result.predict(data or None, level)


@form_row(
    "confidence",
    "(confidence r :level 0.95)",
    "confidence intervals of a fit's parameters, by profiling",
    (1, 1),
    keywords=("level",),
)
def confidence(a: Arguments) -> Value:
    return _result(a, "confidence").confidence(_level(a))
