"""The residuals of a model over columns in memory: values, slopes and curvature at any parameters.

By NumPy, in doubles and, where they do not suffice, with twice the digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import double_double as dd
from .backends.numpy import Program
from .double_double import Pair
from .expr import Expr
from .least_squares import EPS, Normal, Triangle, lengths, normal_of, root, triangle
from .model import SCALE, Model, response_name, weight_name
from .precise import meant, precise

Vector = np.ndarray[Any, Any]

LEFT = 1e-13
"""The share of a slope beside the linear ones that is more than their rounding."""
UNSEEN = 1e-14
"""The share of the largest curvature below which rounding hides one."""
FEW, SOME = 256, 64
"""Rows up to which residuals always get twice the digits; of more, how many are looked at."""


class Rows:
    """The residuals of a model over columns held in memory, by NumPy.

    `columns` maps the model's column names to arrays of one length, or numbers.
    """

    def __init__(self, model: Model, columns: Mapping[str, Any], rows: int) -> None:
        self.model, self.rows = model, rows
        self.values = [columns[name] for name in model.columns]
        self.given = dict(zip(model.columns, self.values, strict=True))
        self.linear, self.others = model.linear, model.others
        self.count = rows * len(model.residuals)
        self.evaluations = 0
        self.rough: bool | None = None
        """do doubles suffice? None where nobody has asked yet"""

    def table(self, program: Program, b: Sequence[Any], width: int) -> Vector:
        """The outputs of a program as columns, one response below the other."""
        self.evaluations += 1
        n = self.rows
        out = np.empty((self.count, width))
        with np.errstate(all="ignore"):
            found = program(*b, *self.values)
        for i, value in enumerate(found):
            k, j = divmod(i, width)
            out[k * n : (k + 1) * n, j] = value
        return out

    def residuals(self, b: Vector) -> Vector:
        """The residuals."""
        return self.table(self.model.residual_program, b.tolist(), 1)[:, 0]

    def project(self, b: Vector) -> tuple[Vector, float]:
        """The parameters with the best linear ones, and the sum of squares there."""
        return self._projected(b)[:2]

    def _projected(self, b: Vector) -> tuple[Vector, float, Vector, Vector | None]:
        """Also the residuals, and an orthonormal basis of the linear part."""
        linear = self.linear
        if not linear:
            r = self.residuals(b)
            return b, float(r @ r), r, None
        found = self.table(self.model.linear_program, b.tolist(), 1 + len(linear))
        target, columns = found[:, 0], found[:, 1:]
        if not np.isfinite(found).all():
            return b, np.nan, target, None
        basis, solve = _basis(columns)
        c = -solve(target)
        r = target + columns @ c
        more = solve(r)  # one refinement
        c, r = c - more, r - columns @ more
        out = b.copy()
        out[linear] = c
        return out, float(r @ r), r, basis

    def heights(self, points: Vector) -> Vector:
        """The sums of squares at many points, a row each, with the best linear parameters."""
        model, n = self.model, self.rows
        program = model.linear_program if self.linear else model.residual_program
        width = 1 + len(self.linear)
        out = np.empty(len(points))
        some = max(1, 200_000 // (self.count * width))
        for at in range(0, len(points), some):
            part = points[at : at + some]
            table = np.empty((len(part), self.count, width))
            with np.errstate(all="ignore"):
                found = program(*part.T[:, :, None], *self.values)
            for i, value in enumerate(found):
                k, j = divmod(i, width)
                table[:, k * n : (k + 1) * n, (j - 1) % width] = value
            if self.linear and self.count > len(self.linear):
                fine = np.isfinite(table).all(axis=(1, 2))
                left = root(table[fine])[:, width - 1, width - 1]
                out[at : at + some] = np.nan
                out[at : at + some][fine] = left**2
            else:
                out[at : at + some] = np.einsum("ijk,ijk->i", table, table)
        return out

    def reduced(self, b: Vector) -> Triangle:
        """The problem in the other parameters, at the best linear ones (Kaufman 1975)."""
        p = len(self.model.names)
        found = self.table(self.model.slope_program, b.tolist(), 1 + p)
        r, slopes = found[:, 0], found[:, [1 + i for i in self.others]]
        if self.linear:
            basis = _basis(found[:, [1 + i for i in self.linear]])[0]
            before = lengths(slopes)
            for _ in range(2):
                slopes = slopes - basis @ (basis.T @ slopes)
            after = lengths(slopes)
            slopes = np.where(after > LEFT * before, slopes, 0.0)
        return triangle(slopes, r)

    def jacobian(self, b: Vector) -> tuple[Vector, Vector]:
        """Residuals and slopes by all parameters."""
        found = self.table(self.model.slope_program, b.tolist(), 1 + len(b))
        return found[:, 0], found[:, 1:]

    def curving(self, b: Vector, r: Vector) -> Vector:
        """Σ r ∇²r, a symmetric matrix."""
        out = np.zeros((len(b), len(b)))
        if not self.model.curvature:
            return out
        with np.errstate(all="ignore"):
            found = iter(self.model.curvature_program(*b.tolist(), *self.values))
        n = self.rows
        for i, j in self.model.curvature:
            for k in range(len(self.model.residuals)):
                part = r[k * n : (k + 1) * n]
                out[i, j] += float(np.sum(part * next(found)))
            out[j, i] = out[i, j]
        return out

    # ---- with twice the digits -------------------------------------------------------------------

    @cached_property
    def meant(self) -> dict[str, Pair]:
        """The columns as the decimals they were written as."""
        return {
            name: meant(value) for name, value in zip(self.model.columns, self.values, strict=True)
        }

    def precisely(self, b: Pair) -> tuple[Pair, list[Pair]]:
        """Residuals and slopes at pairs, one response below the other."""
        self.evaluations += 1
        model = self.model
        high, low = b.high, np.broadcast_to(b.low, len(b.high))
        env = {**self.meant}
        env.update((n, Pair(high[i], low[i])) for i, n in enumerate(model.names))
        roots = [e for r, s in zip(model.residuals, model.slopes, strict=True) for e in (r, *s)]
        found = precise(roots, env)
        width = 1 + len(model.names)
        joined = []
        for j in range(width):
            parts = [_full(found[k * width + j], self.rows) for k in range(len(model.residuals))]
            joined.append(Pair(*(np.concatenate(side) for side in zip(*parts, strict=True))))
        return joined[0], joined[1:]

    def normal(self, b: Pair) -> Normal:
        """Gradient, triangle and curvature at a point, from residuals with twice the digits.

        Of many rows from doubles, where the rounding in a few of them is far below the noise.
        """
        at = b.high
        if self.rough is None:
            self.rough = self.rows > FEW and self._suffices(b)
        rough_r, rough = self.jacobian(at)
        if self.rough:
            found = normal_of(rough, rough.T @ rough_r, float(rough_r @ rough_r))
            r = rough_r
            found.noise = EPS * self.size / max(float(np.linalg.norm(r)), 1e-300)
        else:
            residual, slopes = self.precisely(b)
            r = residual.high
            gradient = [dd.total(dd.multiply(slope, residual)).high for slope in slopes]
            fine = np.column_stack([slope.high for slope in slopes])
            squares = dd.total(dd.multiply(residual, residual)).high
            found = normal_of(fine, np.array(gradient, dtype=float), float(squares))
            away = rough - fine
            found.doubt = lengths(away) / found.scale
        found.curving = self.curving(at, r)
        found.exact = bool(np.all(np.abs(r) <= self.rounding))
        return found

    def _suffices(self, b: Pair) -> bool:
        """Do doubles give the estimates to the last digits? Judged on some of the rows."""
        n = self.rows
        few = sorted(set(np.linspace(0, n - 1, SOME).astype(int).tolist()))
        some = [v[few] if np.ndim(v) else v for v in self.values]
        part = Rows(self.model, dict(zip(self.model.columns, some, strict=True)), len(few))
        at = b.high
        r, slopes = part.precisely(b)
        found, rough = part.jacobian(at)
        error = np.sqrt(np.mean(np.square(found - r.high)))
        fine = np.column_stack([s.high for s in slopes])
        length = np.sqrt(np.einsum("ij,ij->j", fine, fine))
        if not np.all(np.abs(rough - fine).max(axis=0) <= 1e-12 * length):
            return False
        _, triangle_ = np.linalg.qr(self.jacobian(at)[1])
        try:
            inverse = np.linalg.inv(triangle_)
        except np.linalg.LinAlgError:
            return False
        moved = np.sqrt(np.einsum("ij,ij->i", inverse, inverse)) * error
        return bool(np.all(moved <= EPS / 4 * np.abs(at)))

    @cached_property
    def rounding(self) -> Vector:
        """The size of residuals that the rounding of the responses could explain."""
        out = np.empty(self.count)
        for k in range(len(self.model.residuals)):
            y = np.abs(np.broadcast_to(self.given.get(response_name(k), 0.0), self.rows))
            size = np.maximum(y, 1e-3 * np.max(y, initial=0.0))
            out[k * self.rows : (k + 1) * self.rows] = (
                4 * EPS * size * np.abs(self.given.get(weight_name(k), 1.0))
            )
        return out

    @cached_property
    def weighed(self) -> int:
        """How many residuals count: those of weight 0 do not."""
        zero = 0
        for k in range(len(self.model.residuals)):
            zero += int(
                np.sum(np.broadcast_to(self.given.get(weight_name(k), 1.0), self.rows) == 0)
            )
        return self.count - zero

    @cached_property
    def spread(self) -> float:
        """The sum of squares about the responses' weighted means."""
        out = 0.0
        for k in range(len(self.model.residuals)):
            y = np.broadcast_to(self.given[response_name(k)], self.rows)
            w = np.broadcast_to(self.given.get(weight_name(k), 1.0), self.rows) ** 2
            middle = float(np.sum(w * y) / np.sum(w))
            out += float(np.sum(w * (y - middle) ** 2))
        return out

    @cached_property
    def size(self) -> float:
        """The length of the weighted responses."""
        return float(np.linalg.norm(self.rounding)) / (4 * EPS)

    @property
    def scale(self) -> float:
        """The scale of a robust loss."""
        return float(self.given.get(SCALE, 1.0))

    def constant(self) -> list[str]:
        """Columns that are the same in all rows."""
        given = zip(self.model.columns, self.values, strict=True)
        return [
            name.replace("#", " ")
            for name, value in given
            if np.ndim(value) and not name.startswith(" ") and np.all(value == value[:1])
        ]

    def r2(self, squares: float) -> float:
        """The share of the responses' variance that is explained."""
        return 1 - squares / self.spread if self.spread > 0 else np.nan

    def sandwich(self, b: Vector, normal: Normal, free: Vector) -> Vector:
        """A root of the covariance of D b by a robust loss, for the parameters that are free.

        It is H⁻¹ (Σ g gᵀ) H⁻¹ of the rows' gradients g, in the slopes' own units.
        """
        r, slopes = self.jacobian(b)
        slopes = slopes[:, free] / normal.scale[free]
        return bread(slopes.T @ slopes, normal, free) @ root(slopes * r[:, None]).T

    def alike(self, b: Vector, there: Vector) -> bool:
        """Are the residuals the same at two points, but for rounding?"""
        a, z = self.residuals(b), self.residuals(there)
        return bool(np.all(np.abs(a - z) <= 1e-9 * (np.abs(a) + np.sqrt(self.spread / self.count))))

    def pole(self, b: Vector) -> Expr | None:
        """A divisor that changes sign between rows: the model has a pole among the data."""
        if not self.model.divisors:
            return None
        with np.errstate(all="ignore"):
            found = self.model.divisor_program(*b.tolist(), *self.values)
        for divisor, value in zip(self.model.divisors, found, strict=True):
            if not (np.all(value > 0) or np.all(value < 0)):
                return divisor
        return None


def bread(square: Vector, normal: Normal, free: Vector) -> Vector:
    """H⁻¹ in the slopes' own units, given their products; 0 along what does not determine it."""
    scale = normal.scale[free]
    curving = normal.curving[np.ix_(free, free)] / scale[:, None] / scale
    found: Vector = np.linalg.pinv(square + curving, rcond=UNSEEN, hermitian=True)
    return found


def _full(value: Pair, rows: int) -> tuple[Vector, Vector]:
    return np.broadcast_to(value.high, rows), np.broadcast_to(value.low, rows)


def _basis(columns: Vector) -> tuple[Vector, Callable[[Vector], Vector]]:
    """An orthonormal basis of columns, and what solves least squares by them.

    By the singular values of the scaled columns; directions that rounding hides are left out.
    """
    scale = lengths(columns)
    scale = np.where(scale > 0, scale, 1.0)
    u, s, vt = np.linalg.svd(columns / scale, full_matrices=False)
    keep = s > 1e-14 * (s[0] if len(s) else 1.0)
    u, s, vt = u[:, keep], s[keep], vt[keep]
    return u, lambda target: (vt.T @ ((u.T @ target) / s)) / scale
