"""From results to what shows them: the model of a run as it moves, a fit with its residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import Columns
from ..errors import NablispError
from ..expr import names
from ..figure import GREY, Band, Figure, Line, Movie, Points, Series, Vector, widened
from ..model import response_name, weight_name
from ..printer import element
from ..results import Result
from ..student import quantile
from ..views import GRID, MANY, descent, labelled, moments, spread, states

if TYPE_CHECKING:
    from ..certificate import FitResult

FRAMES = 24
"""Moments of a run that are shown."""
LEVEL = 0.95
"""Of the bands around a fit."""


# ---- runs ----------------------------------------------------------------------------------------


def movies(result: Result) -> list[Movie]:
    """The model over its data, and the loss so far, both at the same moments of the run.

    Without a model that can be drawn, only the losses; of a run that took no steps, nothing.
    """
    if len(result.history["loss"]) < 2:
        return []
    scene = result.view.scene if result.view is not None else None
    try:
        steps, params = states(result)
    except NablispError:  # arrays that nobody watched
        scene = None
    if scene is None:
        return [Movie((descent(result),))]
    shown = moments(scene, params, FRAMES)
    at = [steps[k] for k in shown]
    titles = [_title(result, step) for step in at]
    model = Movie(tuple(scene.figure(params[k], t) for k, t in zip(shown, titles, strict=True)))
    curve = descent(result)
    dots = (Points(np.array([step]), np.array([_loss(result, step)]), "", 1) for step in at)
    fallen = (
        Figure((*curve.series, dot), title, curve.x_label, curve.y_label, y_log=curve.y_log)
        for dot, title in zip(dots, titles, strict=True)
    )
    return [model, Movie(tuple(fallen))]


def _loss(result: Result, step: int) -> float:
    return float(result.history["loss"][result.history.place(step)])


def _title(result: Result, step: int) -> str:
    loss = element(float(f"{_loss(result, step):.4g}"))
    return f"step {step:,}, loss {loss}"


# ---- fits ----------------------------------------------------------------------------------------


def fitted(result: FitResult) -> Figure:
    """A fit: data, curve and bands over the one column, else data against fitted; residuals."""
    known = result.known
    columns = known.columns
    if columns.rows > MANY:
        columns = Columns(columns.sample(known.inside, MANY, 0))
    rows = columns.rows
    values = known.values(columns, rows)
    inside = sorted({n for m in known.models for n in names(m)} - {*known.scalars})
    axis = inside[0] if len(inside) == 1 and "#" not in inside[0] else None
    predicted = _part(result.predict(columns).value)
    y = [np.broadcast_to(values[response_name(k)], rows) for k in range(len(predicted))]
    x = [columns[axis]] * len(y) if axis else predicted
    over = (spread if axis else widened)(np.concatenate(x))
    upper: list[Series] = []
    if axis:
        upper += _bands(result, axis, over)
    else:
        ends = np.array(widened(np.concatenate(y + predicted)))
        upper.append(Line(ends, ends, "perfect", GREY))
    lower: list[Series] = [Line(np.array(over), np.zeros(2), "", GREY)]
    for k, title in enumerate(known.titles):
        error = _error(known, values, rows, k)
        upper.append(Points(x[k], y[k], title, 2 * k, error))
        lower.append(Points(x[k], y[k] - predicted[k], "", 2 * k, error))
    label = known.titles[0] if len(known.titles) == 1 else ""
    name = axis or "fitted"
    below = Figure(tuple(lower), "", name, "residual", over)
    if label:
        upper = [replace(part, label="data") if part.label == label else part for part in upper]
    return Figure(tuple(upper), "", name, label, over, below=below)


def _part(values: Any) -> list[Any]:
    """One vector for each response."""
    return [values] if np.ndim(values) == 1 else list(np.transpose(values))


def _bands(result: FitResult, axis: str, over: tuple[float, float]) -> list[Series]:
    """Curves over a column, with the bands of the curve and of a new observation."""
    grid = np.linspace(*over, GRID)
    at = result.predict({axis: grid}, LEVEL)
    percent = f"{100 * LEVEL:g} %"
    sigma = result.known.options.sigma
    width = quantile((1 + LEVEL) / 2, max(result.dof, 1) if sigma is None else np.inf)
    expected = all(name == axis for e in sigma or () for name in names(e))  # of new data, too
    found: list[Series] = []
    parts = [_part(v) for v in (at.value, at.se, at.low, at.high)]
    for k, (value, se, low, high) in enumerate(zip(*parts, strict=True)):
        color = 2 * k + 1
        near = value - width * se, value + width * se
        said = ("", "") if k else (f"{percent} of new data", f"{percent} of the curve")
        if expected and np.isfinite(low).any():
            found.append(Band(grid, low, high, said[0], color))
        if np.isfinite(se).any():
            found.append(Band(grid, *near, said[1], color, inner=True))
        found.append(Line(grid, value, labelled(result.models[k], "model"), color))
    return found


def _error(known: Any, values: Mapping[str, Any], rows: int, k: int) -> Vector | None:
    """The standard deviations that were given with the data."""
    if known.options.sigma is None:
        return None
    return np.broadcast_to(known.unit / values[weight_name(k)], rows)
