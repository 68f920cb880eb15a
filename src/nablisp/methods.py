"""From a start on a surface to a lowest point: Newton's method and L-BFGS, as generators.

A method knows vectors only. It asks a surface for the value with its gradient, and for the Hessian
or products with it; it yields each point it moves to, and returns how it ended, a row of ENDINGS.
Bounds are arrays; an entry at a bound that the gradient holds there does not move. A trial whose
value or gradient is not finite counts as too far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

ENDINGS = {
    "rest": "no step improves on this point: the gradient is zero to rounding, or not smooth",
    "slow": "steps still fall, but by next to nothing",
    "unbounded": "the value falls without end",
}

EPS = float(np.finfo(np.float64).eps)
NOISE = 10 * EPS
"""Relative differences of values that are taken for rounding."""
TRIALS, FUTILE = 100, 8
"""Lengths of a step that are tried; those that may promise less than rounding in vain."""
TURNS = 500
"""Turns of conjugate gradients in one step."""
IDLE = 4
"""Steps of lbfgs in a row that are no longer than rounding, or fall by no more."""
FAR = 1e100
"""Where a coordinate or a value that falls is said to have no bound."""


class Surface(Protocol):
    """What a method asks."""

    def at(self, x: Vector) -> tuple[float, Vector]:
        """The value and its gradient."""

    def product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian times v."""

    def hessian(self, x: Vector) -> Matrix:
        """The Hessian whole."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point, its value and gradient there; `ok` where both are finite."""

    x: Vector
    value: float
    slope: Vector

    @property
    def ok(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.slope).all())


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest and highest value of each entry, infinite where there is none."""

    low: Vector
    high: Vector

    def clip(self, x: Vector) -> Vector:
        return np.minimum(np.maximum(x, self.low), self.high)

    def free(self, point: Point) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Entries that are not held at a bound by the gradient."""
        x, slope = point.x, point.slope
        return ~(((x <= self.low) & (slope > 0)) | ((x >= self.high) & (slope < 0)))

    @property
    def open(self) -> bool:
        """Is there no bound at all?"""
        return bool(np.isinf(self.low).all() and np.isinf(self.high).all())


Run = Generator[Point, None, str]


def look(surface: Surface, x: Vector) -> Point:
    """The point at x."""
    return Point(x, *surface.at(x))


def _fallen(point: Point, first: Point) -> bool:
    """Has the value, or a coordinate on its way down, gone out of sight?"""
    far = np.abs(point.x).max(initial=0.0) > FAR * (1 + np.abs(first.x).max(initial=0.0))
    return bool(far or point.value < -FAR * (1 + abs(first.value)))


# ---- Newton's method in a trust region -----------------------------------------------------------


def newton(surface: Surface, point: Point, bounds: Bounds, *, whole: bool = True) -> Run:
    """Newton's method with the exact Hessian in a trust region.

    With `whole` the model is minimised exactly in the region, by the eigenvalues of the Hessian
    (Moré and Sorensen 1983), which leaves saddles; otherwise by conjugate gradients on products
    (Steihaug 1983). The region is measured in units of `_units`. Where the value cannot tell any
    more, a shorter gradient counts as progress, so the end is at the rounding of the gradient.
    """
    first, radius, pace = point, 0.0, _Pace(point)
    reach = np.abs(point.x)
    while True:
        free = bounds.free(point)
        if not free.any() or (not whole and not point.slope[free].any()):
            return "rest"
        slope, units = point.slope[free], np.ones(int(free.sum()))
        model: _Whole | _Products
        if whole:
            matrix = surface.hessian(point.x)[np.ix_(free, free)]
            if not np.isfinite(matrix).all():
                return "rest"
            units = _units(matrix)
            model = _Whole(matrix, slope, units)
        else:
            model = _Products(products(surface, point.x, free), slope)
        radius = radius or max(1.0, float(np.linalg.norm(units * point.x[free])))
        steep = float(np.linalg.norm(slope / units))
        futile = 0
        for _ in range(TRIALS):
            x = point.x.copy()
            x[free] += model.step(radius)
            x = bounds.clip(x)
            moved = (x - point.x)[free]
            if not moved.any() or not np.isfinite(moved).all():
                return "rest"
            length = float(np.linalg.norm(units * moved))
            foreseen = -float(slope @ moved + 0.5 * moved @ model.times(moved))
            new = look(surface, x)
            fell = point.value - new.value if new.ok else -np.inf
            noise = NOISE * abs(point.value)
            blur = max(noise, 4 * EPS * abs(first.value))
            if foreseen <= blur and fell >= -blur:  # the value cannot tell; the gradient may
                flatter = np.where(bounds.free(new), new.slope, 0.0)[free] / units
                if np.linalg.norm(flatter) < (0.5 if foreseen > noise else 1.0) * steep:
                    break
                futile += foreseen <= noise
                if futile > FUTILE:
                    return "rest"
            share = fell / foreseen if foreseen > 0 else -np.inf
            if share > 0.75 and length > 0.8 * radius:
                radius *= 3
            elif not share >= 0.25:
                radius = length / 4
            if share > 1e-4:
                break
        else:
            return "rest"
        reach = np.maximum(reach, np.abs(new.x))
        small = (np.abs(new.x - point.x) <= EPS * reach).all()
        point = new
        yield point
        if _fallen(point, first):
            return "unbounded"
        if small:
            return "rest"
        if pace.slow(point, 100):
            return "slow"


class _Pace:
    """Whether steps still lead anywhere: values and gradients of some steps ago."""

    def __init__(self, point: Point) -> None:
        self.value, self.steep, self.since = point.value, np.inf, 0

    def slow(self, point: Point, steps: int) -> bool:
        """Has so many steps changed neither the value by a thousandth nor halved the gradient?"""
        steep = float(np.linalg.norm(point.slope))
        fell = self.value - point.value > 1e-3 * abs(point.value)
        if fell or steep < self.steep / 2:
            self.value, self.steep, self.since = point.value, min(steep, self.steep), 0
        self.since += 1
        return self.since > steps


def _units(matrix: Matrix) -> Vector:
    """The unit of length of each entry: what changes the gradient by its own measure."""
    diagonal = np.sqrt(np.abs(np.diag(matrix)))
    rows = np.sqrt(np.abs(matrix).max(axis=1))
    largest = float(rows.max(initial=0.0)) or 1.0
    units = np.maximum(np.where(diagonal > 0, diagonal, rows), 1e-8 * largest)
    return units / largest


class _Whole:
    """A quadratic model in the basis where its matrix is diagonal."""

    def __init__(self, matrix: Matrix, slope: Vector, units: Vector) -> None:
        self.matrix, self.units = matrix, units
        self.bends, self.basis = np.linalg.eigh(matrix / units[:, None] / units)
        self.slope = self.basis.T @ (slope / units)

    def times(self, v: Vector) -> Vector:
        return self.matrix @ v

    def step(self, radius: float) -> Vector:
        """The lowest point of the model within the radius."""
        return self.basis @ self._step(radius) / self.units

    def _step(self, radius: float) -> Vector:
        bends, slope = self.bends, self.slope
        lowest, most = float(bends[0]), float(np.abs(bends).max())
        tiny = len(bends) * EPS * most
        if lowest > tiny:
            step: Vector = -slope / bends
            if np.linalg.norm(step) <= radius:
                return step
        shift = max(0.0, -lowest)
        lifted = bends + shift
        still = lifted <= tiny
        if np.linalg.norm(slope / np.maximum(lifted, tiny)) > radius:
            return self._at_edge(radius, shift)
        step = np.where(still, 0.0, -slope / np.where(still, 1.0, lifted))
        if lowest < -tiny:  # along what curves down, to the edge of the region
            k = int(np.flatnonzero(still)[0])
            step[k] = np.copysign(np.sqrt(radius**2 - float(step @ step)), -slope[k] or 1.0)
        return step

    def _at_edge(self, radius: float, shift: float) -> Vector:
        """The step of length `radius`: a zero of 1/radius - 1/length in the shift, by Newton."""
        bends, slope = self.bends, self.slope
        low, high = shift, shift + float(np.linalg.norm(slope)) / radius
        at = low + 1e-3 * (high - low)
        for _ in range(100):
            lifted = bends + at
            with np.errstate(all="ignore"):
                step = -slope / lifted
                length = float(np.linalg.norm(step))
            if not np.isfinite(length) or length > radius:
                low = at
            else:
                high = at
            if abs(length - radius) <= 1e-6 * radius or high - low <= EPS * high:
                break
            with np.errstate(all="ignore"):
                bend = float(np.sum(slope**2 / lifted**3))
                at += (length / radius - 1) * length**2 / bend
            if not low < at < high:
                at = max(np.sqrt(low * high), low + 1e-3 * (high - low))
        return np.nan_to_num(step)


class _Products:
    """A quadratic model known by products with its matrix."""

    def __init__(self, times: Callable[[Vector], Vector], slope: Vector) -> None:
        self.times, self.slope = times, slope

    def step(self, radius: float) -> Vector:
        """Conjugate gradients until they leave the region, or the model curves down."""
        step, rest = np.zeros_like(self.slope), self.slope
        size = float(np.linalg.norm(rest))
        goal = size * min(0.1, np.sqrt(size))
        along = -rest
        for _ in range(min(2 * len(rest) + 10, TURNS)):
            pushed = self.times(along)
            bend = float(along @ pushed)
            square = float(rest @ rest)
            if bend <= 0 or not np.isfinite(bend):
                return step + _to_edge(step, along, radius) * along
            share = square / bend
            if np.linalg.norm(step + share * along) >= radius:
                return step + _to_edge(step, along, radius) * along
            step = step + share * along
            rest = rest + share * pushed
            if np.linalg.norm(rest) <= goal:
                break
            along = -rest + float(rest @ rest) / square * along
        return step


def _to_edge(step: Vector, along: Vector, radius: float) -> float:
    """How far along a direction the region ends."""
    a, b, c = float(along @ along), float(step @ along), float(step @ step) - radius**2
    return float((-b + np.sqrt(max(b * b - a * c, 0.0))) / a)


def products(surface: Surface, x: Vector, free: Any) -> Callable[[Vector], Vector]:
    """Products with the part of the Hessian that belongs to free entries."""

    def times(v: Vector) -> Vector:
        whole = np.zeros_like(x)
        whole[free] = v
        found: Vector = surface.product(x, whole)[free]
        return found

    return times


# ---- L-BFGS --------------------------------------------------------------------------------------


def lbfgs(surface: Surface, point: Point, bounds: Bounds, *, memory: int = 20) -> Run:
    """Limited-memory BFGS (Liu and Nocedal 1989) with a line search to the strong Wolfe conditions.

    Within bounds the entries held there are left out, and the search goes along the projected path.
    """
    first, pace, idle = point, _Pace(point), 0
    reach = np.abs(point.x)
    pairs: deque[tuple[Vector, Vector]] = deque(maxlen=memory)
    while True:
        free = bounds.free(point)
        slope = np.where(free, point.slope, 0.0)
        if not slope.any():
            return "rest"
        along = np.where(free, -_two_loops(slope, pairs, free), 0.0)
        fresh = not pairs
        if not float(along @ slope) < 0 or not np.isfinite(along).all():
            along, fresh = -slope, True
            pairs.clear()
        longest = max(1.0, 1e-3 * float(np.linalg.norm(point.x)))
        start = min(1.0, longest / _length(slope)) if fresh else 1.0
        search = _wolfe if bounds.open else _projected
        new = search(surface, point, along, start, bounds)
        if new is None:
            if fresh:
                return "rest"
            pairs.clear()
            continue
        moved, turned = new.x - point.x, new.slope - point.slope
        if float(moved @ turned) > EPS * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
            pairs.append((moved, turned))
        fell = point.value - new.value
        reach = np.maximum(reach, np.abs(new.x))
        point = new
        yield point
        if _fallen(point, first):
            return "unbounded"
        still = fell <= NOISE * abs(point.value) or (np.abs(moved) <= EPS * reach).all()
        idle = idle + 1 if still else 0
        if idle >= IDLE:
            return "rest"
        if pace.slow(point, 1000):
            return "slow"


def _length(v: Vector) -> float:
    """The length of a vector that is not 0, however small its entries."""
    most = float(np.abs(v).max())
    return most * float(np.linalg.norm(v / most))


def _two_loops(slope: Vector, pairs: deque[tuple[Vector, Vector]], free: Any) -> Vector:
    """The inverse Hessian that the pairs suggest, times the gradient."""
    found, kept = slope.copy(), []
    for moved, turned in reversed(pairs):
        s, y = np.where(free, moved, 0.0), np.where(free, turned, 0.0)
        product = float(s @ y)
        if product > 0 and float(y @ y) > 0:
            share = float(s @ found) / product
            found -= share * y
            kept.append((s, y, product, share))
    if kept:
        _, y, product, _ = kept[0]
        found *= product / float(y @ y)
    for s, y, product, share in reversed(kept):
        found += (share - float(y @ found) / product) * s
    return found


def _wolfe(
    surface: Surface, point: Point, along: Vector, start: float, bounds: Bounds
) -> Point | None:
    """A point with enough decrease and a flatter slope (Nocedal and Wright 2006, 3.5 and 3.6).

    Where the value cannot tell, the slope decides (Hager and Zhang 2005). None where no trial does.
    """
    fall = float(point.slope @ along)
    noise = NOISE * abs(point.value)
    lo, lo_point, lo_fall = 0.0, point, fall
    hi, hi_value, hi_fall = np.inf, np.inf, np.inf
    at = start
    for _ in range(60):
        x = point.x + at * along
        if (x == point.x).all() or at * abs(fall) < noise / 100:
            break
        new = look(surface, x)
        rise = float(new.slope @ along) if new.ok else np.inf
        enough = new.ok and (
            new.value <= point.value + 1e-4 * at * fall
            or (new.value <= point.value + noise and rise <= -0.9998 * fall)
        )
        if enough and abs(rise) <= -0.9 * fall:
            return new
        if not enough or (lo > 0 and new.value > lo_point.value + noise):
            hi, hi_value, hi_fall = at, new.value if new.ok else np.inf, rise
        else:  # the lower end of the bracket is the better point
            if rise > 0 if np.isinf(hi) else rise * (hi - lo) >= 0:
                hi, hi_value, hi_fall = lo, lo_point.value, lo_fall
            lo, lo_point, lo_fall = at, new, rise
        if np.isinf(hi):
            at *= 4
            if at > 1e30:
                break
        else:
            if abs(hi - lo) <= EPS * max(hi, lo):
                break
            at = _between(lo, lo_point.value, lo_fall, hi, hi_value, hi_fall)
    return lo_point if lo_point is not point and lo_point.value < point.value else None


def _between(a: float, fa: float, da: float, b: float, fb: float, db: float) -> float:
    """The lowest point of the cubic through two ends, kept away from both."""
    width = b - a
    found = a + width / (2 if np.isfinite(fb) else 10)
    if np.isfinite(fb) and np.isfinite(db):
        with np.errstate(all="ignore"):
            mixed = np.float64(da + db) - 3 * (fa - fb) / (a - b)
            root = np.sign(width) * np.sqrt(mixed * mixed - da * db)
            cubic = float(b - width * (db + root - mixed) / (db - da + 2 * root))
        found = cubic if np.isfinite(cubic) else found
    edge = 0.05 * abs(width)
    return float(min(max(found, min(a, b) + edge), max(a, b) - edge))


def _projected(
    surface: Surface, point: Point, along: Vector, start: float, bounds: Bounds
) -> Point | None:
    """The first point of the projected path with enough decrease (Bertsekas 1976)."""
    at = start
    noise = NOISE * abs(point.value)
    for _ in range(60):
        x = bounds.clip(point.x + at * along)
        moved = x - point.x
        if not moved.any():
            return None
        new = look(surface, x)
        fall = float(point.slope @ moved)
        if new.ok and (
            new.value <= point.value + 1e-4 * fall
            if abs(fall) > noise
            else new.value <= point.value + noise and abs(new.slope @ moved) < abs(fall)
        ):
            return new
        at *= 0.3 if new.ok else 0.1
    return None
