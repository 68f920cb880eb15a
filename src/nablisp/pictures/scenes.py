"""From results to what shows them: the model of a run as it moves, a fit with its residuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import Columns
from ..errors import NablispError
from ..expr import names
from ..figure import Band, Figure, Line, Movie, Points, Series, Vector
from ..model import response_name, weight_name
from ..printer import element
from ..results import Result
from ..student import quantile
from ..views import GRID, MANY, labelled, loss_curve, moments, states, widened

if TYPE_CHECKING:
    from ..certificate import FitResult

FRAMES = 24
"""Moments of a run that are shown."""
LEVEL = 0.95


# ---- runs ----------------------------------------------------------------------------------------


def movies(result: Result) -> list[Movie]:
    """The model over its data, and the loss so far, both at the same moments of the run.

    Without a model that can be drawn, only the losses; of a run that took no steps, nothing.
    """
    losses = result.history["loss"]
    if len(losses) < 2:
        return []
    scene = result.view.scene if result.view is not None else None
    try:
        steps, params = states(result)
    except NablispError:  # arrays that nobody watched
        scene = None
    if scene is None:
        return [Movie((loss_curve(losses),))]
    shown = moments(scene, params, FRAMES)
    titles = [_title(result, steps[k]) for k in shown]
    model = Movie(tuple(scene.figure(params[k], t) for k, t in zip(shown, titles, strict=True)))
    curve = loss_curve(losses)
    at = [steps[k] for k in shown]
    dots = (Points(np.array([step]), losses[[step]], "", 1) for step in at)
    fallen = (
        Figure((*curve.series, dot), title, curve.x_label, curve.y_label, y_log=curve.y_log)
        for dot, title in zip(dots, titles, strict=True)
    )
    return [model, Movie(tuple(fallen))]


def _title(result: Result, step: int) -> str:
    loss = element(float(f"{result.history['loss'][step]:.4g}"))
    return f"step {min(step, result.steps):,}, loss {loss}"


# ---- fits ----------------------------------------------------------------------------------------


def fitted(result: FitResult) -> Figure:
    """The data with the curve and its band, and the residuals; over the model if over no column."""
    problem = result.known
    columns = problem.columns
    if columns.rows > MANY:
        columns = Columns(columns.sample(problem.inside, MANY, 0))
    rows = columns.rows
    values = problem.values(columns, rows)
    used = set(names(*problem.models)) - {*problem.scalars}
    over = used.pop() if len(used) == 1 and "#" not in next(iter(used)) else ""
    model = [value for value, _, _ in _curves_at(result, columns, rows)]
    data: list[Points] = []
    apart: list[Points] = []
    for k, (title, value) in enumerate(zip(result.responses, model, strict=True)):
        given = np.broadcast_to(values[response_name(k)], rows)
        x = values[over] if over else value
        data.append(Points(x, given, title, 2 * k, _deviations(problem, values, rows, k)))
        apart.append(Points(x, given - value, "", 2 * k))
    across = np.concatenate([part.x for part in data])
    ends = widened(across)
    diagonal = Line(np.array(ends), np.array(ends), "perfect", 7)
    curves = _curves(result, over, np.nanmin(across), np.nanmax(across)) if over else [diagonal]
    zero = Line(np.array(ends), np.zeros(2), "", 7)
    label = over or "model"
    high = widened(np.concatenate([*model, *(part.y for part in data)]))
    below = Figure((zero, *apart), "", label, "residual", ends)
    return Figure((*curves, *data), "the data and the fit", label, "", ends, high, below=below)


def _curves_at(result: FitResult, data: Any, rows: int) -> list[tuple[Vector, Vector, Vector]]:
    """Of each response its value and the ends of its confidence band."""
    found = result.predict(data, LEVEL)
    given = result.known.options.sigma is not None
    reach = quantile((1 + LEVEL) / 2, 1e9 if given else max(result.dof, 1))
    parts = (found.value, found.value - reach * found.se, found.value + reach * found.se)
    shaped = [part.reshape(rows, -1).T for part in parts]
    return list(zip(*shaped, strict=True))


def _curves(result: FitResult, over: str, low: float, high: float) -> list[Series]:
    grid = np.linspace(low, high, GRID)
    bands: list[Series] = []
    lines: list[Series] = []
    for k, (value, least, most) in enumerate(_curves_at(result, {over: grid}, GRID)):
        if np.isfinite(least).any():
            bands.append(Band(grid, least, most, f"{100 * LEVEL:g} % confidence", 2 * k + 1))
        lines.append(Line(grid, value, labelled(result.models[k], "model"), 2 * k + 1))
    return [*bands, *lines]


def _deviations(problem: Any, values: Mapping[str, Any], rows: int, k: int) -> Vector | None:
    """The standard deviations of a response, where they were given."""
    if problem.options.sigma is None:
        return None
    return np.broadcast_to(problem.unit / values[weight_name(k)], rows)
