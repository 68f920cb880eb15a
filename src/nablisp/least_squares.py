"""From residuals and their slopes to a minimum of the sum of squares: the numerics of a fit.

Levenberg and Marquardt's method in a trust region (Moré 1978) on the problem that is left when
linear parameters are eliminated (Golub and Pereyra 1973), then Newton's method on all parameters,
which carries a minimum to the last digit. Both see data only through triangles: a factor R of the
slopes J = Q R and Qᵀr, however many rows there are. Nothing here knows formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from . import double_double as dd
from .double_double import Pair

Vector = np.ndarray[Any, Any]
EPS = float(np.finfo(float).eps)

SETTLED = 1e-6
"""The relative offset |Qᵀr|/|r| at which Newton's method takes over."""
STATIONARY = 1e-9
"""The largest relative offset of a point whose gradient is zero to rounding."""
UNDETERMINED = 1e13
"""The condition number of the scaled Jacobian from which directions count as undetermined."""
ACCEPT = 1e-4
"""The share of the predicted reduction from which a step is taken."""


@dataclass(slots=True)
class Triangle:
    """A linear least-squares problem: min |R step + z|², and the squares that no step changes."""

    r: Vector
    z: Vector
    squares: float
    """|residuals|² in all"""


SAFE = 1e-140, 1e140
"""Lengths whose squares neither vanish nor overflow."""


def lengths(matrix: Vector) -> Vector:
    """The lengths of the columns of a matrix, however large or small."""
    found = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    if found.size and not (found.min() > SAFE[0] and found.max() < SAFE[1]):
        most = np.max(np.abs(matrix), axis=0, initial=0.0)
        unit = np.where((most > 0) & np.isfinite(most), most, 1.0)
        part = matrix / unit
        found = np.sqrt(np.einsum("ij,ij->j", part, part)) * unit
    return np.asarray(found)


def root(matrix: Vector) -> Vector:
    """The triangle R of a matrix Q R, by Householder's reflections."""
    found: Vector = np.linalg.qr(matrix, "r")  # type: ignore[assignment]  # with "r", an array
    return found


def triangle(slopes: Vector, residuals: Vector) -> Triangle:
    """The triangle of a matrix and a vector."""
    width = slopes.shape[1]
    whole = np.column_stack([slopes, residuals])
    if not np.isfinite(whole).all():
        return Triangle(np.full((width, width), np.nan), np.full(width, np.nan), np.nan)
    found = root(whole)
    if len(found) < width:
        found = np.vstack([found, np.zeros((width - len(found), width + 1))])
    return Triangle(found[:width, :width], found[:width, width], float(residuals @ residuals))


@dataclass
class Normal:
    """All that Newton's method asks of a point: slopes J = Q R D, gradient Jᵀr, Σ r ∇²r, |r|²."""

    scale: Vector
    """D: the norms of the columns of J"""
    r: Vector
    """R, the triangle of J/D"""
    gradient: Vector
    curving: Vector
    squares: float
    count: int
    """how many residuals"""
    exact: bool = False
    """are the residuals no larger than the rounding of the data?"""
    noise: float = 0.0
    """what rounding alone may make of the relative offset"""
    doubt: Vector = field(default_factory=lambda: np.zeros(1))
    """relative errors of the columns of J in doubles"""

    @cached_property
    def offset(self) -> float:
        """How far the residuals lean towards the slopes: |Qᵀr|/|r|, 0 at a stationary point."""
        if not self.squares:
            return 0.0
        s, vt = self.singular
        keep = s > 1e-14 * s[0]
        inner = (vt[keep] @ (self.gradient / self.scale)) / s[keep]
        return float(np.linalg.norm(inner) / np.sqrt(self.squares))

    @cached_property
    def singular(self) -> tuple[Vector, Vector]:
        """The singular values of J/D, descending, and the directions, as rows."""
        _, s, vt = np.linalg.svd(self.r)
        return s, vt

    @cached_property
    def inverse(self) -> Vector:
        """R⁻¹; nan where there is none."""
        try:
            return np.linalg.solve(self.r, np.eye(len(self.r)))
        except np.linalg.LinAlgError:
            return np.full(self.r.shape, np.nan)

    @property
    def condition(self) -> float:
        """The condition number of J/D."""
        s = self.singular[0]
        return float(s[0] / s[-1]) if len(s) and s[-1] > 0 else np.inf

    def bend(self) -> Vector:
        """M = I + R⁻ᵀ D⁻¹ (Σ r ∇²r) D⁻¹ R⁻¹: the Hessian, measured by JᵀJ.

        It does not depend on how parameters are scaled, or mixed; positive at a minimum.
        """
        half = self.inverse / self.scale[:, None]
        out = np.eye(len(self.r)) + half.T @ self.curving @ half
        return (out + out.T) / 2

    def newton(self) -> Vector:
        """The step to where the gradient is 0; nan where there is none."""
        inner = self.inverse.T @ (self.gradient / self.scale)
        try:
            step = np.linalg.solve(self.bend(), inner)
        except np.linalg.LinAlgError:
            return np.full(len(self.scale), np.nan)
        out: Vector = -(self.inverse @ step) / self.scale
        return out

    def covariance(self) -> Vector:
        """(JᵀJ)⁻¹."""
        half = self.inverse / self.scale[:, None]
        return half @ half.T


def normal_of(jacobian: Vector, gradient: Vector, squares: float) -> Normal:
    """The same from the slopes themselves; without curvature, until somebody adds it."""
    scale = lengths(jacobian)
    scale = np.where(scale > 0, scale, 1.0)
    width = len(scale)
    found = root(jacobian / scale)
    if len(found) < width:
        found = np.vstack([found, np.zeros((width - len(found), width))])
    none = np.zeros(width)
    return Normal(scale, found, gradient, np.diag(none), squares, len(jacobian), doubt=none)


class Residuals(Protocol):
    """What a fit asks of a model and its data."""

    @property
    def linear(self) -> Sequence[int]:
        """The parameters that are eliminated, by their places."""

    @property
    def others(self) -> Sequence[int]:
        """The other parameters."""

    def project(self, b: Vector) -> tuple[Vector, float]:
        """The parameters with the best linear ones, and the sum of squares there."""

    def reduced(self, b: Vector) -> Triangle:
        """The problem in the other parameters, at the best linear ones."""

    def normal(self, b: Pair) -> Normal:
        """What Newton's method asks, as precisely as it is to be had."""

    @property
    def size(self) -> float:
        """The length of the weighted responses."""

    def pole(self, b: Vector) -> Any:
        """A divisor that changes sign between rows: the model has a pole among the data."""


@dataclass(slots=True)
class Bounds:
    """The box the parameters stay in."""

    low: Vector
    high: Vector

    @property
    def any(self) -> bool:
        """Is there a bound?"""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    def clip(self, b: Vector) -> Vector:
        return np.minimum(np.maximum(b, self.low), self.high)

    def held(self, b: Vector, gradient: Vector) -> Vector:
        """Which parameters are at a bound that the gradient pushes them against."""
        return ((b <= self.low) & (gradient > 0)) | ((b >= self.high) & (gradient < 0))

    def touched(self, b: Vector) -> Vector:
        return (b <= self.low) | (b >= self.high)


@dataclass(slots=True)
class Descent:
    """Where a descent came to: parameters, sum of squares, and why it ended."""

    b: Vector
    squares: float
    why: str
    """settled, small (no step changes anything), steps, or start (not finite there)"""
    steps: int
    rough: bool = False
    """was any step refused, so that the surface is not what its slopes say?"""
    triangle: tuple[Vector, Vector] | None = None
    """the lengths of the slopes there, and the triangle of what they are of length 1; if known"""


Tick = Callable[[], bool]
"""Says whether the time is up."""


def never() -> bool:
    """Time without end."""
    return False


def descend(
    problem: Residuals, start: Vector, bounds: Bounds, limit: int = 300, tick: Tick = never
) -> Descent:
    """Levenberg–Marquardt from a start, to where Newton's method may take over."""
    others = list(problem.others)
    b, squares = problem.project(bounds.clip(start))
    if not np.isfinite(squares):
        return Descent(start, np.inf, "start", 0)
    if not others:
        return Descent(b, squares, "settled", 1)
    low, high = bounds.low[others], bounds.high[others]
    scale = np.zeros(len(others))
    radius = 0.0
    steps = 0
    rough = False
    while steps < limit and not tick():
        view = problem.reduced(b)
        if not np.isfinite(view.r).all():
            return Descent(b, squares, "small", steps, rough)
        alpha = b[others]
        gradient = view.r.T @ view.z
        free = ~(((alpha <= low) & (gradient > 0)) | ((alpha >= high) & (gradient < 0)))
        if not free.any():
            return Descent(b, squares, "settled", steps, rough)
        scale = np.maximum(scale, lengths(view.r))
        d = np.where(scale > 0, scale, 1.0)
        if not radius:
            radius = float(np.linalg.norm(d * alpha)) or 1.0
        u, s, vt = np.linalg.svd(view.r[:, free] / d[free], full_matrices=False)
        z = u.T @ view.z
        if not squares or np.linalg.norm(z[s > 1e-13 * s[0]]) <= SETTLED * squares**0.5:
            return Descent(b, squares, "settled", steps, rough)
        while True:
            steps += 1
            move = np.zeros(len(others))
            move[free] = (vt.T @ _damped(s, z, radius)) / d[free]
            trial = np.minimum(np.maximum(alpha + move, low), high)
            move = trial - alpha
            length = float(np.linalg.norm(d * move))
            if np.all(np.abs(move) <= EPS * np.abs(alpha)) or steps >= limit:
                return Descent(b, squares, "small" if steps < limit else "steps", steps, rough)
            there = b.copy()
            there[others] = trial
            new, value = problem.project(there)
            if not np.isfinite(value):
                radius, rough = length / 10, True
                continue
            left = view.r @ move + view.z
            predicted = float((view.z - left) @ (view.z + left))
            ratio = (squares - value) / predicted if predicted > 0 else -1.0
            if steps == 1:
                radius = min(radius, length)
            if ratio < 0.25:
                radius = length * (0.1 if ratio < -10 else 0.25 if ratio < 0 else 0.5)
            elif ratio > 0.75 or length < radius * 0.9:
                radius = max(radius, 2 * length)
            if ratio > ACCEPT:
                b, squares = new, value
                break
            rough = True
    return Descent(b, squares, "steps", steps, rough)


def _damped(s: Vector, z: Vector, radius: float) -> Vector:
    """The step -s z/(s² + λ) as long as the radius, or that with λ = 0 if it is shorter."""
    whole = s > 1e-14 * s[0] if len(s) and s[0] > 0 else np.zeros(len(s), dtype=bool)
    step = np.where(whole, -z / np.where(whole, s, 1.0), 0.0)
    if np.linalg.norm(step) <= 1.1 * radius or not radius > 0:
        return step if radius > 0 else np.zeros(len(s))
    damp = 0.0
    high = float(np.linalg.norm(s * z)) / radius
    for _ in range(60):
        step = -s * z / (s * s + damp)
        length = float(np.linalg.norm(step))
        if abs(length - radius) <= 0.1 * radius and damp:
            break
        slope = -float(np.sum(step * step / (s * s + damp))) / length if length else 0.0
        new = damp - (length / radius) * (length - radius) / slope if slope else high
        if not 0 < new <= high:
            new = max(1e-3 * high, (damp * high) ** 0.5) if damp else 1e-3 * high
        damp = new
    return step


@dataclass(slots=True)
class Polished:
    """A point carried to the last digit, with what Newton's method saw there."""

    b: Pair
    normal: Normal
    held: Vector
    """parameters kept at a bound"""
    move: Vector
    """what is left to go: the share of the last step that the next would be"""
    steps: int

    @property
    def at(self) -> Vector:
        found: Vector = self.b.high
        return found


def polish(
    problem: Residuals, start: Vector, bounds: Bounds, limit: int = 12, tick: Tick = never
) -> Polished | None:
    """Newton's method from a settled descent; None where it finds no finite point."""
    b = dd.pair(start)
    normal = problem.normal(b)
    if not (np.isfinite(normal.r).all() and np.isfinite(normal.squares)):
        return None
    held = bounds.held(start, normal.gradient)
    best = Polished(b, normal, held, np.full(len(start), np.inf), 0)
    before = float(np.sqrt(normal.squares))  # where a step is shorter, Newton squares its share
    for steps in range(1, limit + 1):
        move = np.zeros(len(start))
        inner = part(normal, ~held)
        if inner.condition >= UNDETERMINED or tick():
            return best
        move[~held] = inner.newton()
        if not np.isfinite(move).all():
            return best
        at = best.at
        new = dd.add(b, dd.pair(move))
        inside = bounds.clip(new.high)
        free = bool((inside == new.high).all())
        if not free:
            new = Pair(inside, np.where(inside == new.high, new.low, 0.0))
        length = float(np.linalg.norm(move * normal.scale))
        left = min(1.0, length / before) if before > 0 else 1.0  # of it the next step will be
        small = bool(np.all(left * np.abs(move) <= 4 * EPS * np.abs(at)))
        size = float(np.linalg.norm(at * normal.scale))
        if steps > 1 and before / 4 < length <= 1e-10 * size:
            small = True  # steps are down to rounding
        before = length
        if small and free and best.normal.offset <= STATIONARY / 10 + best.normal.noise:
            return Polished(new, normal, held, left * move, steps)
        normal = problem.normal(new)
        if not np.isfinite(normal.squares) or (
            normal.squares > best.normal.squares * (1 + 1e-9) and not small
        ):
            best.move = move
            return best
        b = new
        held = bounds.held(inside, normal.gradient)
        best = Polished(b, normal, held, left * move, steps)
        if small:
            return best
    return best


def part(normal: Normal, free: Vector) -> Normal:
    """The problem in some of the parameters, the others held."""
    if free.all():
        return normal
    columns = normal.r[:, free]
    return replace(
        normal,
        scale=normal.scale[free],
        r=root(columns),
        gradient=normal.gradient[free],
        curving=normal.curving[np.ix_(free, free)],
    )
