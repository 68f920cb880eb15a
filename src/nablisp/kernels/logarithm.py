"""The logarithms, and softplus: log(1 + f) in f = m - 1 for x = 2ᵏ m with m in [√½, √2).

The method of fdlibm's e_log.c: with s = f/(2 + f), log(1 + f) = 2 atanh s = f - s (f - s² P(s²)).
Only f is large; it comes last, and its sum with k ln 2 keeps what rounding took.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import LOG2_E, decay, faint

# (2 atanh(s)/s - 2)/s² in s² for |s| ≤ (√2 - 1)/(√2 + 1), 2^-58.5
ATANH = (
    0.6666666666666734,
    0.3999999999941665,
    0.28571428742024496,
    0.2222219860549323,
    0.18183562826447744,
    0.15314085522534832,
    0.1479562607680465,
)
# the same for |s| ≤ 1/3, 2^-58.4
_UNIT = (
    0.6666666666666631,
    0.40000000000156216,
    0.2857142854795703,
    0.2222222396435739,
    0.18181744088985025,
    0.15386556824617256,
    0.1330101026132496,
    0.12105821306923253,
    0.08341169593846133,
    0.17016733603859685,
)

LN2 = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2 in two parts: the first has 32 bits, so that its product with an exponent is exact."""
_LOG10_2 = 0.30102999566224753, 1.7336659603752853e-12
_LOG10_E = 0.4342944819032518, 1.098319650216765e-17

_ROOT = 0x3FE6A09E667F3BCD  # the bits of √½
EXPONENT = 0xFFF << 52
_VAST = 2.0**1000
TINY = 2.2250738585072014e-308


class Split(NamedTuple):
    """x = 2ᵏ m with m in [√½, √2)."""

    k: Expr
    m: Expr
    power: p.Bits
    """k + 1023, where an exponent has its bits"""


def split(x: Expr) -> Split:
    """The parts of a normal number above 0."""
    moved = p.iadd(p.bits(x), p.word((1023 << 52) - _ROOT))
    m = p.number(p.iadd(p.iand(moved, p.word(~EXPONENT)), p.word(_ROOT)))
    return Split(exponent(moved), m, p.iand(moved, p.word(EXPONENT)))


def exponent(x: p.Bits) -> Expr:
    """The exponent of a positive number, as a number."""
    return p.number(p.ior(p.lshr(x, p.word(52)), p.word(0x433 << 52))) - (2.0**52 + 1023)


def curve(f: Expr, unit: float, scaled: Expr) -> tuple[Expr, Expr]:
    """Two factors of (log(1 + f) - f) unit for 1 + f in [√½, √2), where f unit is known."""
    s = f / (2 + f)
    z = s * s
    return s, p.fma(z, p.two_chains(z, [unit * c for c in ATANH]), p.negative(scaled))


def log_of(k: Expr, f: Expr, rest: Expr | None = None) -> Expr:
    """k ln 2 + log(1 + f + rest), but only roughly the rest."""
    high, low = p.fast_two_sum(k * LN2[0], f)
    low = low + rest if rest is not None else low
    return high + p.fma(*curve(f, 1.0, f), p.fma(k, LN2[1], low))


def _extraordinary(x: Expr) -> Expr:
    return p.exclusive(p.both(x >= TINY, x < math.inf), True)


# ---- log, log2, log10 ----------------------------------------------------------------------------


def log(x: Expr) -> Expr:
    """Natural logarithm. 0.88 ulp."""
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
    k = k - down
    product, rest = p.two_product(f, as_expr(unit[0]))
    high, low = p.fast_two_sum(k * two[0], product)
    rest = p.fma(f, unit[1], rest + low)
    rest = p.fma(k, two[1], rest) if two[1] else rest
    return high + p.fma(*curve(f, unit[0], product), rest)


_BINARY = (1.0, 0.0), LOG2_E
_DECIMAL = _LOG10_2, _LOG10_E


def log2(x: Expr) -> Expr:
    """Logarithm to base 2, exact for powers of it. 1.16 ulp."""
    return p.rarely(_extraordinary(x), "log2_extreme", x, usually=_scaled(x, 0, *_BINARY))


def log2_extreme(x: Expr) -> Expr:
    """As log_extreme."""
    return _edges(x, _scaled(x * 2.0**54, 54, *_BINARY))


def log10(x: Expr) -> Expr:
    """Logarithm to base 10, exact for powers of it. 1.00 ulp."""
    return p.rarely(_extraordinary(x), "log10_extreme", x, usually=_scaled(x, 0, *_DECIMAL))


def log10_extreme(x: Expr) -> Expr:
    """As log_extreme."""
    return _edges(x, _scaled(x * 2.0**54, 54, *_DECIMAL))


# ---- log1p and softplus --------------------------------------------------------------------------


def log_of_sum(u: Expr, low: Expr) -> Expr:
    """log(u + low) where u is normal and the sum of low and u is u."""
    k, m, power = split(u)
    f, rest = p.fast_two_sum(m - 1, low * p.number(p.isub(p.word(2046 << 52), power)))
    return log_of(k, f, rest)


def log1p(x: Expr) -> Expr:
    """log(1 + x): the error of the sum is added to f. 0.89 ulp."""
    usual = p.copysign(log_of_sum(*p.fast_two_sum(as_expr(1.0), x)), x)
    inside = p.both(x > -1, x < _VAST)
    return p.rarely(p.exclusive(inside, True), "log1p_extreme", x, usually=usual)


def log1p_extreme(x: Expr) -> Expr:
    """log x where it is vast, -inf at -1, nan below."""
    k, m, _ = split(x)
    return _edges(x + 1, log_of(k, m - 1))


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)) = max(x, 0) + 2 atanh(e/(2 + e)) where e = exp(-|x|). 1.17 ulp."""
    e = decay(x)
    under, under_low = p.fast_two_sum(as_expr(2.0), e.high)
    inverse = 1 / under
    s = e.high * inverse
    back = p.negative(s)
    rest = p.fma(back, under, e.high) + p.fma(back, under_low + e.low, e.low)
    z = s * s
    tail = p.fma(s * z, p.two_chains(z, _UNIT), rest * (inverse + inverse))
    usual = p.where(x > 0, x, 0.0) + (s + s + tail)
    return p.rarely(faint(x), "softplus_extreme", x, usually=usual)


def softplus_extreme(x: Expr) -> Expr:
    """The argument itself, or exp(x), or a nan."""
    return p.rarely(p.exclusive(x > 0, True), "exp_extreme", x, usually=x)
