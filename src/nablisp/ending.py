"""From the point where a search ended to what it is: a minimum, a saddle, flat, a kink, far out.

A minimum is claimed only where the gradient is zero, the step that Newton's method has left is as
nothing against the way, and the curvature is positive and visible against the value's rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .curvature import (
    EPS,
    PROBE,
    Nature,
    Vector,
    cone,
    flat_along,
    lanczos,
    nature,
    quartic,
    rounding,
    spelled,
)
from .expr import Call, postorder
from .methods import Bounds, Point, look, products
from .surface import Surface

AT_ZERO = 1e3
"""A gradient of this many roundings of its own terms is zero."""
NEAR = 1e-8
"""A run that ends so close to the lowest point of its model, relative to its way, is there."""
CLOSE = 1e-3
"""So close it is where the gradient is zero to rounding, and the curvature all the way the same."""
# fmt: off
ROUGH = {
    "abs", "relu", "min", "max", "amin", "amax", "argmax", "sign", "hypot", "sqrt", "cbrt", "clip",
    "floor", "ceil", "mod", "where", "<", "<=", ">", ">=", "=", "!=",
}
# fmt: on
"""Rows that are not smooth somewhere, so that a gradient of 0 proves nothing there."""
SCALES = (1e-3, 1e-6)
"""How far away, relative to the way, lower points are looked for where the loss is not smooth."""
DRAWN, AXES = 8, 100
"""Directions that are drawn for this; besides them go those of least curvature, and up to so many
axes."""


class Ending:
    """The judge of the points of one search, which began at `first`."""

    def __init__(self, surface: Surface, bounds: Bounds, first: Point) -> None:
        self.surface, self.bounds, self.first = surface, bounds, first
        self._sound: Vector | None = None
        self.rough = any(
            isinstance(node, Call) and node.op.name in ROUGH for node in postorder(surface.loss)
        )

    def nature(self, point: Point) -> tuple[Nature, bool]:
        """What a point is among the entries that are free, and whether its gradient is zero."""
        free = self.bounds.free(point)
        if not free.any():
            return Nature("minimum", "a minimum: held by bounds in every direction"), True
        what, zero = self._whole(point, free) if self.surface.dense else self._sparse(point, free)
        if what.kind == "minimum" and self.rough:
            if (lower := self.lower(point)) is not None:
                along = spelled(lower.x - point.x, self.surface.labels)
                return Nature("falls", f"no minimum: the loss falls along {along}", along), zero
            if not zero:
                return Nature("kink", "a kink: no point tried close by is lower"), True
        return what, zero

    def _whole(self, point: Point, free: Any) -> tuple[Nature, bool]:
        surface = self.surface
        labels = [label for label, f in zip(surface.labels, free, strict=True) if f]
        slope = point.slope[free]

        def part(x: Vector) -> Any:
            whole = point.x.copy()
            whole[free] = x
            return surface.hessian(whole)[np.ix_(free, free)]

        matrix = part(point.x[free])
        if not np.isfinite(matrix).all():
            return Nature("flat", ""), False
        fell = self.first.value - point.value
        way = np.maximum(np.abs(self.first.x), np.abs(point.x))[free]
        reach = _reach(way, matrix, max(fell, abs(point.value)))
        what = self._within(nature(matrix, labels), point, free, matrix, labels)
        if what.kind == "minimum" and what.axis is None:
            flat = list(quartic(part, point.x[free], matrix, slope, reach, fell))
            if flat:
                what = flat_along(np.array(flat), labels)
        if what.axis is not None and (
            what.kind == "flat" or (self.rough and what.kind == "saddle")
        ):
            what = self._kink(point, free, what, reach, fell)
            if what.kind == "kink":
                return what, True
        nothing = EPS * abs(point.value) / reach + np.finfo(np.float64).tiny
        zero = bool((np.abs(slope) <= AT_ZERO * EPS * (np.abs(matrix) @ reach) + nothing).all())
        if what.kind != "minimum" or what.axis is not None:
            return what, zero
        left = np.linalg.solve(matrix, slope)
        share = float((np.abs(left) / reach).max())
        arrived = share <= NEAR
        if zero and NEAR < share <= CLOSE:  # rounding, if the model holds all the way
            there = float(left @ part(point.x[free] - left) @ left)
            arrived = abs(there / float(left @ slope) - 1) <= 0.01
        lowest = np.linalg.eigvalsh(matrix * np.outer(reach, reach))[0]
        faint = float(slope @ left) <= 10 * EPS * max(fell, abs(point.value))
        if (zero or faint) and (not arrived or lowest < EPS * abs(point.value)):
            far = left if left.any() else np.linalg.eigh(matrix)[1][:, 0]
            along = spelled(far / reach, labels)
            return Nature("far", f"flat out here: the loss hardly changes along {along}"), True
        return what, arrived

    def _within(
        self, what: Nature, point: Point, free: Any, matrix: Any, labels: list[str]
    ) -> Nature:
        """The same where some entries are at a bound that they may only leave to one side."""
        x, bounds = point.x[free], self.bounds
        sides = (x <= bounds.low[free]).astype(float) - (x >= bounds.high[free])
        if what.kind == "minimum" or not sides.any():
            return what
        found = cone(matrix, sides)
        if found is None:
            return Nature("flat", f"{what.words}, as far as bounds allow", what.along)
        value, axis = found
        zero = rounding(np.ones(len(matrix)))
        along = spelled(axis, labels)
        if value < -zero:
            return Nature("saddle", f"a saddle: the loss falls along {along}", along, axis)
        if value <= zero:
            return flat_along(axis[None, :], labels)
        return Nature("minimum", "a minimum: curvature positive as far as bounds allow", "", axis)

    def _kink(self, point: Point, free: Any, what: Nature, reach: Vector, fell: float) -> Nature:
        """What has no curvature may still rise both ways, like an absolute value or its root."""
        if what.axis is None:
            return what
        step = np.zeros_like(point.x)
        step[free] = PROBE * what.axis / np.abs(what.axis / reach).max()
        rises = [self.surface.at(point.x + side * step)[0] - point.value for side in (1, -1)]
        if min(rises) > 1e-12 * max(fell, abs(point.value)):
            return Nature("kink", f"a kink: the loss rises steeply both ways along {what.along}")
        return what

    def _sparse(self, point: Point, free: Any) -> tuple[Nature, bool]:
        """The same by Lanczos' method, where the Hessian is too large to hold."""
        labels = [label for label, f in zip(self.surface.labels, free, strict=True) if f]
        way = np.maximum(np.abs(self.first.x), np.abs(point.x))[free]
        ends = lanczos(products(self.surface, point.x, free), len(labels))
        scale = max(abs(ends.low), abs(ends.high))
        steep, reach = (float(np.linalg.norm(v)) for v in (point.slope[free], way))
        zero = steep <= NEAR * scale * reach
        blur = max(rounding(np.array([scale])) * len(labels), 1e-12 * scale)
        if ends.low < -blur:
            along = "a combination of many entries"
            return Nature("saddle", f"a saddle: the loss falls along {along}", along), zero
        least = ends.low - ends.rest[0]
        if least > blur:
            words = f"a minimum: curvature {ends.low:.4g} to {ends.high:.4g}"
            return Nature("minimum", words), steep <= NEAR * least * (reach or 1.0)
        if ends.rest[0] > blur:
            words = f"the curvature is positive as far as {ends.products} products see"
            return Nature("unseen", f"{words}, its lowest is not known"), zero
        return flat_along(ends.lowest[None, :], labels), zero

    # ---- where the loss is not smooth ------------------------------------------------------------

    def lower(self, point: Point) -> Point | None:
        """The lowest of some points close by, if that is lower; None where the loss is smooth.

        A gradient takes one side of a kink, or the mean of both; values see all sides.
        """
        if not self.rough or point.x is self._sound:
            return None
        reach = np.maximum(np.abs(self.first.x), np.abs(point.x))
        reach = np.where(reach > 0, reach, 1.0)
        best, blur = point, 1e-12 * max(self.first.value - point.value, abs(point.value))
        for direction in self._directions(point, reach):
            self.surface.budget.clock()
            for share in (s * scale for scale in SCALES for s in (1, -1)):
                x = self.bounds.clip(point.x + share * direction)
                new = look(self.surface, x, self.bounds)
                if new.ok and new.value < best.value - blur:
                    best = new
        if best is point:
            self._sound = point.x
            return None
        return best

    def _directions(self, point: Point, reach: Vector) -> list[Vector]:
        """Axes, those of least curvature, and some that are drawn, all as long as the way."""
        entries = self.surface.entries
        random = np.random.Generator(np.random.Philox(key=[1, entries]))
        found = list(random.uniform(-1, 1, (DRAWN, entries)) * reach)
        if entries <= AXES:
            found += list(np.diag(reach))
        if self.surface.dense:
            matrix = self.surface.hessian(point.x) * np.outer(reach, reach)
            if np.isfinite(matrix).all():
                found += list(np.linalg.eigh(matrix)[1].T[:DRAWN] * reach)
        return found


def _reach(reach: Vector, matrix: Any, fell: float) -> Vector:
    """How far each entry came, at least what its own curvature needs for such a fall, at most 1.

    An entry that starts where it ends has no scale but this.
    """
    bends = np.abs(np.diag(matrix))
    with np.errstate(all="ignore"):
        own = np.minimum(np.sqrt(2 * fell / bends), 1.0)
    found = np.maximum(reach, np.where(np.isfinite(own), own, 0.0))
    return np.where(found > 0, found, 1.0)
