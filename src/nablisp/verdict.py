"""From a judged point to a result: status and words, estimates and their errors.

What the data leave open is named: a parameter without effect, or the sum, difference, product or
quotient that alone is determined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .blocks import Blocks
from .certificate import FitResult
from .least_squares import lengths, part
from .printer import brief, counted, element
from .problem import Problem
from .residuals import Rows
from .search import Candidate, Search

Vector = np.ndarray[Any, Any]


LITTLE = 0.05
"""The share of the variance below which a model explains next to nothing."""


def certified(
    problem: Problem,
    rows: Rows | Blocks,
    candidate: Candidate,
    search: Search,
    remarks: list[str],
) -> FitResult:
    """The result of a fit that came to this candidate."""
    point, options = candidate.point, problem.options
    normal, at = point.normal, point.at
    shown = scalar_names(problem.shapes)
    count = rows.weighed
    free = int((~point.held).sum())
    dof = count - free
    exact = normal.exact
    robust = options.loss is not None and dof > 0
    open_ = errors(
        candidate,
        shown,
        count,
        lambda there: rows.alike(at, there),
        (lambda: rows.sandwich(at, normal, ~point.held)) if robust else None,
    )
    squares, unit = normal.squares, problem.unit
    sd = float(np.sqrt(squares / dof)) / unit if dof > 0 else None
    why = ""
    cov, spread = None, 0.0
    if dof <= 0:
        why = f"{counted(count, 'row')} and {counted(free, 'parameter')} leave 0 degrees of freedom"
    elif open_.inverse is None:
        why = "the data do not determine the parameters"
    else:
        if robust:
            spread, sd = float(np.sqrt(count / dof)), rows.scale
        else:
            spread = unit if options.sigma is not None else float(np.sqrt(squares / dof))
        with np.errstate(over="ignore"):
            cov = open_.inverse * spread**2
    se = None
    if cov is not None and open_.alone is not None:
        with np.errstate(over="ignore"):
            known: Vector = open_.alone * spread
        se = dict(zip(shown, known.tolist(), strict=True))
    scatter = sd if sd is not None and options.loss is None else 0.0
    if options.loss is not None and dof > 0:
        scatter = float(np.sqrt(squares / dof))
    status, first, more = verdict(problem, candidate, search, exact, dof, count, open_.open, shown)
    touched = {shown[i]: float(at[i]) for i in np.flatnonzero(problem.bounds.touched(at))}
    if status not in ("converged", "exact"):
        remarks += [f"{name} is the same in all rows" for name in rows.constant()]
    explained = rows.r2(squares)
    if status == "converged" and options.loss is None and explained < LITTLE:
        remarks.append(
            "the model explains next to nothing of the responses: if it should, try other starts"
        )
    for name, value in touched.items():
        remarks.append(f"{name} is at its bound, {element(value)}")
    return FitResult(
        status=status,
        params=gathered(at, problem.shapes),
        start=gathered(problem.start, problem.shapes),
        names=shown,
        estimates=at,
        rss=squares / unit / unit,
        dof=max(dof, 0),
        sd=sd,
        r2=explained if options.loss is None and rows.spread > 0 else None,
        se=se,
        cov=cov,
        why=why,
        gradient_norm=0.0 if exact or point.held.all() else part(normal, ~point.held).offset,
        condition=normal.condition,
        bounds=touched,
        undetermined=open_.open,
        first=first,
        models=problem.models,
        responses=problem.titles,
        steps=candidate.steps,
        evaluations=rows.evaluations,
        seconds=0.0,
        rows=rows.rows,
        how="NumPy" if isinstance(rows, Rows) else "sums over blocks of rows",
        remarks=[*more, *remarks],
        known=replace(problem, squares=squares, noise=scatter),
        interrupted=search.late == "interrupted",
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
                said = f"{counted(count, 'row')} cannot determine {parameters} parameters"
            elif exact:
                said = f"the data are met exactly, but {said}"
        if kind in _SHOWN:
            said = said.format(_SHOWN[kind](found, shown))
        return search.late or "stalled", f"{by}: not a minimum to rely on: {said}", [cure]
    if exact:
        free = (
            "0 degrees of freedom, so no standard errors"
            if dof <= 0
            else f"{counted(dof, 'degree')} of freedom"
        )
        return "exact", f"{by}: exact fit, {free}", []
    return "converged", f"{by}: converged", []


_COMPLAINTS = {
    "overflow": (
        "{} runs off, and the slopes are no numbers there",
        "give it bounds, or leave it out of the model",
    ),
    "range": (
        "sums of squares of the slopes are no numbers",
        "give the columns units in which they are neither huge nor tiny: (data z (/ x 1e300))",
    ),
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

_SHOWN: dict[str, Callable[[Any, Sequence[str]], str]] = {
    "overflow": lambda found, names: names[found],
    "rounding": lambda found, names: ", ".join(names[i] for i in found),
    "pole": lambda found, names: brief(found),
    "lower": lambda found, names: f"{found:.6g}",
}
"""What stands in these words, from what was found and the parameters' names."""


# ---- errors of estimates -------------------------------------------------------------------------


@dataclass(slots=True)
class Errors:
    """Covariance of the estimates, before the residuals scale it; what is open, in words."""

    inverse: Vector | None
    alone: Vector | None
    """the roots of its diagonal, which may be numbers where their squares are none"""
    open: list[str]


def errors(
    candidate: Candidate,
    names: Sequence[str],
    rows: int,
    same: Callable[[Vector], bool],
    sandwich: Callable[[], Vector] | None = None,
) -> Errors:
    """(JᵀJ)⁻¹ in the parameters that are free and determined; inf for the others.

    `same` says whether a point has the same residuals. Of a robust loss, `sandwich` gives a root
    of what stands in its place.
    """
    point = candidate.point
    normal, free = point.normal, ~point.held
    count = len(names)
    weak = candidate.complaints.get("undetermined", np.zeros((0, count)))
    if rows < count or candidate.complaints.keys() & {"overflow", "range"}:
        return Errors(None, None, combinations(weak / normal.scale, point.at, names, same))
    out, alone = np.zeros((count, count)), np.zeros(count)
    loose = np.zeros(count, dtype=bool)
    if free.any():
        _, s, vt = np.linalg.svd(normal.r[:, free], full_matrices=False)
        keep = s > s[0] * 1e-13
        half = vt[keep].T / s[keep]
        inner = half @ half.T
        if len(weak):  # what a direction that is open leaves in a parameter drowns what is known
            share = np.max(np.abs(weak[:, free]), axis=0) / (s[0] * 1e-13)
            loose[free] = share > 1e3 * np.sqrt(np.diag(inner))
        if sandwich is not None:
            half = sandwich()
        half = half / normal.scale[free][:, None]
        with np.errstate(over="ignore"):
            out[np.ix_(free, free)] = half @ half.T
        alone[free] = lengths(half.T)
    alone[loose], alone[~free] = np.inf, np.nan
    out[loose, :] = out[:, loose] = 0.0
    out[loose, loose] = np.inf
    out[~free, :] = out[:, ~free] = np.nan
    return Errors(out, alone, combinations(weak / normal.scale, point.at, names, same))


def combinations(
    weak: Vector, at: Vector, names: Sequence[str], same: Callable[[Vector], bool]
) -> list[str]:
    """Directions in which the fit does not change, as words about parameters."""
    found = []
    for direction in weak:
        size = np.abs(direction) / (np.abs(at) + np.abs(direction).max())
        size = np.where(np.isfinite(size), size, 1.0)
        inside = sorted(int(i) for i in np.flatnonzero(size > 1e-6 * size.max()))
        found.append(_direction(inside, at, names, same))
    return list(dict.fromkeys(found))


_PAIRS: tuple[tuple[str, Callable[[float, float], tuple[float, float]]], ...] = (
    ("only the sum {} + {} is determined", lambda a, b: (a + _far(a), b - _far(a))),
    ("only the difference {} - {} is determined", lambda a, b: (a + _far(a), b + _far(a))),
    ("only the product {} {} is determined", lambda a, b: (2 * a, b / 2)),
    ("only the quotient {}/{} is determined", lambda a, b: (2 * a, 2 * b)),
)
"""What two parameters may determine together: in words, and a move that would not change it."""


def _far(value: float) -> float:
    return abs(value) or 1.0


def _direction(
    inside: list[int], at: Vector, names: Sequence[str], same: Callable[[Vector], bool]
) -> str:
    if len(inside) == 1:
        i = inside[0]
        for value in (2 * at[i] + 1, at[i] / 2, -at[i], 0.0):
            there = at.copy()
            there[i] = value
            if not same(there):
                return f"the model has no slope by {names[i]} to follow: it jumps, or is flat here"
        return f"{names[i]} has no effect on the fit"
    if len(inside) == 2:
        i, j = inside
        for words, move in _PAIRS:
            there = at.copy()
            there[i], there[j] = move(at[i], at[j])
            if (there != at).all(where=[k in inside for k in range(len(at))]) and same(there):
                return words.format(names[i], names[j])
    listed = ", ".join(names[i] for i in inside[:6])
    more = f" and {len(inside) - 6} more" if len(inside) > 6 else ""
    return f"a combination of {listed}{more} is not determined"


def gathered(values: Vector, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """A vector as parameters by name: numbers and arrays."""
    found: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape)) if shape else 1
        part = values[at : at + size]
        found[name] = part.reshape(shape).copy() if shape else float(part[0])
        at += size
    return found


def scalar_names(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The names of the entries, as a table shows them: `b`, `w[0]`, `W[1 2]`."""
    found: list[str] = []
    for name, shape in shapes.items():
        if not shape:
            found.append(name)
        else:
            found += [f"{name}[{' '.join(map(str, at))}]" for at in np.ndindex(*shape)]
    return tuple(found)
