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

from .region import Products, Whole
from .region import units as units_of

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

ENDINGS = {
    "rest": "no step improves on this point: the gradient is zero to rounding, or not smooth",
    "slow": "steps still fall, but by next to nothing",
    "unbounded": "the value falls without end",
    "pole": "the value falls without end towards a bound",
}

EPS = float(np.finfo(np.float64).eps)
NOISE = 10 * EPS
"""Relative differences of values that are taken for rounding."""
TRIALS, FUTILE = 100, 8
"""Lengths of a step that are tried; those that may promise less than rounding in vain."""
IDLE = 4
"""Steps of lbfgs in a row that are no longer than rounding, or fall by no more."""
SPENT = 50
"""Steps in a row that change the value by its rounding, or a value that is nothing against the
start's: towards a kink or infinity there is no end of them."""
STEEP = 1e150
"""What stands for an infinite gradient at a bound that holds it."""
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

    def met(self, x: Vector) -> bool:
        """Is an entry at its bound?"""
        return bool(((x <= self.low) | (x >= self.high)).any())

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


def look(surface: Surface, x: Vector, bounds: Bounds) -> Point:
    """The point at x; an infinite gradient that a bound holds is as good as a steep one."""
    value, slope = surface.at(x)
    held = ((x <= bounds.low) & (slope == np.inf)) | ((x >= bounds.high) & (slope == -np.inf))
    return Point(x, value, np.where(held, np.sign(slope) * STEEP, slope) if held.any() else slope)


def _fallen(point: Point, first: Point) -> bool:
    """Has the value, or a coordinate on its way down, gone out of sight?"""
    far = np.abs(point.x).max(initial=0.0) > FAR * (1 + np.abs(first.x).max(initial=0.0))
    return bool(far or point.value < -FAR * (1 + abs(first.value)))


# ---- Newton's method in a trust region -----------------------------------------------------------


def newton(
    surface: Surface, point: Point, bounds: Bounds, *, whole: bool = True, top: float = -np.inf
) -> Run:
    """Newton's method with the exact Hessian in a trust region.

    With `whole` the model is minimised exactly in the region, by the eigenvalues of the Hessian
    (Moré and Sorensen 1983), which leaves saddles; otherwise by conjugate gradients on products
    (Steihaug 1983). The region is measured in units of `_units`. Where the value cannot tell any
    more, a shorter gradient counts as progress, so the end is at the rounding of the gradient.
    `top` is the value where the search began, if that was elsewhere.
    """
    first, radius, pace = point, 0.0, _Pace(point, top)
    reach = np.abs(point.x)
    while True:
        free = bounds.free(point)
        if not free.any() or (not whole and not point.slope[free].any()):
            return "rest"
        slope, units = point.slope[free], np.ones(int(free.sum()))
        model: Whole | Products
        if whole:
            matrix = surface.hessian(point.x)[np.ix_(free, free)]
            if not np.isfinite(matrix).all():
                return "rest"
            units = units_of(matrix)
            model = Whole(matrix, slope, units)
        else:
            model = Products(products(surface, point.x, free), slope)
        radius = radius or max(1.0, float(np.linalg.norm(units * point.x[free])))
        steep = float(np.linalg.norm(slope / units))
        futile = 0
        for _ in range(TRIALS):
            foreseen, x = -np.inf, point.x
            for step in model.steps(radius):
                there = point.x.copy()
                there[free] += step
                there = bounds.clip(there)
                moved = (there - point.x)[free]
                if moved.any() and np.isfinite(moved).all():
                    fall = -float(slope @ moved + 0.5 * moved @ model.times(moved))
                    if fall > foreseen or x is point.x:
                        foreseen, x = fall, there
            if x is point.x:
                return "rest"
            moved = (x - point.x)[free]
            length = float(np.linalg.norm(units * moved))
            new = look(surface, x, bounds)
            if new.value == -np.inf and bounds.met(x):
                return "pole"
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
        if small or pace.spent(point):
            return "rest"
        if pace.slow(point, 100):
            return "slow"


class _Pace:
    """Whether steps still lead anywhere: values and gradients of some steps ago."""

    def __init__(self, point: Point, top: float) -> None:
        self.value, self.steep, self.since = point.value, np.inf, 0
        self.top, self.last, self.spends = max(top, point.value), point.value, 0

    def spent(self, point: Point) -> bool:
        """Have SPENT steps in a row each led to no change, or from nothing to nothing?"""
        size = abs(point.value)
        still = self.last - point.value <= EPS * size or size <= EPS * (self.top - point.value)
        self.last, self.spends = point.value, self.spends + 1 if still else 0
        return self.spends >= SPENT

    def slow(self, point: Point, steps: int) -> bool:
        """Has so many steps changed neither the value by a thousandth nor halved the gradient?"""
        steep = float(np.linalg.norm(point.slope))
        fell = self.value - point.value > 1e-3 * abs(point.value)
        if fell or steep < self.steep / 2:
            self.value, self.steep, self.since = point.value, min(steep, self.steep), 0
        self.since += 1
        return self.since > steps


def products(surface: Surface, x: Vector, free: Any) -> Callable[[Vector], Vector]:
    """Products with the part of the Hessian that belongs to free entries."""

    def times(v: Vector) -> Vector:
        whole = np.zeros_like(x)
        whole[free] = v
        found: Vector = surface.product(x, whole)[free]
        return found

    return times


# ---- L-BFGS --------------------------------------------------------------------------------------


def lbfgs(
    surface: Surface, point: Point, bounds: Bounds, *, memory: int = 20, top: float = -np.inf
) -> Run:
    """Limited-memory BFGS (Liu and Nocedal 1989) with a line search to the strong Wolfe conditions.

    Within bounds the entries held there are left out, and the search goes along the projected path.
    """
    first, pace, idle = point, _Pace(point, top), 0
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
        if new is not None and new.value == -np.inf:
            return "pole"
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
        if idle >= IDLE or pace.spent(point):
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
        new = look(surface, x, bounds)
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
        new = look(surface, x, bounds)
        fall = float(point.slope @ moved)
        if new.value == -np.inf and bounds.met(x):
            return new
        if new.ok and (
            new.value <= point.value + 1e-4 * fall
            if abs(fall) > noise
            else new.value <= point.value + noise and abs(new.slope @ moved) < abs(fall)
        ):
            return new
        at *= 0.3 if new.ok else 0.1
    return None
