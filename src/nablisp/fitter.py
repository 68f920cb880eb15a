"""From responses, a model and columns to estimates with a certificate: least squares, whole.

What is asked is made into scalar formulas by row, checked, and solved: a descent from the start,
Newton's steps to the last digit, a judgement; and a search where the surface is treacherous.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import data as table
from .blocks import Block, Blocks, known
from .certificate import FitResult, Vector, errors, gathered, scalar_names
from .columns import Columns
from .errors import NablispError, nearest
from .evaluate import ROWS, as_value, evaluate
from .expr import Call, Expr, Num, Sym, as_expr, asked, names, postorder, substitute
from .least_squares import Bounds, descend, polish
from .limits import Budget
from .options import in_range
from .printer import brief, element
from .residuals import ROBUST, SCALE, Model, Rows, model_of, response_name, weight_name
from .search import Candidate, Search, judged
from .shapes import ShapeEnv, is_boolean, shape_of, show
from .symmetry import nearest_image, symmetries
from .trouble import trouble
from .unroll import unroll

FIT_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "scale": (lambda v: 0 < v < np.inf, "a positive number"),
    "starts": (lambda v: 0 <= v <= 1e6 and v == int(v), "a whole number from 0"),
}
"""What the options that are numbers may be, beside those of `options.RANGES`."""


def in_fit_range(name: str, value: Any) -> Any:
    """The value of an option, or NablispError "value" that says what it may be."""
    if name not in FIT_RANGES:
        return in_range(name, value)
    fits, words = FIT_RANGES[name]
    if isinstance(value, (bool, np.ndarray)) or not fits(value):
        raise NablispError("value", f":{name} must be {words}, not {brief(value)}")
    return int(value) if words.startswith("a whole") else float(value)


LARGE = 16_384
"""Rows up to which a fit holds all slopes."""
SAMPLES = 2_048, 65_536
"""How many rows are drawn from more to begin with, and to go on with."""
MOST = 500
"""Parameters, element by element, that a fit takes; train takes more."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit; see `fit`."""

    sigma: tuple[Expr, ...] | None = None
    weights: tuple[Expr, ...] | None = None
    loss: str | None = None
    scale: float | None = None
    starts: int | None = None
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    seconds: float | None = None
    threads: int | None = None


def fit(
    y: Any,
    model: Any,
    params: Mapping[str, Any],
    *,
    data: Any = None,
    sigma: Any = None,
    weights: Any = None,
    loss: str | None = None,
    scale: float | None = None,
    starts: int | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fixed: Sequence[str] = (),
    seconds: float | None = None,
    threads: int | None = None,
) -> FitResult:
    """Fit a model to data by least squares; the engine of `(fit y model …)` without a session.

    `y` is an expression or a column's name, `model` an expression of parameters and columns, with
    one value (or several) per row; lists of them make several responses. `params` maps names to
    starts (numbers or arrays), `data` names to columns, row axis first. `sigma` are standard
    deviations of the responses (errors are then not rescaled), `weights` relative weights, `loss`
    "huber", "soft-l1" or "cauchy" a robust loss with its `scale`; `starts` how many others to try.

    >>> r = fit("y", parse("(* a (exp (* k x)))"), {"a": 1, "k": 0}, data={"x": xs, "y": ys})
    >>> r.params["k"], r.se["k"], r.status

    Raises NablispError: "unbound-name" for a name without a value, "shape" where rows do not fit,
    "data" for what is not finite, "value" for an option out of range.
    """
    columns = Columns()
    columns.add(table.as_columns(data) if data is not None else {})
    responses = [_column(v, f" response {k}", columns) for k, v in enumerate(_listed(y))]
    models = [asked(v) for v in _listed(model)]
    chosen = FitOptions(
        sigma=_weighing(sigma, len(responses), "sigma", columns),
        weights=_weighing(weights, len(responses), "weights", columns),
        loss=loss,
        bounds=dict(bounds or {}),
        fixed=frozenset((fixed,) if isinstance(fixed, str) else fixed),
        **{
            name: in_fit_range(name, value)
            for name, value in (
                ("scale", scale),
                ("starts", starts),
                ("seconds", seconds),
                ("threads", threads),
            )
            if value is not None
        },
    )
    start = {name: as_value(value, name) for name, value in params.items()}
    return fitted(responses, models, start, columns, chosen)


def _listed(value: Any) -> list[Any]:
    """Several responses or models, or one; numbers in a list are a column."""
    several = isinstance(value, (list, tuple)) and value and not np.isscalar(value[0])
    names = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    return list(value) if several or names else [value]


def _column(value: Any, name: str, columns: Any) -> Expr:
    """A column's name, an expression, or numbers, which become a column of this name."""
    if isinstance(value, str):
        return Sym(value)
    if isinstance(value, (Expr, int, float)):
        return as_expr(value)
    word = name.split()[0]
    columns[name] = table.as_columns({word: value})[word]
    return Sym(name)


def _weighing(value: Any, count: int, name: str, columns: Any) -> tuple[Expr, ...] | None:
    """One weight for each response."""
    if value is None:
        return None
    listed = enumerate(_listed(value))
    found = tuple(_column(v, f" {name} {k}", columns) for k, v in listed)
    return found * count if len(found) == 1 else found


# ---- what is asked, as scalar formulas by row ------------------------------------------------------


@dataclass
class Problem:
    """A fit, checked: models as scalar formulas by row, and everything they are evaluated on."""

    models: tuple[Expr, ...]
    shown: tuple[Expr, ...]
    """the models as formulas of the parameters' elements, for reading"""
    responses: tuple[Expr, ...]
    titles: tuple[str, ...]
    weights: tuple[Expr, ...] | None
    params: dict[str, Any]
    """what is fitted, with its start"""
    shapes: dict[str, tuple[int, ...]]
    scalars: tuple[str, ...]
    """the parameters' elements, as the formulas name them"""
    bounds: Bounds
    start: Vector
    columns: Any
    options: FitOptions

    @property
    def measure(self) -> str:
        """What the residual standard deviation is called."""
        if self.options.sigma is not None:
            return "root of the reduced chi square"
        return "scale" if self.options.loss else "residual standard deviation"

    @cached_property
    def elements(self) -> list[str]:
        """The columns' elements that are used, as the formulas name them."""
        roots = (*self.models, *self.responses, *(self.weights or ()))
        inside = {name for root in roots for name in names(root)}
        return sorted(name for name in inside if name.partition("#")[0] in self.columns)

    @property
    def inside(self) -> list[str]:
        """The columns that are used."""
        return list(dict.fromkeys(name.partition("#")[0] for name in self.elements))

    @cached_property
    def model(self) -> Model:
        limited = [
            name
            for name, low, high in zip(self.scalars, self.bounds.low, self.bounds.high, strict=True)
            if np.isfinite(low) or np.isfinite(high)
        ]
        loss = self.options.loss
        return model_of(self.models, self.scalars, tuple(limited), self.weights is not None, loss)

    def values(self, columns: Mapping[str, Any], rows: int) -> dict[str, Any]:
        """What formulas by row are evaluated on: elements of columns, responses, weights."""
        found: dict[str, Any] = {name: _element(columns, name) for name in self.elements}
        env = {**found, ROWS: rows}
        for k, response in enumerate(self.responses):
            found[response_name(k)] = evaluate([response], env)[0]
        for k, weight in enumerate(self.weights or ()):
            found[weight_name(k)] = self._weight(evaluate([weight], env)[0], self.titles[k])
        return found

    def _weight(self, given: Any, title: str) -> Any:
        """What a residual is multiplied by: one over a deviation, or the root of a weight."""
        if self.options.sigma is not None:
            if not np.all(np.greater(given, 0)):
                raise NablispError("data", f"a standard deviation of {title} is not positive")
            return np.divide(1.0, given)
        if not np.all(np.greater_equal(given, 0)):
            raise NablispError("data", f"a weight of {title} is negative")
        return np.sqrt(given)


def posed(
    responses: Sequence[Expr],
    models: Sequence[Expr],
    params: Mapping[str, Any],
    columns: Any,
    options: FitOptions,
) -> Problem:
    """What is asked, checked; NablispError says what is wrong with it."""
    if len(responses) != len(models):
        raise NablispError(
            "arity",
            f"there are {len(responses)} responses and {len(models)} models",
            hint="(fit [y1 y2] [m1 m2])",
        )
    if options.loss is not None and options.loss not in ROBUST:
        close = nearest(options.loss, ROBUST)
        raise NablispError(
            "value",
            f"there is no robust loss called {options.loss}",
            hint=f"did you mean {close}?" if close else f"there are {', '.join(ROBUST)}",
        )
    if options.sigma is not None and options.weights is not None:
        raise NablispError(
            "value", ":sigma and :weights exclude each other", hint="1/sigma² is a weight"
        )
    for what in (options.sigma, options.weights):
        if what is not None and len(what) != len(responses):
            raise NablispError(
                "arity", f"there are {len(responses)} responses, and {len(what)} weights"
            )
    for name in options.fixed:
        if name not in params:
            close = nearest(name, params)
            raise NablispError(
                "unbound-name",
                f":fixed names {name}, which is no parameter",
                hint=f"did you mean {close}?" if close else "",
            )
    inside = {name for model in models for name in names(model)}
    moving = {n: v for n, v in params.items() if n in inside and n not in options.fixed}
    shapes: ShapeEnv = {
        **{name: tuple(np.shape(value)) for name, value in params.items()},
        **{name: ("rows", *columns.shape_of(name)[1:]) for name in columns},
    }
    _check(responses, models, params, moving, shapes, options)
    weights = options.sigma if options.sigma is not None else options.weights
    given = {Sym(n): as_expr(v) for n, v in params.items() if n not in moving}
    models = substitute(models, given)
    own = {n: tuple(np.shape(v)) for n, v in moving.items()}
    count = sum(int(np.prod(shape)) for shape in own.values())
    if count > MOST:
        raise NablispError(
            "limit",
            f"this model has {count:,} parameters, and fit takes {MOST}",
            hint="train has no such limit: (train (mse (model x) y) :by lbfgs)",
        )
    cells, targets, weighing, titles = [], [], [], []
    for k, (response, model) in enumerate(zip(responses, models, strict=True)):
        found = [_cells(e, shapes) for e in (model, response)]
        each = [_cells(weights[k], shapes)] if weights is not None else []
        size = max(len(f) for f in (*found, *each))
        for f in (*found, *each):
            f *= size if len(f) == 1 else 1
        cells += found[0]
        targets += found[1]
        weighing += each[0] if each else []
        titles += [brief(responses[k]) + (f"[{i}]" if size > 1 else "") for i in range(size)]
    cells, targets, weighing = (
        _still(part, moving, columns) for part in (cells, targets, weighing)
    )
    start = np.concatenate([np.ravel(v).astype(float) for v in moving.values()])
    low, high = (
        np.concatenate(
            [np.full(int(np.prod(own[n])), _bound(options.bounds.get(n), side)) for n in moving]
        )
        for side in (0, 1)
    )
    scalars = tuple(
        name if not shape else f"{name}#{i}"
        for name, shape in own.items()
        for i in range(int(np.prod(shape)))
    )
    return Problem(
        tuple(cells),
        tuple(cells),
        tuple(targets),
        tuple(titles),
        tuple(weighing) if weights is not None else None,
        moving,
        own,
        scalars,
        Bounds(low, high),
        start,
        columns,
        options,
    )


def _bound(pair: tuple[float | None, float | None] | None, side: int) -> float:
    value = None if pair is None else pair[side]
    return (np.inf if side else -np.inf) if value is None else float(value)


def _cells(root: Expr, shapes: ShapeEnv) -> list[Expr]:
    """An expression of any shape as scalar ones by row."""
    try:
        return list(unroll([root], shapes)[0].ravel())
    except NablispError as error:
        if error.kind == "unavailable":
            error.message = (
                f"fit takes models by row: {error.message.replace('native', 'a formula by row')}"
            )
            error.hint = "(train …) and (minimize …) take everything"
        raise


def _still(roots: Sequence[Expr], moving: Mapping[str, Any], columns: Any) -> list[Expr]:
    """Formulas in which reductions over all rows are numbers; none may hold a parameter."""
    found: dict[Expr, Expr] = {}
    for node in postorder(*roots):
        if isinstance(node, Call) and node.op.shape is not None and node not in found:
            inside = names(node)
            for name in inside:
                if name.partition("#")[0] in moving:
                    raise NablispError(
                        "unavailable",
                        f"fit takes models by row, and {brief(node)} goes over all rows with the "
                        f"parameter {name.partition('#')[0]} in it",
                        hint="(train …) and (minimize …) take everything",
                    )
            env = {n: _element(columns, n) for n in inside}
            value = evaluate([node], {**env, ROWS: columns.rows})[0]
            found[node] = Num(float(value))
    return substitute(list(roots), found) if found else list(roots)


def _element(columns: Any, name: str) -> Any:
    column, _, index = name.partition("#")
    whole = columns[column]
    return whole.reshape(len(whole), -1)[:, int(index)] if index else whole


def _check(
    responses: Sequence[Expr],
    models: Sequence[Expr],
    params: Mapping[str, Any],
    moving: Mapping[str, Any],
    shapes: ShapeEnv,
    options: FitOptions,
) -> None:
    """Refuse what cannot be a fit."""
    if not moving:
        raise NablispError(
            "value",
            "the model depends on no parameter that is free"
            if params
            else "the model depends on no parameter: none is declared",
            hint="" if params else "declare some: (params a b)",
        )
    everything = [*responses, *models, *(options.sigma or ()), *(options.weights or ())]
    for root in everything:
        for name in names(root):
            if name not in shapes:
                close = nearest(name, shapes)
                raise NablispError(
                    "unbound-name",
                    f"{name} has no value: it is neither parameter nor column",
                    hint=f"did you mean {close}?" if close else f"declare it: (params {name})",
                )
        if is_boolean(root):
            raise NablispError("type", f"{brief(root)} is true or false, and a fit is of numbers")
    for root in (*responses, *(options.sigma or ()), *(options.weights or ())):
        held = [name for name in names(root) if name in params]
        if held:
            raise NablispError(
                "value",
                f"{brief(root)} holds the parameter {held[0]}, and responses and weights are given",
                hint="what is to be estimated belongs into the model",
            )
    for response, model in zip(responses, models, strict=True):
        a, b = shape_of(response, shapes), shape_of(model, shapes)
        if a[:1] != ("rows",):
            raise NablispError(
                "shape",
                f"the response {brief(response)} has shape {show(a)}: it must have one value per row",
                hint="(data y [1 2 3]) declares a column",
            )
        if b and b != a:
            raise NablispError(
                "shape",
                f"the response {brief(response)} has shape {show(a)}, the model {brief(model)} "
                f"{show(b)}",
            )
    for name, start in moving.items():
        if not np.isfinite(start).all():
            raise NablispError("value", f"{name} starts at {brief(start)}, which is not finite")
        low, high = options.bounds.get(name, (None, None))
        if low is not None and high is not None and low > high:
            raise NablispError("value", f"the bounds of {name} are the wrong way round")


# ---- solving -----------------------------------------------------------------------------------------


def fitted(
    responses: Sequence[Expr],
    models: Sequence[Expr],
    params: Mapping[str, Any],
    columns: Any,
    options: FitOptions,
    budget: Budget | None = None,
) -> FitResult:
    """The result of a fit; see `fit`."""
    began = time.perf_counter()
    problem = posed(responses, models, params, columns, options)
    with np.errstate(all="ignore"):
        found = _solved(problem, began)
    found.seconds = time.perf_counter() - began
    return found


def _solved(problem: Problem, began: float) -> FitResult:
    """The fit of all rows; of many, after that of a sample of them."""
    limit, threads = problem.options.seconds, problem.options.threads
    count, model = problem.columns.rows, problem.model

    def tick() -> bool:
        return limit is not None and time.perf_counter() - began > limit

    if count <= LARGE:
        values = known(problem.values(problem.columns, count))
        rows = _rows(problem, values, count)
        candidate, search, remarks = _small(problem, rows, problem.bounds.clip(problem.start), tick)
        return _result(problem, rows, candidate, search, remarks)
    some = table.as_columns(problem.columns.sample(problem.inside, SAMPLES[1], 0))
    sample = table.as_columns(some.sample(problem.inside, SAMPLES[0], 0))
    few = _rows(problem, known(problem.values(sample, sample.rows)), sample.rows)
    candidate, search, remarks = _small(problem, few, problem.bounds.clip(problem.start), tick)
    if count > 4 * some.rows:
        between = Blocks(model, _passes(problem, some, few), few, some.rows, threads, count)
        point = polish(between, candidate.point.at, problem.bounds, 3)
        candidate = candidate if point is None else Candidate(point)
    blocks = Blocks(model, _passes(problem, problem.columns, few), few, count, threads)
    return _result(problem, blocks, *_large(problem, blocks, candidate, search), remarks)


def _small(
    problem: Problem, rows: Rows, start: Vector, tick: Callable[[], bool]
) -> tuple[Candidate, Search, list[str]]:
    """From the start to the best point that can be had; NablispError where there is none."""
    search = Search(rows, start, problem.bounds, tick)
    candidate = search.first()
    remarks: list[str] = []
    starts = problem.options.starts
    if rows.others and starts != 0 and (starts is not None or search.treacherous(candidate)):
        before = candidate
        candidate = search.elsewhere(candidate, starts)
        if before is None and candidate is not None:
            remarks.append(f"{_not_finite(problem, rows, start)}; other starts were tried")
        elif candidate is not before:
            remarks.append("the start led elsewhere; this was found from others")
    if candidate is None:
        raise NablispError(
            "value",
            _not_finite(problem, rows, start),
            hint="give the parameters other starts: (params (a 1) (b 0.1))",
        )
    return _image(rows, candidate, start, problem.bounds), search, remarks


def _large(
    problem: Problem, blocks: Blocks, candidate: Candidate, search: Search
) -> tuple[Candidate, Search]:
    """The point of a sample carried to that of all rows."""
    bounds = problem.bounds
    point = polish(blocks, candidate.point.at, bounds)
    found = None if point is None else judged(blocks, point)
    if found is None or "step" in found.complaints or "gradient" in found.complaints:
        descent = descend(blocks, candidate.point.at, bounds, 60)
        search.steps += descent.steps
        point = polish(blocks, descent.b, bounds)
        found = found if point is None else judged(blocks, point)
    if found is None:
        _refuse_not_finite(problem)
        raise NablispError("value", "the model is not finite on all rows at what a sample gives")
    search.lowest = np.inf  # it was of the sample
    return found, search


def _passes(problem: Problem, columns: Any, few: Rows) -> Callable[[], Iterator[Block]]:
    """What yields the values of columns, block by block; in memory they are one block."""
    scale = dict(zip(few.model.columns, few.values, strict=True)).get(SCALE, 1.0)
    if not columns.streamed:
        whole = known({**problem.values(columns, columns.rows), SCALE: scale})
        return lambda: iter([(whole, columns.rows)])

    def blocks() -> Iterator[Block]:
        for block in columns.blocks(problem.inside):
            rows = len(next(iter(block.values())))
            yield known({**problem.values(block, rows), SCALE: scale}), rows

    return blocks


def _refuse_not_finite(problem: Problem) -> None:
    """NablispError "data" for the first value of the columns that is not finite."""
    at = 0
    for block in problem.columns.blocks(problem.inside):
        rows = len(next(iter(block.values())))
        _check_finite(problem, problem.values(block, rows), rows, at)
        at += rows


def _rows(problem: Problem, values: dict[str, Any], count: int) -> Rows:
    """The problem on rows in memory; NablispError "data" for what is not finite there."""
    _check_finite(problem, values, count, 0)
    values[SCALE] = problem.options.scale or 1.0
    if problem.options.loss is not None and problem.options.scale is None:
        values[SCALE] = _robust_scale(problem, values, count)
    return Rows(problem.model, values, count)


def _check_finite(problem: Problem, values: Mapping[str, Any], rows: int, first: int) -> None:
    for name, value in values.items():
        bad = ~np.isfinite(value)
        if np.any(bad):
            at = int(np.argwhere(np.broadcast_to(bad, rows))[0][0])
            shown = element(float(np.broadcast_to(value, rows)[at]))
            raise NablispError(
                "data",
                f"{_title(problem, name)} is {shown} at row {first + at}",
                hint='leave such rows out: (data "file.csv" :missing drop) does, for empty cells',
            )


def _title(problem: Problem, name: str) -> str:
    """What a value that formulas are evaluated on is called."""
    for k, title in enumerate(problem.titles):
        if name == response_name(k):
            return title
        if name == weight_name(k):
            return f"the weight of {title}"
    return name.partition("#")[0]


def _robust_scale(problem: Problem, values: Mapping[str, Any], count: int) -> float:
    """The scale of a robust loss from the residuals' median: from least squares, then its own."""
    loss = problem.options.loss
    assert loss is not None
    plain = replace(problem.options, loss=None)
    squares = replace(problem, options=plain)
    rows = Rows(squares.model, values, count)
    at = problem.bounds.clip(problem.start)
    candidate = Search(rows, at, problem.bounds).first()
    at = candidate.point.at if candidate is not None else at
    scale = 0.0
    for _ in range(20):
        size = float(np.median(np.abs(rows.residuals(at)))) * 1.482602218505602
        new = ROBUST[loss][1] * size
        if not new > 0 or abs(new - scale) <= 1e-3 * scale:
            break
        scale = new
        robust = Rows(problem.model, {**values, SCALE: scale}, count)
        candidate = Search(robust, at, problem.bounds).first()
        if candidate is None:
            break
        at = candidate.point.at
    return scale or 1.0


def _not_finite(problem: Problem, rows: Rows, start: Vector) -> str:
    """Where the model is not finite at the start, in words."""
    env = dict(zip(problem.scalars, start.tolist(), strict=True))
    env.update(zip(rows.model.columns, rows.values, strict=True))
    found = trouble("at the start", problem.models, env)
    if found is None:
        found = trouble(
            "at the start, a derivative", [s for row in rows.model.slopes for s in row], env
        )
    return found[0] if found is not None else "the model is not finite near the start"


def _image(rows: Rows, candidate: Candidate, start: Vector, bounds: Bounds) -> Candidate:
    """Of the points that a symmetry of the model makes equal, the nearest to the start."""
    at = candidate.point.at
    if np.all(np.abs(at - start) <= 0.5 * np.abs(start)) or not rows.others:
        return candidate
    image = nearest_image(symmetries(rows.model, rows, at), at, start, bounds)
    if image is None:
        return candidate
    point = polish(rows, image, bounds)
    if point is None or point.normal.squares > candidate.squares * (1 + 1e-6) + 1e-300:
        return candidate
    other = judged(rows, point)
    return candidate if other.complaints and not candidate.complaints else other


# ---- the result --------------------------------------------------------------------------------------


def _result(
    problem: Problem,
    rows: Rows | Blocks,
    candidate: Candidate,
    search: Search,
    remarks: list[str],
) -> FitResult:
    point, options = candidate.point, problem.options
    normal, at = point.normal, point.at
    shown = scalar_names(problem.shapes)
    count = rows.weighed
    free = int((~point.held).sum())
    dof = count - free
    exact = normal.exact
    open_ = errors(candidate, shown, count, lambda there: rows.alike(at, there))
    squares = normal.squares
    sd = float(np.sqrt(squares / dof)) if dof > 0 else None
    why = ""
    cov = None
    if dof <= 0:
        why = f"{count} rows and {free} parameters leave {max(dof, 0)} degrees of freedom"
    elif open_.inverse is None:
        why = "the data do not determine the parameters"
    elif options.loss is not None:
        cov = rows.sandwich(at, normal, ~point.held) * (count / dof)
        sd = float(np.asarray(rows.values[rows.model.columns.index(SCALE)]))
    else:
        cov = open_.inverse * (1.0 if options.sigma is not None else squares / dof)
    se = None
    if cov is not None:
        with np.errstate(all="ignore"):
            se = dict(zip(shown, np.sqrt(np.diag(cov)).tolist(), strict=True))
    status, first, more = verdict(problem, candidate, search, exact, dof, count, open_.open, shown)
    touched = {shown[i]: float(at[i]) for i in np.flatnonzero(problem.bounds.touched(at))}
    if status not in ("converged", "exact"):
        remarks += [f"{name} is the same in all rows" for name in rows.constant()]
    for name, value in touched.items():
        remarks.append(f"{name} is at its bound, {element(value)}")
    return FitResult(
        status=status,
        params=gathered(at, problem.shapes),
        start=gathered(problem.start, problem.shapes),
        names=shown,
        estimates=at,
        rss=squares,
        dof=dof,
        sd=sd,
        r2=rows.r2(squares) if options.loss is None and rows.spread > 0 else None,
        se=se,
        cov=cov,
        why=why,
        gradient_norm=normal.offset if not exact else 0.0,
        condition=normal.condition,
        bounds=touched,
        undetermined=open_.open,
        first=first,
        models=problem.shown,
        responses=problem.titles,
        steps=search.steps + point.steps,
        evaluations=rows.evaluations,
        seconds=0.0,
        rows=rows.rows,
        remarks=[*more, *remarks],
        known=problem,
    )


def verdict(
    problem: Problem,
    candidate: Candidate,
    search: Search,
    exact: bool,
    dof: int,
    count: int,
    left_open: Sequence[str],
    shown: Sequence[str],
) -> tuple[str, str, list[str]]:
    """The status, the first line, and remarks: what is wrong, and what to try."""
    by = "fit by Levenberg–Marquardt" if search.rows.others else "fit of a linear model"
    steps = search.steps + candidate.point.steps
    counted = f"{steps} step{'' if steps == 1 else 's'}"
    complaints = candidate.complaints
    if not complaints and search.lowest < candidate.squares * (1 - 1e-6):
        complaints = {"lower": search.lowest}
    if complaints:
        kind, found = next(iter(complaints.items()))
        said, cure = _COMPLAINTS[kind]
        if kind == "undetermined":
            parameters = len(candidate.point.at)
            said = "; ".join(left_open[:4]) or said
            if count < parameters:
                said = f"{count} rows cannot determine {parameters} parameters"
            elif exact:
                said = f"the data are met exactly, but {said}"
        elif kind == "rounding":
            said = said.format(", ".join(shown[i] for i in found))
        elif kind in ("pole", "lower"):
            said = said.format(brief(found) if kind == "pole" else f"{found:.6g}")
        status = "time" if search.late else "stalled"
        return status, f"{by}: not a minimum to rely on: {said}", [cure]
    if exact:
        free = (
            "0 degrees of freedom, so no standard errors"
            if dof <= 0
            else f"{dof} degrees of freedom"
        )
        return "exact", f"{by}: exact fit, {free}", []
    return "converged", f"{by}: converged after {counted}", []


_COMPLAINTS = {
    "undetermined": (
        "the data do not determine all parameters",
        "fix one: (param a 1 :fixed true), or leave it out of the model",
    ),
    "curvature": (
        "the surface is flat or a saddle here",
        "try other starts: (fit … :starts 200), or bounds",
    ),
    "gradient": (
        "the gradient is not zero to rounding",
        "try other starts, or a model whose parts are of one size",
    ),
    "rounding": (
        "the slopes by {} have no correct digits in doubles",
        "write the model so that nothing cancels, or change its units",
    ),
    "step": (
        "steps do not come to rest",
        "try other starts: (fit … :starts 200)",
    ),
    "pole": (
        "the divisor {} changes sign between the rows: a pole among the data",
        "give bounds that keep it away, or other starts",
    ),
    "lower": (
        "a lower sum of squares, {}, was met where nothing can be vouched for",
        "the model may want a limit: a simpler one, bounds, or other starts",
    ),
}
"""What speaks against a point: in words, and what to try."""
