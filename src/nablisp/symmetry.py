"""From a model to its symmetries, and from a point to its image nearest to the start.

Exponentials in a sum may change places, a width its sign: the fit is the same. Such permutations
and signs are found numerically, near a point, for few parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np

from .least_squares import Bounds
from .model import Model
from .residuals import Rows

Vector = np.ndarray[Any, Any]

Symmetry = tuple[tuple[int, ...], tuple[int, ...]]
"""Which parameter takes the place of each, and its sign."""


def symmetries(model: Model, rows: Rows, b: Vector) -> list[Symmetry]:
    """Permutations and signs of parameters that leave the model as it is, found numerically.

    They are tried at two points near `b`.
    """
    n = len(b)
    if n > MANY:
        return []
    few = sorted(set(np.linspace(0, rows.rows - 1, 40).astype(int).tolist()))
    sample = [v[few] if np.ndim(v) else v for v in rows.values]
    program = model.residual_program
    points = [b * (1 + 0.03 * np.sin(k + k * np.arange(1, n + 1))) for k in (1, 2)]
    with np.errstate(all="ignore"):
        before = [program(*at.tolist(), *sample) for at in points]

    def same(order: Sequence[int], signs: Sequence[int]) -> bool:
        for at, values in zip(points, before, strict=True):
            with np.errstate(all="ignore"):
                after = program(*(at[list(order)] * signs).tolist(), *sample)
            for value, other in zip(values, after, strict=True):
                close = 1e-9 * np.max(np.abs(value))
                if not np.all(np.abs(value - other) <= close):
                    return False
        return True

    plain, ones = tuple(range(n)), (1,) * n
    flips = [signs for k in range(1, 3) for signs in _flips(n, k) if same(plain, signs)]
    swaps = [order for order in _involutions(n) if same(order, ones)]
    group = {(plain, ones)}
    generators = [(plain, f) for f in flips] + [(s, ones) for s in swaps]
    frontier = list(group)
    while frontier and len(group) < 1000:
        fresh = []
        for (order, signs), (o, s) in product(frontier, generators):
            made = (
                tuple(order[i] for i in o),
                tuple(signs[i] * t for i, t in zip(o, s, strict=True)),
            )
            if made not in group:
                group.add(made)
                fresh.append(made)
        frontier = fresh
    return sorted(group)


MANY = 9
"""Up to this many parameters symmetries are looked for."""


def _flips(n: int, count: int) -> Iterator[tuple[int, ...]]:
    for chosen in combinations(range(n), count):
        yield tuple(-1 if i in chosen else 1 for i in range(n))


def _involutions(n: int) -> Iterator[tuple[int, ...]]:
    """Permutations that undo themselves, the one that moves nothing left out."""

    def pairs(left: tuple[int, ...]) -> Iterator[list[tuple[int, int]]]:
        if not left:
            yield []
            return
        first, *rest = left
        for chosen in pairs(tuple(rest)):
            yield chosen
        for k, other in enumerate(rest):
            for chosen in pairs((*rest[:k], *rest[k + 1 :])):
                yield [(first, other), *chosen]

    for chosen in pairs(tuple(range(n))):
        order = list(range(n))
        for i, j in chosen:
            order[i], order[j] = j, i
        if chosen:
            yield tuple(order)


def nearest_image(
    group: Sequence[Symmetry], b: Vector, start: Vector, bounds: Bounds
) -> Vector | None:
    """The image of a point that is nearest to the start; None where it is itself."""
    size = np.maximum(np.abs(start), np.abs(b).max() * 1e-12)
    size = np.where(size > 0, size, 1.0)

    def distance(image: Vector) -> float:
        return float(np.sum(np.minimum(np.abs((image - start) / size), 1e3) ** 2))

    best, least = None, distance(b) * (1 - 1e-9)
    for order, signs in group:
        image = b[list(order)] * signs
        if (bounds.clip(image) == image).all() and distance(image) < least:
            best, least = image, distance(image)
    return best
