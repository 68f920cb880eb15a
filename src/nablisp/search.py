"""From one start to the best minimum that can be vouched for: judges points, and looks elsewhere.

A point is vouched for when `judged` has no complaint. Where the first descent ends in none such, or
the surface is treacherous, others start from a low-discrepancy cloud (Halton 1960) around the start
and around the parameters' natural sizes, and from the valleys of lines through the best points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .double_double import pair
from .evaluate import evaluate
from .least_squares import (
    EPS,
    STATIONARY,
    UNDETERMINED,
    Bounds,
    Descent,
    Normal,
    Polished,
    Residuals,
    Tick,
    descend,
    never,
    part,
    polish,
)
from .process import patient
from .residuals import Rows
from .units import sizes

Vector = np.ndarray[Any, Any]

CLOUD = 32
"""Points of the cloud for each parameter that is not linear."""
BEST = 4
"""Of these, descents for each."""
DECADES = 3.0
LINE, WAVES, MOST, GAPS = 16, 200, 3_000, 300
"""Points along a line; of each kind, where a sine makes many valleys, at least and at most; and
between rows, where the model bends."""
STEPS = 6_000
"""Steps of descents from other starts, in all."""
VALLEYS = 2
"""Descents for each line."""
SCANS = 10
"""Points that lines are drawn through."""
GOOD, POOR = 0.99, 0.9
"""R² from which a fit is not searched along lines, and below which it is not taken as it comes."""
LONG, FAR = 15, 2.31
"""Steps, and the logarithm of a factor, that make a way long."""

FAR_OFF = 1e100
"""An estimate that ran off; where none is so large, the columns are too large or too small."""
FLAT = 1e-4
"""The least curvature, in units of JᵀJ, that makes a minimum."""
FINAL = 1e-10
"""The largest last step, relative to estimate and standard error."""
ALIKE = 1e-6
"""How far the Jacobian may be from its precise value, a column."""


@dataclass(slots=True)
class Candidate:
    """A point, and what speaks against it."""

    point: Polished
    complaints: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    """the way to it"""

    @property
    def squares(self) -> float:
        return self.point.normal.squares


def judged(rows: Residuals, point: Polished) -> Candidate:
    """What keeps a point from being a minimum to rely on, by kind."""
    normal, free = point.normal, ~point.held
    found: dict[str, Any] = {}
    if not free.any():
        return Candidate(point)
    inner = part(normal, free)
    s, directions = inner.singular
    weak = s * UNDETERMINED <= s[0]
    if normal.count < len(normal.scale) or weak.any():
        full = np.zeros((int(weak.sum()), len(free)))
        full[:, free] = directions[weak]
        found["undetermined"] = full
        return Candidate(point, found)
    if not normal.exact:
        bend = inner.bend()
        lowest = float(np.linalg.eigvalsh(bend)[0]) if np.isfinite(bend).all() else np.nan
        if not lowest > FLAT:
            found["curvature"] = lowest
        if not inner.offset <= STATIONARY + normal.noise:
            found["gradient"] = inner.offset
    if not normal.exact and np.any(normal.doubt[free] > ALIKE):
        found["rounding"] = np.flatnonzero((normal.doubt > ALIKE) & free)
    deviations = np.zeros(len(free))
    deviations[free] = np.sqrt(np.diag(inner.covariance()) * normal.squares)
    seen = np.abs(point.move) * normal.scale  # what the step changes in the residuals
    still = np.abs(point.move) <= FINAL * (np.abs(point.at) + deviations)
    if not np.all(still | (seen <= EPS * rows.size)):
        found["step"] = point.move
    if (pole := rows.pole(point.at)) is not None:
        found["pole"] = pole
    return Candidate(point, found)


def halton(count: int, dimensions: int) -> Vector:
    """Points in the unit cube that fill it evenly."""
    primes = [n for n in range(2, 400) if all(n % k for k in range(2, int(n**0.5) + 1))]
    out = np.zeros((count, dimensions))
    for k in range(dimensions):
        base = primes[k % len(primes)]
        i, weight = np.arange(1, count + 1), 1.0
        while i.any():
            weight /= base
            out[:, k] += weight * (i % base)
            i //= base
    return out


class Surroundings:
    """Where else to start: the size of the start, and what dimensional analysis and data say."""

    def __init__(self, rows: Rows, start: Vector, bounds: Bounds) -> None:
        model, self.others = rows.model, rows.others
        self.start = start
        self.low, self.high = bounds.low[self.others], bounds.high[self.others]
        self.closed = np.isfinite(self.low) & np.isfinite(self.high)
        self.own = np.where(start[self.others] != 0, np.abs(start[self.others]), 1.0)
        ranges = {name: _range(value) for name, value in rows.given.items()}
        known = sizes(model.units, ranges)
        self.rows = rows.rows
        self.natural = np.array(
            [known.get(model.names[i], self.own[k]) for k, i in enumerate(self.others)]
        )
        self.waves = [model.names[i] in model.waves for i in self.others]
        self.bends = [model.names[i] in model.kinks for i in self.others]
        self.places: dict[int, Vector] = {}
        for k, i in enumerate(self.others):
            if model.names[i] in model.locations:
                there, sign = model.locations[model.names[i]]
                value = sign * np.asarray(evaluate([there], rows.given)[0], dtype=float)
                if value.ndim and np.isfinite(value).all():
                    self.places[k] = np.sort(value)

    def at(self, base: Vector, value: Vector) -> Vector:
        """A point with these values of the parameters that are not linear, inside the bounds."""
        out = base.copy()
        out[self.others] = np.minimum(np.maximum(value, self.low), self.high)
        return out

    def cloud(self, count: int) -> Iterator[Vector]:
        """Over 10^±3 times the start and 10^±1.5 times natural sizes in turn, of either sign.

        Between the bounds where there are two; a parameter that is subtracted from a column also
        among its values.
        """
        for turn, point in enumerate(halton(count, 2 * len(self.others))):
            size, sign = point[::2], point[1::2]
            base, decades = (self.own, DECADES) if turn % 2 else (self.natural, DECADES / 2)
            value = base * 10 ** (decades * (2 * size - 1)) * np.where(sign < 0.5, -1.0, 1.0)
            if turn % 4:
                for k, there in self.places.items():
                    value[k] = there[0] + (there[-1] - there[0]) * size[k]
            inside = self.low + np.where(self.closed, self.high - self.low, 0.0) * size
            yield self.at(self.start, np.where(self.closed, inside, value))

    def lines(self, b: Vector) -> Iterator[list[Vector]]:
        """One parameter at a time over its natural range, the others as they are, in order."""
        for k in range(len(self.others)):
            size, reach = self.natural[k], 10 ** (DECADES / 2)
            values = [size * np.logspace(-DECADES / 2, DECADES / 2, LINE)]
            if self.waves[k]:  # as finely as periods and frequencies can be told apart
                most = max(reach, np.pi * (self.rows - 1))
                even = np.linspace(1 / reach, most, min(max(WAVES, 2 * self.rows), MOST))
                values += [size * even, size / even]
            values = [*values, *(-v for v in values)]
            if self.closed[k]:
                values = [np.linspace(self.low[k], self.high[k], LINE)]
            elif k in self.places:
                there = self.places[k]
                values.append(np.linspace(there[0], there[-1], LINE))
                if self.bends[k]:  # a bend may be in any gap between two rows
                    gaps = (there[1:] + there[:-1]) / 2
                    values.append(gaps[:: 1 + len(gaps) // GAPS])
            line = []
            for value in np.unique(np.concatenate(values)):
                moved = b[self.others].copy()
                moved[k] = value
                line.append(self.at(b, moved))
            yield line


class Search:
    """The way from a start to a candidate, and what was met on it."""

    def __init__(
        self,
        rows: Rows,
        start: Vector,
        bounds: Bounds,
        tick: Tick = never,
    ) -> None:
        self.rows, self.start, self.bounds, self._tick = rows, start, bounds, tick
        self.tried = 0
        self.late = ""
        """why not all was tried: time, or interrupted"""
        self.lowest = np.inf
        """the lowest sum of squares that was met, but for poles"""
        self.descent: Descent | None = None

    def tick(self) -> bool:
        if not self.late and self._tick():
            self.late = "time"
        return bool(self.late)

    def first(self) -> Candidate | None:
        """What the start itself leads to; None where the model is not finite there."""
        self.descent = descent = descend(self.rows, self.start, self.bounds, tick=self.tick)
        return self._polished(descent)

    def _polished(self, descent: Descent) -> Candidate | None:
        if not np.isfinite(descent.squares):
            return None
        point = polish(self.rows, descent.b, self.bounds, tick=self.tick)
        found = _overflown(self.rows, descent) if point is None else judged(self.rows, point)
        point = found.point
        found.steps = descent.steps + point.steps
        return found

    def treacherous(self, found: Candidate | None, r2: float | None = None) -> bool:
        """Is the surface such that the start may have led astray?

        Where a step was refused, the way was long, or the fit is poor.
        """
        descent, others = self.descent, self.rows.others
        if found is None or found.complaints or descent is None:
            return True
        if self.rows.model.kinks & {self.rows.model.names[i] for i in others}:
            return True
        if not others or found.point.normal.exact:
            return False
        before, after = self.start[others], found.point.at[others]
        far = (before * after < 0) | (np.abs(np.log(np.abs(after / before))) > FAR) & (before != 0)
        poor = (self.rows.r2(found.squares) if r2 is None else r2) < POOR
        return descent.rough or descent.steps > LONG or poor or bool(np.any(far))

    @patient
    def elsewhere(self, first: Candidate | None, starts: int | None = None) -> Candidate | None:
        """The lowest candidate that can be vouched for, or else the lowest."""
        rows = self.rows
        around = Surroundings(rows, self.start, self.bounds)
        dimensions = len(rows.others)
        ends: list[Descent] = []
        points = list(around.cloud(CLOUD * dimensions if starts is None else starts))
        order = np.argsort(self._heights(points))
        most = BEST * dimensions if starts is None else starts
        self._descend((points[i] for i in order[:most]), ends)
        scanned: list[Descent] = []
        best = min((e.squares for e in ends), default=np.inf)
        if first is not None and not first.complaints:
            best = min(best, first.squares)
        while (rows.r2(best) < GOOD or rows.model.kinks) and len(scanned) < SCANS:
            fresh = [e for e in ends[:2] if not any(e is s for s in scanned)]
            if not fresh:
                break
            scanned += fresh
            low: list[tuple[float, Vector]] = []
            for descent in fresh:
                for line in around.lines(descent.b):
                    values = self._heights(line)
                    low += [(float(values[i]), line[i]) for i in _valleys(values)[:VALLEYS]]
            low.sort(key=lambda item: item[0])
            self._descend((point for _, point in low[: VALLEYS * dimensions]), ends)
            best = min(best, ends[0].squares)
        found = [first] if first is not None else []
        for descent in ends:
            good = [c.squares for c in found if not c.complaints]
            if good and min(good) <= descent.squares * (1 + ALIKE):
                break
            candidate = self._polished(descent)
            if candidate is not None:
                found.append(candidate)
        self.lowest = min([c.squares for c in found if "pole" not in c.complaints], default=np.inf)
        good_ones = [c for c in found if not c.complaints]
        best_one = min(good_ones or found, key=lambda c: c.squares, default=None)
        if first is not None and not good_ones and _as_low(first, best_one):
            return first
        return best_one

    def _heights(self, points: list[Vector]) -> Vector:
        if self.tick():
            return np.full(len(points), np.inf)
        found = self.rows.heights(np.array(points))
        return np.where(np.isfinite(found), found, np.inf)

    def _descend(self, points: Iterable[Vector], ends: list[Descent]) -> None:
        for point in points:
            if self.tick() or self.tried > STEPS:
                break
            descent = descend(self.rows, point, self.bounds, 100, self.tick)
            self.tried += descent.steps
            if np.isfinite(descent.squares) and not any(_same(descent, e) for e in ends):
                ends.append(descent)
        ends.sort(key=lambda descent: descent.squares)


def _overflown(rows: Rows, descent: Descent) -> Candidate:
    """Where slopes are no numbers any more: the descent ran off, or columns are that large."""
    count = len(descent.b)
    none = np.zeros(count)
    normal = Normal(none + 1, np.eye(count), none, np.diag(none), descent.squares, rows.weighed)
    point = Polished(pair(descent.b), normal, none > 0, none, 0)
    farthest = int(np.argmax(np.abs(descent.b)))
    if abs(descent.b[farthest]) < FAR_OFF:
        return Candidate(point, {"range": None})
    return Candidate(point, {"overflow": farthest})


def _range(value: Any) -> float:
    """The range of a column; of one that is the same in all rows, its size."""
    if not np.size(value):
        return 1.0
    return float(np.ptp(value)) or float(np.max(np.abs(value)))


def _valleys(heights: Vector) -> list[int]:
    """Where values along a line are lower than beside them, the lowest first."""
    padded = [np.inf, *heights.tolist(), np.inf]
    found = [i for i, value in enumerate(heights) if padded[i] > value <= padded[i + 2]]
    return sorted(found, key=lambda i: heights[i])


def _as_low(a: Candidate, b: Candidate | None) -> bool:
    return b is None or a.squares <= b.squares * (1 + ALIKE)


def _same(a: Descent, b: Descent) -> bool:
    return abs(a.squares - b.squares) <= ALIKE * abs(a.squares)
