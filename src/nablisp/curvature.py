"""From a Hessian to what it says of a point: its eigenvalues, and its flat and falling directions.

A matrix that is too large to hold is known by its products, and Lanczos' method finds its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Times = Callable[[Vector], Vector]

EPS = float(np.finfo(np.float64).eps)
STEPS = 300
"""Products that Lanczos' method takes at most."""
HELD = 50_000_000
"""Numbers in the vectors that it keeps at most."""
TERMS = 6
"""Terms of a direction that are written out."""
NOTHING = 1e-200
"""Curvature over the way that a run came, relative to how far the loss fell, that is none."""
PROBE = 1e-8
"""How far from a point, relative to how far it came, its curvature is compared."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The lowest and highest eigenvalue, and a direction of the lowest.

    An eigenvalue lies within `rest` of each; where that is much, the true end may be farther out.
    """

    low: float
    high: float
    lowest: Vector
    rest: tuple[float, float] = (0.0, 0.0)
    products: int = 0

    @property
    def settled(self) -> bool:
        """Are both ends known to some digits?"""
        size = max(abs(self.low), abs(self.high))
        low, high = self.rest
        return low <= max(1e-3 * abs(self.low), 1e-12 * size) and high <= 1e-3 * size


def lanczos(times: Times, entries: int, *, seconds: float = np.inf) -> Ends:
    """The ends of a symmetric matrix that is known by its products (Lanczos 1950).

    Every vector is made orthogonal to all before it. Stops when both ends hold to 1e-12, or the
    time is up; then the ends lie inside the true ones, and `rest` says how far they have come.
    """
    began = monotonic()
    most = min(entries, STEPS, max(20, HELD // entries))
    vectors = np.empty((most, entries))
    middle, beside = np.zeros(most), np.zeros(most)
    vector = np.random.Generator(np.random.Philox(key=[0, entries])).standard_normal(entries)
    vector /= np.linalg.norm(vector)
    for k in range(most):
        vectors[k] = vector
        pushed = times(vector)
        middle[k] = float(vector @ pushed)
        for _ in range(2):
            pushed = pushed - vectors[: k + 1].T @ (vectors[: k + 1] @ pushed)
        beside[k] = float(np.linalg.norm(pushed))
        last = k == most - 1 or monotonic() - began > seconds
        ended = beside[k] <= EPS * np.abs(middle[: k + 1]).max() * entries**0.5
        if last or ended or (k and k % max(10, k // 4) == 0):
            values, basis = np.linalg.eigh(
                np.diag(middle[: k + 1]) + np.diag(beside[:k], 1) + np.diag(beside[:k], -1)
            )
            rest = beside[k] * np.abs(basis[-1, [0, -1]])
            if last or ended or (rest <= 1e-12 * np.abs(values).max()).all():
                lowest = vectors[: k + 1].T @ basis[:, 0]
                low, high = (0.0, 0.0) if k + 1 == entries else map(float, rest)
                return Ends(float(values[0]), float(values[-1]), lowest, (low, high), k + 1)
        vector = pushed / beside[k]
    raise AssertionError("the last turn returns")


def units(matrix: Matrix) -> Vector:
    """A unit for every entry in which all have curvature 1, or at most that off the diagonal."""
    diagonal = np.abs(np.diag(matrix))
    found = np.sqrt(np.where(diagonal > 0, diagonal, np.abs(matrix).max(axis=1)))
    return np.where(found > 0, found, 1.0)


def rounding(values: Vector) -> float:
    """Eigenvalues up to this size are zero to rounding."""
    return float(10 * len(values) * EPS * np.abs(values).max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Nature:
    """What a point is: "minimum", "saddle" or "flat", and the words for it."""

    kind: str
    words: str
    along: str = ""
    axis: Vector | None = None
    """a direction that falls, or is flat"""


def nature(matrix: Matrix, labels: Sequence[str]) -> Nature:
    """What a point where the gradient is zero is, by the Hessian there.

    Eigenvalues are judged in units in which all entries count alike.
    """
    scale = units(matrix)
    values, basis = np.linalg.eigh(matrix / np.outer(scale, scale))
    zero = rounding(values)
    if values[0] < -zero:
        axis = basis[:, 0] / scale
        along = spelled(axis, labels)
        return Nature("saddle", f"a saddle: the loss falls along {along}", along, axis)
    flat = np.abs(values) <= zero
    if flat.any():
        return flat_along((basis[:, flat].T / scale), labels)
    own = np.linalg.eigvalsh(matrix)
    ends = f"{own[0]:.4g}" if len(own) == 1 else f"{own[0]:.4g} to {own[-1]:.4g}"
    return Nature("minimum", f"a minimum: curvature {ends}")


def flat_along(directions: Matrix, labels: Sequence[str]) -> Nature:
    """The words for directions without curvature, a row each."""
    sparse = _sparse(directions)
    shown = [spelled(row, labels) for row in sparse[:3]]
    more = f" and {len(sparse) - 3} more" if len(sparse) > 3 else ""
    return Nature("flat", f"flat along {', '.join(shown)}{more}", ", ".join(shown), sparse[0])


def quartic(
    hessian: Callable[[Vector], Matrix],
    x: Vector,
    matrix: Matrix,
    slope: Vector,
    reach: Vector,
    fall: float,
) -> Iterator[Vector]:
    """Directions whose curvature here is as nothing against that close by: flat to second order.

    `reach` is how far each entry came, and `fall` how far the loss; where a direction explains
    some of that, it is not looked at. Close by is PROBE of the way, and as near as rounding and
    the step that Newton's method has left: a curvature that holds there is the point's own.
    """
    values, basis = np.linalg.eigh(matrix * np.outer(reach, reach))
    for value, along in zip(values[:10], basis.T, strict=False):
        if value > 1e-6 * max(float(values[-1]), fall):
            break
        step = along * reach
        if value <= NOTHING * fall:
            yield step
            continue
        left = abs(float(slope @ step)) / float(value)
        near = min(PROBE, 100 * max(EPS, left))
        bends = [float(step @ hessian(x + share * step) @ step) for share in (PROBE, near)]
        if min(bends) > 100 * abs(float(value)):
            yield step


def cone(matrix: Matrix, sides: Vector) -> tuple[float, Vector] | None:
    """A direction of the lowest curvature that bounds allow; None where they are too many to try.

    `sides` is 1 or -1 for an entry that may only grow or fall, 0 for one that is free. By
    Kaplan's test (2000): some part of the bounded entries has an eigenvector inside the cone.
    """
    free, held = np.flatnonzero(sides == 0), np.flatnonzero(sides)
    if len(held) > 10:
        return None
    scale = units(matrix)
    scaled = matrix / np.outer(scale, scale)
    found = (np.inf, np.zeros(len(matrix)))
    if len(free):
        values, basis = np.linalg.eigh(scaled[np.ix_(free, free)])
        found[1][free] = basis[:, 0]
        found = float(values[0]), found[1] / scale
        if values[0] <= rounding(values):
            return found
    inner, across = scaled[np.ix_(free, free)], scaled[np.ix_(free, held)]
    back = -np.linalg.solve(inner, across) if len(free) else across
    left = scaled[np.ix_(held, held)] + (across.T @ back if len(free) else 0)
    left = left * np.outer(sides[held], sides[held])
    for chosen in range(1, 1 << len(held)):
        part = [i for i in range(len(held)) if chosen >> i & 1]
        values, basis = np.linalg.eigh(left[np.ix_(part, part)])
        basis *= np.sign(basis[np.abs(basis).argmax(axis=0), range(len(part))])
        for value, along in zip(values, basis.T, strict=True):
            if value < found[0] and (along >= -1e-12).all():
                whole = np.zeros(len(matrix))
                whole[held[part]] = along * sides[held[part]]
                whole[free] = back[:, part] @ whole[held[part]] if len(free) else 0
                found = float(value), whole / scale
    return found


def _sparse(rows: Matrix) -> Matrix:
    """The same space by rows with as many zeros: reduced to echelon form."""
    found = rows.copy()
    done = 0
    for column in range(found.shape[1]):
        if done == len(found):
            break
        pivot = done + int(np.argmax(np.abs(found[done:, column])))
        if abs(found[pivot, column]) < 1e-6 * np.abs(found[pivot]).max():
            continue
        found[[done, pivot]] = found[[pivot, done]]
        found[done] /= found[done, column]
        for other in range(len(found)):
            if other != done:
                found[other] -= found[other, column] * found[done]
        done += 1
    return found


def spelled(direction: Vector, labels: Sequence[str]) -> str:
    """A direction as a combination of names: `a - 0.5 b`; the largest entry counts 1."""
    largest = direction[np.argmax(np.abs(direction))]
    shares = direction / largest if largest else direction
    order = [i for i in np.argsort(-np.abs(shares), kind="stable") if abs(shares[i]) > 1e-4]
    kept = sorted(order[:TERMS])
    first = shares[kept[0]] if kept else 1.0
    text = ""
    for i in kept:
        share = shares[i] * np.sign(first)
        size = f"{abs(share):.3g}"
        sign = ("- " if share < 0 else "+ ") if text else ""
        text += f"{' ' if text else ''}{sign}{'' if size == '1' else size + ' '}{labels[i]}"
    return text + (" …" if len(order) > TERMS else "")
