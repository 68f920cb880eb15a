"""The residuals of a model over columns of any length, a block after another: what a fit asks.

One pass over the data gives the triangle of the slopes, the gradient and the curvature, as sums by
the backend that pays. So that sums of products lose nothing, the slopes are first divided by the
triangle of the point before: they are nearly orthonormal then (a Cholesky QR with a
preconditioner). With many parameters each block is a matrix, and triangles are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import backends
from .accurate import accurate
from .double_double import Pair
from .error_formulas import error_formulas
from .evaluate import ROWS
from .expr import Expr, Num, Sym, call, sum_of
from .least_squares import EPS, Normal, Triangle, normal_of, root, triangle
from .model import Model, response_name, weight_name
from .residuals import Rows, bread

Vector = np.ndarray[Any, Any]
Block = tuple[dict[str, Any], int]

FEW = 16
"""Parameters up to which sums are compiled; beyond, matrices are as fast."""
SURE = 1e-9
"""The largest relative error of a slope that doubles suffice for."""
BLUR = 1e-8
"""The least curvature, by the largest, of which sums of products carry half the digits; below it,
matrices say what depends on what."""
CALLS = 8
"""Passes that a fit takes, about."""


class Blocks:
    """A model's residuals, in blocks that `passes` yields afresh for every pass.

    `sample` holds some of the rows in memory: they give the first triangle. There are `rows` rows,
    and what is compiled will serve `most`.
    """

    linear: Sequence[int] = ()

    def __init__(
        self,
        model: Model,
        passes: Callable[[], Iterator[Block]],
        sample: Rows,
        rows: int,
        threads: int | None,
        most: int = 0,
        backend: str | None = None,
    ) -> None:
        self.model, self.passes, self.sample = model, passes, sample
        self.rows, self.most = rows, max(rows, most)
        self.threads, self.backend = threads, backend
        self.others = list(range(len(model.names)))
        self.columns = [n for n in model.columns if np.ndim(sample.given[n])]
        self.evaluations = 0
        self.before: tuple[Vector, Vector] | None = None

    # ---- facts about the data --------------------------------------------------------------------

    @cached_property
    def facts(self) -> dict[str, float]:
        """Residuals that count, the responses' spread and size: one pass without parameters.

        Sums are about the sample's mean, so that the spread about the true one loses nothing.
        """
        given = self.sample.given
        responses = range(len(self.model.residuals))
        middle = np.array([float(np.mean(given[response_name(k)])) for k in responses])
        names = [f" c{k}" for k in responses]
        sums = self._compiled("facts", self._moments, names)(*middle).reshape(len(middle), -1).T
        first, second = sums[:2]
        total = np.full(len(middle), float(self.rows))
        weighed, total = sums[2:] if self.model.weighted else (total, total)
        spread = second - np.divide(first**2, total, out=np.zeros_like(total), where=total > 0)
        size = second + 2 * middle * first + total * middle**2
        found = {"weighed": weighed, "spread": spread, "size": size}
        return {name: float(values.sum()) for name, values in found.items()}

    def _moments(self) -> list[Expr]:
        """Sums of the responses about a middle, and of the weights."""
        outputs = []
        for k in range(len(self.model.residuals)):
            away = call("-", Sym(response_name(k)), Sym(f" c{k}"))
            terms = [away, call("*", away, away)]
            if self.model.weighted:
                w = Sym(weight_name(k))
                zero = call("where", call("=", w, Num(0)), Num(0), Num(1))
                square = call("*", w, w)
                terms = [*(call("*", square, term) for term in terms), zero, square]
            outputs += [self.model.summed(term, self.columns) for term in terms]
        return outputs

    @property
    def weighed(self) -> int:
        return int(self.facts["weighed"])

    @property
    def size(self) -> float:
        """The length of the weighted responses."""
        return float(np.sqrt(self.facts["size"]))

    @property
    def spread(self) -> float:
        """The sum of squares about the responses' weighted means."""
        return self.facts["spread"]

    @property
    def scale(self) -> float:
        """The scale of a robust loss."""
        return self.sample.scale

    def constant(self) -> list[str]:
        """Columns that are the same in all rows of the sample."""
        return self.sample.constant()

    def r2(self, squares: float) -> float:
        """The share of the responses' variance that is explained."""
        spread = self.facts["spread"]
        return 1 - squares / spread if spread > 0 else np.nan

    def alike(self, b: Vector, there: Vector) -> bool:
        """Are the residuals of the sample the same at two points, but for rounding?"""
        return self.sample.alike(b, there)

    # ---- sums ------------------------------------------------------------------------------------

    def _compiled(
        self, kind: str, outputs: Callable[[], Sequence[Expr]], scalars: Sequence[str]
    ) -> Callable[..., Vector]:
        """A function of scalars and columns to sums; compiled once for a model."""
        given, columns = self.sample.given, self.columns
        fixed = [n for n in self.model.columns if n not in columns]
        threads = self.threads if self.most >= backends.THREADED else 1
        key = kind, tuple(columns), threads, self.backend or self.most >= backends.THREADED
        found = self.model.compiled.get(key)
        if found is None:
            inputs = [*scalars, *fixed, *columns, ROWS]
            found = self.model.compiled[key] = backends.compile(
                accurate(*outputs()),
                inputs,
                dict.fromkeys(columns, ("rows",)),
                rows=self.most,
                calls=CALLS,
                threads=threads,
                backend=self.backend,
            )
        fixed_values = [float(given[n]) for n in fixed]

        def total(*args: float) -> Vector:
            self.evaluations += 1
            out: Any = 0.0
            for values, rows in self.passes():
                parts = [values[n] for n in columns]
                out = out + np.array(found(*args, *fixed_values, *parts, float(rows)), dtype=float)
            return np.atleast_1d(out)

        return total

    def squares(self, b: Vector) -> float:
        """The sum of squared residuals."""
        found = self._compiled("squares", self._squares, self.model.names)(*b.tolist())
        return float(found.sum())

    def _squares(self) -> list[Expr]:
        return [self.model.summed(call("*", r, r), self.columns) for r in self.model.residuals]

    def sure(self, b: Vector, normal: Normal) -> bool:
        """Do doubles carry the estimates to the last digits, by the bounds of their rounding?

        The slopes must have correct digits, and the residuals' errors, being random, move no
        estimate by more than a unit in its last place.
        """
        found = self._compiled("sure", self._errors, self.model.names)(*b.tolist())
        slopes, off = found[:-1], float(np.sqrt(found[-1]))
        if not np.all(np.sqrt(slopes) <= SURE * normal.scale):
            return False
        spread = np.sqrt(np.diag(normal.covariance()))  # a unit of every residual moves them so
        return bool(np.all(spread * off / np.sqrt(self.rows) <= 2 * EPS * np.abs(b)))

    def _errors(self) -> list[Expr]:
        """Sums of the squared bounds of slopes and residuals."""
        model = self.model
        roots = [e for r, s in zip(model.residuals, model.slopes, strict=True) for e in (*s, r)]
        found = error_formulas(accurate(*roots))
        width = len(model.names) + 1
        sums = [model.summed(call("*", e, e), self.columns) for e in found]
        columns = [sums[k::width] for k in range(width)]
        return [sum_of(part) for part in columns]

    def project(self, b: Vector) -> tuple[Vector, float]:
        """The point itself, since no parameter is eliminated; and the sum of squares."""
        return b, self.squares(b)

    def reduced(self, b: Vector) -> Triangle:
        """The triangle of the slopes by all parameters."""
        normal = self._normal(b)
        if not np.isfinite(normal.r).all():
            return Triangle(normal.r, normal.gradient, np.nan)
        # by singular values, since slopes may depend on each other
        z = np.linalg.lstsq(normal.r.T, normal.gradient / normal.scale, rcond=1e-14)[0]
        return Triangle(normal.r * normal.scale, z, normal.squares)

    def normal(self, b: Pair) -> Normal:
        """Gradient, triangle and curvature at a point, from residuals in doubles."""
        return self._normal(b.high)

    def _normal(self, b: Vector) -> Normal:
        found = self._by_matrices(b) if len(b) > FEW else self._by_sums(b)
        size = (4 * EPS) ** 2 * self.facts["size"]
        found.exact = bool(found.squares <= size)
        found.count = self.weighed
        found.noise = EPS * self.size / max(float(np.sqrt(found.squares)), 1e-300)
        found.doubt = np.zeros(len(b))
        self.before = found.scale, found.r
        return found

    def _by_sums(self, b: Vector) -> Normal:
        """Sums of products of the slopes U = J D⁻¹ R⁻¹, with D and R of the point before."""
        model, p = self.model, len(b)
        if self.before is None:
            first = self.sample.jacobian(b)[1]
            rough = normal_of(first, np.zeros(p), 1.0)
            self.before = rough.scale, rough.r
        scale, r = self.before
        if not np.abs(np.diag(r)).min() > 1e-13:  # nothing to divide by
            r = np.eye(p)
        inverse = np.linalg.solve(r, np.eye(p)) / scale[:, None]
        upper = [(i, j) for j in range(p) for i in range(j + 1)]
        couples = list(model.curvature)
        scalars = [*model.names, *(f" t{i} {j}" for i, j in upper)]
        found = self._compiled("normal", lambda: self._sums(upper, couples), scalars)(
            *b.tolist(), *(inverse[i, j] for i, j in upper)
        )
        products, rest = found[: len(upper)], found[len(upper) :]
        gram = np.zeros((p, p))
        for (i, j), value in zip(upper, products, strict=True):
            gram[i, j] = gram[j, i] = value
        inner, curving = rest[:p], np.zeros((p, p))
        for (i, j), value in zip(couples, rest[p + 1 :], strict=True):
            curving[i, j] = curving[j, i] = value
        if not np.isfinite(found).all():
            return Normal(scale, np.full((p, p), np.nan), inner, curving, np.nan, 0)
        spread = np.linalg.eigvalsh(gram)
        if not spread[0] > BLUR * spread[-1]:
            return self._by_matrices(b)
        new = _root(gram) @ r * scale
        length = np.sqrt(np.einsum("ij,ij->j", new, new))
        length = np.where(length > 0, length, 1.0)
        gradient = scale * (r.T @ inner)
        return Normal(length, new / length, gradient, curving, float(rest[p]), 0)

    def _sums(self, upper: list[tuple[int, int]], couples: list[tuple[int, int]]) -> list[Expr]:
        """The sums over rows: products of U, U with the residual, squares, curvatures."""
        model = self.model
        parts: list[list[Expr]] = []
        for k, (residual, slopes) in enumerate(zip(model.residuals, model.slopes, strict=True)):
            u = []
            for j in range(len(slopes)):
                terms = [call("*", Sym(f" t{i} {j}"), slopes[i]) for i in range(j + 1)]
                u.append(sum_of(terms))
            cells = [call("*", u[i], u[j]) for i, j in upper]
            cells += [call("*", v, residual) for v in u]
            cells += [call("*", residual, residual)]
            cells += [call("*", residual, model.curvature[c][k]) for c in couples]
            parts.append([model.summed(cell, self.columns) for cell in cells])
        return [sum_of(cells) for cells in zip(*parts, strict=True)]

    def _by_matrices(self, b: Vector) -> Normal:
        """Blocks as matrices, whose triangles are joined two by two."""
        self.evaluations += 1
        p = len(b)
        whole = Triangle(np.zeros((0, p)), np.zeros(0), 0.0)
        gradient, curving, squares = np.zeros(p), np.zeros((p, p)), 0.0
        for values, count in self.passes():
            rows = Rows(self.model, values, count)
            r, slopes = rows.jacobian(b)
            gradient += slopes.T @ r
            curving += rows.curving(b, r)
            squares += float(r @ r)
            part = triangle(slopes, r)
            whole = triangle(np.vstack([whole.r, part.r]), np.append(whole.z, part.z))
        out = normal_of(whole.r, gradient, squares)
        out.curving = curving
        return out

    def pole(self, b: Vector) -> Expr | None:
        """A divisor that changes sign between rows."""
        if (found := self.sample.pole(b)) is not None or not self.model.divisors:
            return found
        for values, count in self.passes():
            if (found := Rows(self.model, values, count).pole(b)) is not None:
                return found
        return None

    def sandwich(self, b: Vector, normal: Normal, free: Vector) -> Vector:
        """A root of the covariance of D b by a robust loss, for the parameters that are free."""
        p = int(free.sum())
        middle, square = np.zeros((p, p)), np.zeros((p, p))
        for values, count in self.passes():
            r, slopes = Rows(self.model, values, count).jacobian(b)
            slopes = slopes[:, free] / normal.scale[free]
            g = slopes * r[:, None]
            middle += g.T @ g
            square += slopes.T @ slopes
        return bread(square, normal, free) @ _root(middle).T


def _root(gram: Vector) -> Vector:
    """The upper triangle whose square is a matrix of products; of one that is singular, nearly."""
    try:
        return np.linalg.cholesky(gram).T
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        return root((vectors * np.sqrt(np.maximum(values, 0.0))).T)


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as machine code takes them: arrays without gaps."""
    return {n: np.ascontiguousarray(v, dtype=float) if np.ndim(v) else v for n, v in values.items()}
