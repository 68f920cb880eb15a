"""From a gradient and a Hessian to the step that lowers their quadratic model most in a region.

The Hessian is whole, or known by its products. A step that may as well go the other way, because
the gradient says nothing of a direction that curves down, comes in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

EPS = float(np.finfo(np.float64).eps)
TURNS = 500
"""Turns of conjugate gradients in one step."""


def units(matrix: Matrix) -> Vector:
    """The unit of length of each entry: what changes the gradient by its own measure."""
    diagonal = np.sqrt(np.abs(np.diag(matrix)))
    rows = np.sqrt(np.abs(matrix).max(axis=1))
    largest = float(rows.max(initial=0.0)) or 1.0
    units = np.maximum(np.where(diagonal > 0, diagonal, rows), 1e-8 * largest)
    return units / largest


class Whole:
    """A quadratic model in the basis where its matrix is diagonal."""

    def __init__(self, matrix: Matrix, slope: Vector, units: Vector) -> None:
        self.matrix, self.units = matrix, units
        self.bends, self.basis = np.linalg.eigh(matrix / units[:, None] / units)
        self.slope = self.basis.T @ (slope / units)

    def times(self, v: Vector) -> Vector:
        return self.matrix @ v

    def steps(self, radius: float) -> list[Vector]:
        """The lowest point of the model within the radius, or two that are as low."""
        return [self.basis @ step / self.units for step in self._steps(radius)]

    def _steps(self, radius: float) -> list[Vector]:
        bends, slope = self.bends, self.slope
        lowest, most = float(bends[0]), float(np.abs(bends).max())
        tiny = len(bends) * EPS * most
        if lowest > tiny:
            step: Vector = -slope / bends
            if np.linalg.norm(step) <= radius:
                return [step]
        shift = max(0.0, -lowest)
        lifted = bends + shift
        still = lifted <= tiny
        if np.linalg.norm(slope / np.maximum(lifted, tiny)) > radius:
            return [self._at_edge(radius, shift)]
        step = np.where(still, 0.0, -slope / np.where(still, 1.0, lifted))
        if lowest < -tiny:  # along what curves down, to the edge of the region
            k = int(np.flatnonzero(still)[0])
            step[k] = np.copysign(np.sqrt(radius**2 - float(step @ step)), -slope[k] or 1.0)
            other = step.copy()
            other[k] = -step[k]
            return [step, other]
        return [step]

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
                bend = np.sum(slope**2 / lifted**3)
                at += float((length / radius - 1) * length**2 / bend)
            if not low < at < high:
                at = max(np.sqrt(low * high), low + 1e-3 * (high - low))
        return np.nan_to_num(step)


class Products:
    """A quadratic model known by products with its matrix."""

    def __init__(self, times: Callable[[Vector], Vector], slope: Vector) -> None:
        self.times, self.slope = times, slope

    def steps(self, radius: float) -> list[Vector]:
        """The one step that conjugate gradients lead to."""
        return [self._step(radius)]

    def _step(self, radius: float) -> Vector:
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
