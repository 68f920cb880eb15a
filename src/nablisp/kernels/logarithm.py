"""The logarithms, and softplus: log(1 + f) in f = m - 1 for x = 2ᵏ m with m in [√½, √2).

The method of fdlibm's e_log.c: with s = f/(2 + f), log(1 + f) = 2 atanh s = f - f²/2 + s (f²/2 + R)
where R = s² P(s²). Only f is large; it comes last, and is added with its error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import decay, exp_extreme, faint

# (2 atanh(s)/s - 2)/s² in s² for |s| ≤ (√2 - 1)/(√2 + 1), 2^-58.5
ATANH = (
    0.6666666666666734,
    0.3999999999941663,
    0.28571428742032723,
    0.22222198604389773,
    0.18183562894989522,
    0.15314083519474161,
    0.14795648359095365,
)

LN2 = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2 in two parts: the first has 32 bits, so that its product with an exponent is exact."""
_LOG10_2 = 0.30102999566224753, 1.7336659603752853e-12
_LOG2_E = 1.4426950408889634, 2.0355273740931033e-17
_LOG10_E = 0.4342944819032518, 1.098319650216765e-17

_ROOT = 0x3FE6A09E667F3BCD  # the bits of √½
_FRACTION = (1 << 52) - 1
_TINY = 2.2250738585072014e-308


class Split(NamedTuple):
    """x = 2ᵏ m with m in [√½, √2)."""

    k: Expr
    m: Expr
    power: p.Bits
    """k + 1023, where an exponent has its bits"""


def split(x: Expr) -> Split:
    """The parts of a normal number above 0."""
    moved = p.iadd(p.bits(x), p.word((1023 << 52) - _ROOT))
    k = p.number(p.ior(p.lshr(moved, p.word(52)), p.word(0x433 << 52))) - (2.0**52 + 1023)
    m = p.number(p.iadd(p.iand(moved, p.word(_FRACTION)), p.word(_ROOT)))
    return Split(k, m, p.iand(moved, p.word(~_FRACTION)))


def curve(f: Expr) -> Expr:
    """log(1 + f) - f for 1 + f in [√½, √2)."""
    s = f / (2 + f)
    z = s * s
    half = f * -0.5
    return p.fma(half, f, s * p.fma(z, p.two_chains(z, ATANH), p.negative(half * f)))


def log_of(k: Expr, f: Expr) -> Expr:
    """k ln 2 + log(1 + f)."""
    high, low = p.fast_two_sum(k * LN2[0], f)
    return high + p.fma(k, LN2[1], low + curve(f))


def _ordinary(x: Expr, bound: float = _TINY) -> Expr:
    return p.both(x >= bound, x < math.inf)


def _extraordinary(x: Expr) -> Expr:
    return p.exclusive(_ordinary(x), True)


# ---- log, log2, log10 ----------------------------------------------------------------------------


def log(x: Expr) -> Expr:
    """Natural logarithm."""
    k, m, _ = split(x)
    return p.rarely(_extraordinary(x), "log_extreme", x, usually=log_of(k, m - 1))


def log_extreme(x: Expr) -> Expr:
    """log of a subnormal number, of 0, of what is negative, of inf and nan."""
    k, m, _ = split(x * 2.0**54)
    return _edges(x, log_of(k - 54, m - 1))


def _edges(x: Expr, inside: Expr) -> Expr:
    """The logarithm to any base: `inside` of what is subnormal."""
    outside = p.where(p.equal(x, 0), -math.inf, p.where(x < 0, math.nan, x))
    return p.where(p.both(x > 0, x < math.inf), inside, outside)


def _scaled(x: Expr, down: float, two: tuple[float, float], unit: tuple[float, float]) -> Expr:
    """The logarithm of x 2^-down, where those of 2 and e are given in two parts."""
    k, m, _ = split(x)
    f = m - 1
    k = k - down if down else k
    product, rest = p.two_product(f, as_expr(unit[0]))
    high, low = p.fast_two_sum(k * two[0] if two[0] != 1 else k, product)
    rest = p.fma(curve(f), unit[0], p.fma(f, unit[1], rest)) + low
    return high + (p.fma(k, two[1], rest) if two[1] else rest)


_BINARY = (1.0, 0.0), _LOG2_E
_DECIMAL = _LOG10_2, _LOG10_E


def log2(x: Expr) -> Expr:
    """Logarithm to base 2."""
    return p.rarely(_extraordinary(x), "log2_extreme", x, usually=_scaled(x, 0, *_BINARY))


def log2_extreme(x: Expr) -> Expr:
    """As log_extreme."""
    return _edges(x, _scaled(x * 2.0**54, 54, *_BINARY))


def log10(x: Expr) -> Expr:
    """Logarithm to base 10."""
    return p.rarely(_extraordinary(x), "log10_extreme", x, usually=_scaled(x, 0, *_DECIMAL))


def log10_extreme(x: Expr) -> Expr:
    """As log_extreme."""
    return _edges(x, _scaled(x * 2.0**54, 54, *_DECIMAL))


# ---- log1p and softplus --------------------------------------------------------------------------


def log_of_sum(u: Expr, low: Expr) -> Expr:
    """log(u + low) where u is normal and the sum of low and u is u."""
    k, m, power = split(u)
    f = p.fma(low, p.number(p.isub(p.word(2046 << 52), power)), m - 1)
    return log_of(k, f)


def log1p(x: Expr) -> Expr:
    """log(1 + x): the error of the sum is added to f."""
    usual = p.copysign(log_of_sum(*p.fast_two_sum(as_expr(1.0), x)), x)
    inside = p.both(x > -1, x < math.inf)
    return p.rarely(p.exclusive(inside, True), "log1p_extreme", x, usually=usual)


def log1p_extreme(x: Expr) -> Expr:
    """-inf at -1, nan below, and what is no number is itself."""
    return p.where(p.equal(x, -1), -math.inf, p.where(x < -1, math.nan, x))


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    e = decay(x)
    usual = p.where(x > 0, x, 0.0) + log_of_sum(e.one, e.one_low)
    return p.rarely(faint(x), "softplus_extreme", x, usually=usual)


def softplus_extreme(x: Expr) -> Expr:
    """The argument itself, or exp(x), or a nan."""
    return p.where(x > 0, x, exp_extreme(x))
