"""What the curvature of a loss says about learning rates: from its exact Hessian at a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .derivative import hessian
from .expr import Expr, Sym, size
from .shapes import ShapeEnv

SMALL = 30
"""Up to this many scalar parameters the Hessian is built whole."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """Eigenvalues of the Hessian, ascending, and what they allow.

    `limit` is the largest stable single rate, 2 / λmax; `condition` is λmax / λmin; `rates` are one
    per parameter, s / Hᵢᵢ with s the best step of the scaled problem, so that they do converge.
    """

    names: tuple[str, ...]
    eigenvalues: tuple[float, ...]
    limit: float
    condition: float
    rates: dict[str, float] | None


def curvature(
    loss: Expr,
    names: Sequence[str],
    shapes: ShapeEnv,
    compiled: Callable[[Sequence[Expr]], Sequence[Any]],
) -> Curvature | None:
    """The curvature of a loss by scalar parameters, or None where it is not to be had cheaply.

    `compiled` gives the values of expressions at the point.
    """
    if not names or len(names) > SMALL or any(shapes.get(name) for name in names):
        return None
    if size(loss) * len(names) > 20_000:
        return None
    rows = hessian(loss, [Sym(name) for name in names], shapes)
    cells = compiled([cell for i, row in enumerate(rows) for cell in row[: i + 1]])
    matrix = np.zeros((len(names), len(names)))
    matrix[np.tril_indices(len(names))] = np.array(cells, dtype=float)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    if not np.isfinite(matrix).all():
        return None
    found = np.linalg.eigvalsh(matrix)
    top, bottom = float(found[-1]), float(found[0])
    diagonal = np.diag(matrix)
    rates = None
    if (diagonal > 0).all() and top > 0:
        scale = 1 / np.sqrt(diagonal)
        scaled = np.linalg.eigvalsh(matrix * np.outer(scale, scale))
        best = 2 / (scaled[-1] + max(scaled[0], 0.0))
        rates = {n: float(best / h) for n, h in zip(names, diagonal, strict=True)}
    return Curvature(
        tuple(names),
        tuple(map(float, found)),
        2 / top if top > 0 else np.inf,
        top / bottom if bottom > 1e-12 * top > 0 else np.inf,
        rates,
    )
