"""exp and its kin."""

from __future__ import annotations

from ..expr import Expr
from . import primitives as p

LOG2_E = 1.4426950408889634


def exp(x: Expr) -> Expr:
    """Cody and Waite: x = n ln 2 + r with |r| ≤ ½ ln 2; e^r by a polynomial, 2^n in two steps."""
    c = p.where(x > 710.0, 710.0, p.where(x < -750.0, -750.0, x))  # a nan stays
    n = p.rint(c * LOG2_E)
    r = p.fma(n, -0.6931471805599453, c)
    r = p.fma(n, -2.3190468138462996e-17, r)
    poly = p.horner(r, [1.0, 1.0, 1/2, 1/6, 1/24, 1/120, 1/720, 1/5040, 1/40320, 1/362880, 1/3628800, 1/39916800, 1/479001600])
    return scaled(poly, n)


def scaled(x: Expr, n: Expr) -> Expr:
    """x 2^n for an integer n with |n| ≤ 2000, rounded once: 2^n comes in two factors."""
    half = p.floor(n * 0.5)
    return x * power_of_two(half) * power_of_two(n - half)


def power_of_two(n: Expr) -> Expr:
    """2^n for an integer n with |n| < 1023: the magic number leaves n in the lowest bits."""
    magic = n + (6755399441055744.0 + 1023.0)
    return p.number(p.shl(p.bits(magic), p.word(52)))
