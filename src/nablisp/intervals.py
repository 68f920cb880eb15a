"""From a fit to what it says beyond its estimates: predictions with bands, confidence intervals.

A band comes from the covariance of the estimates. An interval comes from profiling (Bates and Watts
1988): the parameter is moved, the others are fitted anew, until the sum of squares has grown by
what the level asks for; so it is as skewed as the surface is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data as table
from .backends.numpy import Program
from .derivative import gradient
from .errors import NablispError
from .evaluate import ROWS, evaluate
from .expr import Sym, names
from .least_squares import Bounds, descend
from .model import SCALE, model_of
from .printer import columns_of, element
from .residuals import Rows
from .student import quantile

if TYPE_CHECKING:
    from .certificate import FitResult
    from .problem import Problem

Vector = np.ndarray[Any, Any]

SHOWN = 20
"""Rows of a prediction that are printed."""
GROWTH = 40
"""Steps outwards, each twice as far, before an interval counts as open."""


def in_level(level: float) -> float:
    """A level of confidence; NablispError "value" for what is none."""
    if isinstance(level, str) or not 0 < level < 1:
        raise NablispError("value", f"a level is between 0 and 1, not {level}", hint=":level 0.95")
    return level


# ---- predictions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Prediction:
    """The model at some rows: `value`, its standard error `se`, and the band `low` to `high`.

    The band holds a new observation with probability `level`; arrays have one entry per row, and
    with several responses one column for each. Without standard errors all but `value` are nan.
    """

    value: Vector
    se: Vector
    low: Vector
    high: Vector
    level: float
    names: tuple[str, ...]
    given: dict[str, Vector]

    def parts(self) -> dict[str, Any]:
        """What `(get p :key)` finds."""
        return {"value": self.value, "se": self.se, "low": self.low, "high": self.high}

    @property
    def text(self) -> str:
        """The rows as a table."""
        percent = f"{100 * self.level:g} %"
        many = len(self.names) > 1
        heads = [
            cell
            for name in self.names
            for cell in (name, "± standard error", f"{percent} from", "to")
        ]
        rows: list[tuple[str, ...]] = [(*self.given, *heads)]
        count = len(self.value)
        for i in range(min(count, SHOWN)):
            cells = [_short(column[i]) for column in self.given.values()]
            for k in range(len(self.names)):
                at = (i, k) if many else (i,)
                cells += [_short(part[at]) for part in (self.value, self.se, self.low, self.high)]
            rows.append(tuple(cells))
        lines = columns_of(rows)
        if count > SHOWN:
            lines.append(f"… {count - SHOWN:,} more rows: (get p :value)")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text


def _short(value: float) -> str:
    return element(float(f"{value:.6g}"))


def predict(result: FitResult, data: Any = None, level: float = 0.95) -> Prediction:
    """The model at rows of new columns, or at those of the fit."""
    problem = result.known
    in_level(level)
    columns = problem.columns if data is None else table.as_columns(data)
    inside = sorted({n for model in problem.models for n in names(model)} - {*problem.scalars})
    for name in inside:
        if name.partition("#")[0] not in columns:
            raise NablispError(
                "unbound-name",
                f"the model needs the column {name.partition('#')[0]}",
                hint=f"give it: (predict r :{name} [1 2 3])",
            )
    count = columns.rows or 1
    given = {
        name: columns[name]
        for name in dict.fromkeys(name.partition("#")[0] for name in inside)
        if np.ndim(columns[name]) == 1
    }
    values, errors = [], []
    for model in problem.models:
        outputs = [model, *gradient(model, [Sym(n) for n in problem.scalars])]
        program = Program(outputs, [*problem.scalars, *inside, ROWS])
        parts = [_part(columns, name) for name in inside]
        with np.errstate(all="ignore"):
            found = program(*result.estimates.tolist(), *parts, float(count))
        value, *slopes = (np.broadcast_to(np.asarray(f, dtype=float), count) for f in found)
        values.append(value)
        errors.append(_spread(result, np.array(slopes)))
    value, se = (
        np.stack(parts, axis=-1) if len(parts) > 1 else parts[0] for parts in (values, errors)
    )
    noise, dof = _noise(problem, columns, count)
    width = quantile((1 + level) / 2, dof or max(result.dof, 1)) * np.hypot(se, noise)
    return Prediction(
        np.array(value), se, value - width, value + width, level, result.responses, given
    )


def _noise(problem: Problem, columns: Any, count: int) -> tuple[Any, float]:
    """The deviation of a new observation, and degrees of freedom where they are not the fit's.

    Deviations that are given hold for new rows as far as they can be computed there; of a new
    observation of unknown weight or deviation, only the fit's own error is known.
    """
    sigma = problem.options.sigma
    if sigma is None:
        return problem.noise, 0.0
    found = []
    for root in sigma:
        if any(name not in columns for name in names(root)):
            return 0.0, np.inf
        found.append(np.broadcast_to(evaluate([root], {**columns, ROWS: count})[0], count))
    return (np.stack(found, axis=-1) if len(found) > 1 else found[0]), np.inf


def _part(columns: Any, name: str) -> Vector:
    column, _, index = name.partition("#")
    whole = np.asarray(columns[column], dtype=float)
    return whole.reshape(len(whole), -1)[:, int(index)] if index else whole


def _spread(result: FitResult, slopes: Vector) -> Vector:
    """The standard error of a prediction: the root of g C gᵀ."""
    if result.cov is None:
        return np.full(slopes.shape[1:], np.nan)
    known = np.where(np.isnan(result.cov), 0.0, result.cov)
    open_ = np.isinf(np.diag(known))
    known = np.where(np.isinf(known), 0.0, known)
    with np.errstate(all="ignore"):
        variance = np.einsum("ij,ik,jk->k", known, slopes, slopes)
        unknown = np.any(slopes[open_] != 0, axis=0)
        return np.where(unknown, np.nan, np.sqrt(np.maximum(variance, 0.0)))


# ---- intervals -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Interval:
    """From `low` to `high`; infinite where the data set no end."""

    low: float
    high: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.low, self.high))


class Intervals(dict[str, Interval]):
    """Confidence intervals by name, at a level."""

    def __init__(self, level: float, estimates: Mapping[str, float], remarks: list[str]) -> None:
        super().__init__()
        self.level, self.estimates, self.remarks = level, estimates, remarks

    def parts(self) -> dict[str, Any]:
        """What `(get c :key)` finds: each parameter's ends."""
        return {name: np.array(list(ends)) for name, ends in self.items()}

    @property
    def text(self) -> str:
        """The intervals as a table."""
        rows: list[tuple[str, ...]] = [("", "estimate", f"{100 * self.level:g} % from", "to")]
        for name, ends in self.items():
            rows.append((name, *(_short(v) for v in (self.estimates[name], *ends))))
        return "\n".join([*columns_of(rows), *self.remarks])

    def __str__(self) -> str:
        return self.text


def confidence(result: FitResult, level: float = 0.95) -> Intervals:
    """Profile intervals of every parameter; NablispError "value" where nothing sets them."""
    in_level(level)
    if result.se is None:
        raise NablispError("value", f"there are no confidence intervals: {result.why}")
    if result.status not in ("converged", "exact"):
        raise NablispError(
            "value",
            "there are no confidence intervals: the fit is not a minimum to rely on",
            hint="its first line says why",
        )
    problem = result.known
    if problem.options.loss is not None:
        raise NablispError(
            "value",
            "profiles need a likelihood, and a robust loss is none",
            hint="its standard errors stand: estimate ± 2 se",
        )
    if result.status == "exact":
        raise NablispError("value", "the data are met exactly: nothing sets the width of intervals")
    given = problem.options.sigma is not None
    unit = problem.unit**2 if given else problem.squares / result.dof
    reach = quantile((1 + level) / 2, 1e9 if given else result.dof)
    found = Intervals(level, dict(zip(result.names, result.estimates.tolist(), strict=True)), [])
    with np.errstate(all="ignore"):
        for i, name in enumerate(result.names):
            profile = _Profile(result, i, unit)
            if not i:
                again = profile.squares(float(result.estimates[0]))
                if not abs(again - problem.squares) <= 1e-3 * problem.squares:
                    raise NablispError("data", "the data have changed since the fit")
            found[name] = Interval(*(profile.end(side, reach) for side in (-1, 1)))
            if profile.lowest < problem.squares * (1 - 1e-6):
                found.remarks = [
                    "a lower sum of squares was met: the fit stands at a local minimum; "
                    "fit again with :starts"
                ]
    return found


class _Profile:
    """The least sum of squares with one parameter held, as deviations from the minimum."""

    def __init__(self, result: FitResult, index: int, unit: float) -> None:
        problem = result.known
        self.result, self.index, self.unit = result, index, unit
        self.lowest = np.inf
        name = problem.scalars[index]
        rest = [k for k in range(len(problem.scalars)) if k != index]
        self.rest = rest
        self.bounds = Bounds(problem.bounds.low[rest], problem.bounds.high[rest])
        self.low = float(problem.bounds.low[index])
        self.high = float(problem.bounds.high[index])
        limited = [
            problem.scalars[k]
            for k in rest
            if np.isfinite(problem.bounds.low[k]) or np.isfinite(problem.bounds.high[k])
        ]
        scalars = tuple(problem.scalars[k] for k in rest)
        self.model = model_of(problem.models, scalars, tuple(limited), problem.weighted, None)
        self.name = name
        self.values = problem.values(problem.columns, problem.columns.rows)
        self.at = result.estimates[rest]

    def squares(self, value: float) -> float:
        """The least sum of squares there."""
        given = {**self.values, self.name: value, SCALE: 1.0}
        rows = Rows(self.model, given, self.result.rows)
        if not self.rest:
            return float(np.sum(rows.residuals(np.zeros(0)) ** 2))
        descent = descend(rows, self.at, self.bounds, 100)
        if np.isfinite(descent.squares):
            self.at = descent.b
            self.lowest = min(self.lowest, descent.squares)
        return descent.squares

    def _alone(self) -> float:
        """The deviation of the parameter if all others were known."""
        problem = self.result.known
        rows = Rows(problem.model, {**self.values, SCALE: 1.0}, self.result.rows)
        slope = rows.jacobian(self.result.estimates)[1][:, self.index]
        return float(np.sqrt(self.unit / (slope @ slope)))

    def end(self, side: int, reach: float) -> float:
        """Where the profile has risen to `reach` deviations on one side."""
        result, problem = self.result, self.result.known
        best = float(result.estimates[self.index])
        se = (result.se or {}).get(result.names[self.index], np.nan)
        limit = self.low if side < 0 else self.high
        if best == limit or np.isinf(se):
            return limit
        if np.isnan(se):  # held at its other bound: the error that it has by itself
            se = self._alone()
        self.at = result.estimates[self.rest]

        def rise(value: float) -> float:
            excess = (self.squares(value) - problem.squares) / self.unit
            return float(np.sqrt(max(excess, 0.0))) - reach if np.isfinite(excess) else np.inf

        inner, inner_rise, step = best, -reach, reach * se
        for _ in range(GROWTH):
            outer = best + side * step
            outer = max(outer, limit) if side < 0 else min(outer, limit)
            before = self.at
            outer_rise = rise(outer)
            if outer_rise >= 0:
                break
            if outer == limit:
                return float(limit)
            inner, inner_rise, step = outer, outer_rise, 2 * step
        else:
            return float(limit)
        for _ in range(60):  # Illinois: false position that halves the end which stays
            if abs(outer - inner) <= 1e-7 * se:
                break
            if np.isinf(outer_rise):
                middle = (inner + outer) / 2
            else:
                middle = outer - outer_rise * (outer - inner) / (outer_rise - inner_rise)
            self.at = before
            found = rise(middle)
            if abs(found) < 1e-9:
                return middle
            if found < 0:
                inner, inner_rise, before = middle, found, self.at
                outer_rise *= 0.5
            else:
                outer, outer_rise = middle, found
                inner_rise *= 0.5
        return (inner + outer) / 2
