"""From what a fit is asked to what it solves: formulas by row, checked, and their columns.

Arrays are written out by element, reductions over all rows become numbers, fixed parameters theirs.
NablispError says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from .errors import NablispError, meant, no_such
from .evaluate import ROWS, evaluate
from .expr import Call, Expr, Num, Sym, as_expr, names, postorder, substitute
from .fit_options import FitOptions, check_bounds
from .least_squares import Bounds
from .model import ROBUST, Model, model_of, response_name, weight_name
from .options import nothing_moves, refuse_unknown
from .printer import brief, element
from .shapes import Shape, ShapeEnv, is_boolean, shape_of, show
from .unroll import unroll

Vector = np.ndarray[Any, Any]

MOST = 500
"""Parameters, element by element, that a fit takes; train takes more."""


@dataclass
class Problem:
    """A fit, checked: models as scalar formulas by row, and everything they are evaluated on."""

    models: tuple[Expr, ...]
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
    unit: float = 1.0
    """a power of two that residuals are multiplied by, where their squares would overflow"""
    squares: float = 0.0
    """what the fit came to, in that unit"""
    noise: float = 0.0
    """the deviation of an observation of weight 1, once it is known"""

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
    def weighted(self) -> bool:
        """Are residuals multiplied by something?"""
        return self.weights is not None or self.unit != 1

    def rescaled(self, values: Mapping[str, Any]) -> Problem:
        """The problem in a unit in which no square of a response overflows or vanishes."""
        most = 0.0
        for k in range(len(self.responses)):
            size = np.abs(values[response_name(k)]) * values.get(weight_name(k), 1.0)
            most = max(most, float(np.max(size, initial=0.0)))
        if not np.isfinite(most) or most == 0 or 1e-100 < most < 1e100:
            return self
        return replace(self, unit=2.0 ** min(1000, -round(float(np.log2(most)))))

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
        return model_of(self.models, self.scalars, tuple(limited), self.weighted, loss)

    def values(self, columns: Mapping[str, Any], rows: int) -> dict[str, Any]:
        """What formulas by row are evaluated on: elements of columns, responses, weights."""
        found: dict[str, Any] = {name: _element(columns, name) for name in self.elements}
        env = {**found, ROWS: rows}
        for k, response in enumerate(self.responses):
            found[response_name(k)] = evaluate([response], env)[0]
        for k, weight in enumerate(self.weights or ()):
            given = self._weight(evaluate([weight], env)[0], self.titles[k])
            found[weight_name(k)] = given * self.unit
        if self.weights is None and self.unit != 1:
            found.update((weight_name(k), self.unit) for k in range(len(self.responses)))
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

    def _title(self, name: str) -> str:
        """What a value that formulas are evaluated on is called."""
        for k, title in enumerate(self.titles):
            if name == response_name(k):
                return title
            if name == weight_name(k):
                return f"the weight of {title}"
        return name.partition("#")[0]

    def check_finite(self, values: Mapping[str, Any], rows: int, first: int = 0) -> None:
        """NablispError "data" for a value that is not finite; `first` is the number of row 0."""
        for name, value in values.items():
            bad = ~np.isfinite(value)
            if np.any(bad):
                at = int(np.argwhere(np.broadcast_to(bad, rows))[0][0])
                shown = element(float(np.broadcast_to(value, rows)[at]))
                raise NablispError(
                    "data",
                    f"{self._title(name)} is {shown} at row {first + at}",
                    hint='leave such rows out: (data "file.csv" :missing drop) does, for empty '
                    "cells",
                )


Shapes = tuple[tuple[str, Shape], ...]


def posed(
    responses: Sequence[Expr],
    models: Sequence[Expr],
    params: Mapping[str, Any],
    columns: Any,
    options: FitOptions,
) -> Problem:
    """What is asked, checked; NablispError says what is wrong with it."""
    _check_options(len(responses), len(models), params, options)
    if not columns.rows:
        raise NablispError("data", "there are no rows to fit", hint="(data x [1 2 3])")
    for name in params:
        if name in columns:
            raise NablispError("name", f"{name} is both a parameter and a column")
    inside = dict.fromkeys(name for model in models for name in names(model))
    moving = {n: v for n, v in params.items() if n in inside and n not in options.fixed}
    if not moving:
        raise nothing_moves("the model", [n for n in params if n in inside], inside, params)
    _check_starts(moving, options)
    weights = options.sigma if options.sigma is not None else options.weights
    given: dict[Expr, Expr] = {Sym(n): as_expr(v) for n, v in params.items() if n not in moving}
    own = {name: tuple(np.shape(value)) for name, value in params.items()}
    shapes = {**own, **{n: ("rows", *columns.shape_of(n)[1:]) for n in columns}}
    own = {name: own[name] for name in moving}
    scalars = tuple(
        name if not shape else f"{name}#{i}"
        for name, shape in own.items()
        for i in range(prod(shape))
    )
    if len(scalars) > MOST:
        raise NablispError(
            "limit",
            f"this model has {len(scalars):,} parameters, and fit takes {MOST}",
            hint="train has no such limit: (train (mse (model x) y) :by lbfgs)",
        )
    found = _by_row(
        tuple(responses),
        tuple(substitute(list(models), given) if given else models),
        weights,
        tuple(shapes.items()),
        tuple(params),
    )
    cells, targets, weighing = (_still(part, moving, columns) for part in found[:3])
    low, high = (
        np.concatenate([np.full(prod(own[n]), _bound(options.bounds.get(n), side)) for n in moving])
        for side in (0, 1)
    )
    return Problem(
        cells,
        targets,
        found[3],
        weighing if weights is not None else None,
        moving,
        own,
        scalars,
        Bounds(low, high),
        np.concatenate([np.ravel(v).astype(float) for v in moving.values()]),
        columns,
        options,
    )


def _check_options(
    responses: int, models: int, params: Mapping[str, Any], options: FitOptions
) -> None:
    """Refuse options that are none, or do not go together."""
    if responses != models:
        raise NablispError(
            "arity",
            f"there are {responses} responses and {models} models",
            hint="(fit [y1 y2] [m1 m2])",
        )
    if options.loss is not None and options.loss not in ROBUST:
        raise no_such("robust loss", options.loss, ROBUST)
    if options.sigma is not None and options.weights is not None:
        raise NablispError(
            "value", ":sigma and :weights exclude each other", hint="1/sigma² is a weight"
        )
    for what in (options.sigma, options.weights):
        if what is not None and len(what) != responses:
            raise NablispError("arity", f"there are {responses} responses, and {len(what)} weights")
    if options.scale is not None and options.loss is None:
        raise NablispError("value", ":scale is for a robust loss", hint=":loss huber")
    for where, listed in ((":fixed", options.fixed), ("a bound", options.bounds)):
        for name in listed:
            if name not in params:
                raise NablispError(
                    "unbound-name",
                    f"{where} names {name}, which is no parameter",
                    hint=meant(name, params),
                )


def _check_starts(moving: Mapping[str, Any], options: FitOptions) -> None:
    """Refuse starts and bounds that make no sense."""
    for name, start in moving.items():
        if not np.isfinite(start).all():
            raise NablispError("value", f"{name} starts at {brief(start)}, which is not finite")
    check_bounds(options.bounds)


Cells = tuple[Expr, ...]


@lru_cache(32)
def _by_row(
    responses: Cells, models: Cells, weights: Cells | None, shaped: Shapes, params: tuple[str, ...]
) -> tuple[Cells, Cells, Cells, tuple[str, ...]]:
    """Models, responses and weights as scalar formulas by row, and what the responses are called.

    The last few are kept. NablispError for names without a value, and for shapes that do not fit.
    """
    shapes: ShapeEnv = dict(shaped)
    _check(responses, models, weights or (), params, shapes)
    cells: list[Expr] = []
    targets: list[Expr] = []
    weighing: list[Expr] = []
    titles: list[str] = []
    for k, (response, model) in enumerate(zip(responses, models, strict=True)):
        given = [model, response] if weights is None else [model, response, weights[k]]
        found = [_cells(root, shapes) for root in given]
        size = len(found[1])
        if any(len(part) not in (1, size) for part in found):
            raise NablispError(
                "shape", f"{brief(given[-1])} and the response {brief(response)} differ in shape"
            )
        for part, into in zip(found, (cells, targets, weighing), strict=False):
            into.extend(part * size if len(part) == 1 else part)
        titles += [brief(response) + (f"[{i}]" if size > 1 else "") for i in range(size)]
    return tuple(cells), tuple(targets), tuple(weighing), tuple(titles)


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


def _still(roots: Cells, moving: Mapping[str, Any], columns: Any) -> Cells:
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
    return tuple(substitute(list(roots), found)) if found else roots


def _element(columns: Any, name: str) -> Any:
    column, _, index = name.partition("#")
    whole = columns[column]
    return whole.reshape(len(whole), -1)[:, int(index)] if index else whole


def _check(
    responses: Cells, models: Cells, weights: Cells, params: tuple[str, ...], shapes: ShapeEnv
) -> None:
    """Refuse formulas that cannot be fitted."""
    for root in (*responses, *models, *weights):
        refuse_unknown(names(root), shapes)
        if is_boolean(root):
            raise NablispError("type", f"{brief(root)} is true or false, and a fit is of numbers")
    for root in (*responses, *weights):
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
                f"the response {brief(response)} has shape {show(a)}: it needs one value per row",
                hint="(data y [1 2 3]) declares a column",
            )
        if b and b != a:
            raise NablispError(
                "shape",
                f"the response {brief(response)} has shape {show(a)}, the model {brief(model)} "
                f"{show(b)}",
            )
