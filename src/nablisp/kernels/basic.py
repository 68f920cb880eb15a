"""Exact operations: choices and comparisons, with NumPy's semantics. A nan among them is a nan."""

from __future__ import annotations

from ..expr import Expr, Num
from . import primitives as p


def minimum(x: Expr, y: Expr) -> Expr:
    """The smaller; where one of two comparisons is false for a nan, the other finds it."""
    return p.where(p.unequal(x, x), x, p.where(x < y, x, y))


def maximum(x: Expr, y: Expr) -> Expr:
    """The larger."""
    return p.where(p.unequal(x, x), x, p.where(x > y, x, y))


def clip(x: Expr, low: Expr, high: Expr) -> Expr:
    """Kept between two: the upper bound has the last word."""
    return minimum(maximum(x, low), high)


def relu(x: Expr) -> Expr:
    """x where positive, else 0; a nan is not at most 0."""
    return p.where(x <= 0.0, 0.0, x)


def sign(x: Expr) -> Expr:
    """-1, 0 or 1; a zero or nan plus 0 is 0 or a nan."""
    return p.where(x > 0.0, 1.0, p.where(x < 0.0, -1.0, x + 0.0))


def negation(x: Expr) -> Expr:
    """True where false."""
    return p.where(x, Num(False), Num(True))


def finite(x: Expr) -> Expr:
    """True where neither nan nor infinite."""
    return p.absolute(x) < float("inf")
