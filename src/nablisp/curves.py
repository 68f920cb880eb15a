"""Formulas as pictures: turns expressions over one axis into curves, over two into contours.

A formula that holds no column but the axis has a value everywhere, and is a curve; one that holds
others, or is a column itself, has a value for each row only, and is drawn as points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .accurate import accurate
from .columns import Columns
from .errors import NablispError
from .evaluate import ROWS, evaluate
from .expr import Expr, names, postorder
from .figure import LARGEST, Contours, Figure, Line, Points, Series, Vector, bulk, widened
from .limits import Budget
from .printer import brief
from .shapes import shape_of, show
from .views import GRID, frame, reduces, seen, spread, thinned

FIELD = 91
"""Points of a surface along each side, where rows are few."""
FINE = 241
"""As many where there are no columns, so that all points are rows of one evaluation."""
SHORT = 300
"""Operations of a formula that may have so many rows at once; each takes half a megabyte."""
WORK = 200_000_000
"""Rows that a surface may go through in all; of many rows, it has fewer points."""
TALL = 8
"""A curve that leaves the bulk of its values so many times over is cut: it has a pole."""


class Range(NamedTuple):
    """A name and the numbers it goes over; of a column without an order, None: its own."""

    name: str
    low: float | None = None
    high: float | None = None


class Drawn(NamedTuple):
    """A formula, or numbers by row, with a label and a colour."""

    value: Expr | Vector
    label: str
    color: int
    by_row: bool = False
    """drawn at the rows alone, as data are"""


class Curves:
    """What formulas look like over an axis, for given parameters, in a frame that stays.

    `env` holds the values of parameters, `columns` the columns; without an `axis` rows are
    counted. NablispError for names without a value and for shapes that are no curve.
    """

    def __init__(
        self,
        parts: Sequence[Drawn],
        axis: Range | None,
        env: Mapping[str, Any],
        columns: Columns,
        budget: Budget,
    ) -> None:
        self.parts, self.axis, self.budget = parts, axis, budget
        self.env, self.columns = dict(env), columns
        self.shapes: dict[str, Any] = {n: np.shape(v) for n, v in env.items()}
        self.label = axis.name if axis else "row"
        self.y_label = parts[0].label if len(parts) == 1 else ""
        inside = set(names(*(part.value for part in parts if isinstance(part.value, Expr))))
        inside |= {axis.name} if axis else set()
        self.held = {n: columns[n] for n in columns if n in inside}
        self.shapes |= {n: ("rows", *np.shape(c)[1:]) for n, c in self.held.items()}
        self.over: tuple[float, float] | None = None
        if axis is not None:
            self.over = (axis.low or 0.0, axis.high or 0.0)
            if axis.name in columns:
                self.at = self.held[axis.name]
                self.over = spread(self.at) if axis.low is None else self.over
            self.grid = np.linspace(*self.over, GRID)
        self.kinds = ["points" if p.by_row else self._kind(p.value) for p in parts]
        self.high: tuple[float, float] | None = None

    def _kind(self, value: Expr | Vector) -> str:
        """How a part is drawn: `curve`, `rows` joined in order, `points`, or step by `step`."""
        if not isinstance(value, Expr):
            return "points" if self.axis else "given"
        for name in names(value):
            if name not in self.shapes and (self.axis is None or name != self.axis.name):
                raise NablispError(
                    "unbound-name",
                    f"{name} has no value",
                    hint=f"declare it: (params {name}), or draw over it: :over ({name} -4 4)",
                )
        by_row = self.axis is None or self.axis.name in self.columns
        shape = shape_of(value, self.shapes)
        if shape not in ((), ("rows",)) or (shape and not by_row):
            raise NablispError(
                "shape",
                f"{brief(value)} has shape {show(shape)}, and a curve is one number for each "
                f"{self.label}",
                hint="draw its parts one by one, or a sum or a mean of them",
            )
        if not by_row:
            return "step"
        if self.axis is None:
            return "given"
        if any(n in self.columns and n != self.axis.name for n in names(value)):
            return "points"
        return "rows" if reduces(value, self.shapes) else "curve"

    def values(self, params: Mapping[str, Any]) -> list[Vector]:
        """The height of every part, where it is drawn."""
        env = {**self.env, **params}
        found: dict[int, Vector] = {}
        for kind in dict.fromkeys(self.kinds):
            which = [k for k, own in enumerate(self.kinds) if own == kind]
            roots = [self.parts[k].value for k in which]
            found |= zip(which, self._values(kind, roots, env), strict=True)
        return [found[k] for k in range(len(self.parts))]

    def _values(self, kind: str, roots: Sequence[Any], env: dict[str, Any]) -> list[Vector]:
        name = self.axis.name if self.axis else ""
        if kind == "curve":
            env |= {name: self.grid, ROWS: float(GRID)}
            return _numbers(roots, env, GRID)
        if kind == "step":
            nodes = accurate(*roots)
            heights = np.empty((len(roots), GRID))
            held = {**self.held, ROWS: float(self.columns.rows or 1)}
            for i, x in enumerate(self.grid):
                self.budget.clock()
                heights[:, i] = evaluate(nodes, {**env, **held, name: float(x)})
            return list(heights)
        rows = self.columns.rows or 1
        made = [root for root in roots if isinstance(root, Expr)]
        computed = iter(_numbers(made, {**env, **self.held, ROWS: float(rows)}, rows))
        return [
            next(computed) if isinstance(root, Expr) else np.asarray(root, float) for root in roots
        ]

    def series(self, params: Mapping[str, Any]) -> list[Series]:
        """Lines and points, in the order of the parts."""
        found: list[Series] = []
        for part, kind, y in zip(self.parts, self.kinds, self.values(params), strict=True):
            label = "" if self.y_label else part.label
            match kind:
                case "curve" | "step":
                    found.append(Line(self.grid, y, label, part.color))
                case "rows":
                    order = np.argsort(self.at, kind="stable")
                    joined = thinned(self.at[order]), thinned(y[order])
                    found.append(Line(*joined, label, part.color))
                case "points":
                    found.append(Points(thinned(self.at), thinned(y), label, part.color))
                case _:
                    x = thinned(np.arange(len(y), dtype=float))
                    shape = Points if isinstance(part.value, Expr) else Line
                    found.append(shape(x, thinned(y), label, part.color))
        return found

    def figure(self, params: Mapping[str, Any], title: str = "") -> Figure:
        """The picture for these parameters; those not given have their values of now."""
        found = self.series(params)
        high = self.high or _bulk(found)
        if high:
            found = [_cut(part, high) for part in found]
        return Figure(tuple(found), title, self.label, self.y_label, self.over, high)

    def fix(self, first: Mapping[str, Any], last: Mapping[str, Any]) -> None:
        """Let the frame hold how all looks in the end, and how it starts as far as that is near."""
        start, end = (np.concatenate(self.values(params)) for params in (first, last))
        self.high = frame(end, start)

    def heights(self, params: Mapping[str, Any]) -> Vector:
        """Where everything is, in units of the frame's height."""
        return seen(self.values(params), self.high or (0.0, 1.0))


def surface(
    e: Expr, x: Range, y: Range, env: Mapping[str, Any], columns: Columns, budget: Budget
) -> Contours:
    """A formula's values over two names; NablispError "shape" where it is no single number."""
    inside = names(e)
    held = {n: columns[n] for n in columns if n in inside}
    shapes: dict[str, Any] = {n: np.shape(v) for n, v in env.items()}
    shapes |= {n: ("rows", *np.shape(c)[1:]) for n, c in held.items()}
    for name in inside:
        if name not in shapes and name not in (x.name, y.name):
            raise NablispError(
                "unbound-name", f"{name} has no value", hint=f"declare it: (params {name})"
            )
    if shape := shape_of(e, shapes):
        raise NablispError(
            "shape",
            f"{brief(e)} has shape {show(shape)}, and contours are of one number",
            hint="wrap it in mean or sum",
        )
    grid = {**shapes, x.name: ("rows",), y.name: ("rows",)}
    short = not held and len(postorder(e)) <= SHORT
    if short and shape_of(e, grid) and not reduces(e, grid):
        return _field(e, x, y, env)
    rows = columns.rows or 1
    side = int(np.clip(np.sqrt(WORK / (rows if held else 1)), 15, FIELD))
    across, along = (np.linspace(r.low or 0.0, r.high or 0.0, side) for r in (x, y))
    node, known = accurate(e), {**env, **held, ROWS: float(rows)}
    z = np.empty((side, side))
    for i, v in enumerate(along):
        for j, u in enumerate(across):
            budget.clock()
            z[i, j] = evaluate(node, {**known, x.name: float(u), y.name: float(v)})[0]
    return _contours(across, along, z)


def _field(e: Expr, x: Range, y: Range, env: Mapping[str, Any]) -> Contours:
    """A surface over a fine grid, whose points are rows."""
    across, along = (np.linspace(r.low or 0.0, r.high or 0.0, FINE) for r in (x, y))
    at = {x.name: np.tile(across, FINE), y.name: np.repeat(along, FINE)}
    (z,) = _numbers([e], {**env, **at, ROWS: float(FINE**2)}, FINE**2)
    return _contours(across, along, z.reshape(FINE, FINE))


def _contours(x: Vector, y: Vector, z: Vector) -> Contours:
    """Contours with gaps where there is no height, within what axes can show."""
    return Contours(x, y, np.where(np.isfinite(z), np.clip(z, -LARGEST, LARGEST), np.nan))


def _numbers(roots: Sequence[Expr], env: Mapping[str, Any], rows: int) -> list[Vector]:
    return [np.broadcast_to(np.asarray(v, float), rows) for v in evaluate(accurate(*roots), env)]


def _bulk(series: Sequence[Series]) -> tuple[float, float] | None:
    """The heights that matter where curves shoot off at poles; None where none does."""
    lines = [part.y for part in series if isinstance(part, Line | Points)]
    every = np.concatenate([np.ravel(y) for y in lines])
    good = every[np.isfinite(every)]
    if not len(good):
        return None
    low, high = bulk(good, 0.5)
    whole = np.ptp(np.clip(good, -LARGEST, LARGEST))
    return widened(np.array([low, high])) if 0 < high - low < whole / TALL * 2 else None


def _cut(part: Series, high: tuple[float, float]) -> Series:
    """A curve without its jumps from one end of the frame to the other."""
    if not isinstance(part, Line) or not len(part.y):
        return part
    y = np.array(part.y, float)
    with np.errstate(all="ignore"):
        far = (np.abs(np.diff(y)) > high[1] - high[0]) & (np.sign(y[1:]) == -np.sign(y[:-1]))
    y[1:][far] = np.nan
    return Line(part.x, y, part.label, part.color)
