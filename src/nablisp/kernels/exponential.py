"""exp, expm1 and sigmoid; what they are made of makes softplus, sinh and cosh, too.

All begin with Cody and Waite's reduction, x = n ln 2 + r with |r| ≤ ½ ln 2, where
e^r - 1 = r + r² C(r²) + r³ S(r²) with the even part C and the odd part S of the series. The two are
polynomials of their own, so cosh and sinh take them from exp, and short chains in r².
"""

from __future__ import annotations

from typing import NamedTuple

from ..expr import Expr, as_expr
from . import primitives as p

# (cosh r - 1)/r² in r² for |r| ≤ ½ ln 2, 2^-58.0
_EVEN = (
    0.5000000000000013,
    0.04166666666651046,
    0.001388888894835834,
    2.4801488502986003e-05,
    2.7631811441265133e-07,
)
# (sinh r - r)/r³ in r² for |r| ≤ ½ ln 2, 2^-61.7
_ODD = (
    0.16666666666666677,
    0.008333333333321384,
    0.00019841269886823273,
    2.7557243441886007e-06,
    2.5109325230669754e-08,
)

LOG2_E = 1.4426950408889634, 2.0355273740931033e-17
_LN2 = 0.6931471805599453, 2.3190468138462996e-17
_MAGIC = 6755399441055744.0  # 1.5 2⁵²: what is added to it is rounded, and in its lowest bits
LARGE = 708.0  # beyond it, the result or its inverse is near overflow or subnormal


class Reduced(NamedTuple):
    """x = n ln 2 + r, where `exact` + `tail` is r more precisely than r itself."""

    power: p.Bits
    """n, where an exponent has its bits: to add it is to multiply by 2ⁿ"""
    r: Expr
    exact: Expr
    tail: Expr


def reduced(x: Expr) -> Reduced:
    """Cody and Waite: x less n times the rounded ln 2 is exact, and n times its rest small."""
    magic = p.fma(x, LOG2_E[0], _MAGIC)
    n = magic - _MAGIC
    exact = p.fma(n, -_LN2[0], x)
    tail = n * -_LN2[1]
    return Reduced(p.shl(p.bits(magic), p.word(52)), exact + tail, exact, tail)


def even_part(r: Expr) -> Expr:
    """(cosh r - 1)/r²."""
    return p.horner(r * r, _EVEN)


def odd_part(r: Expr) -> Expr:
    """(sinh r - r)/r³."""
    return p.horner(r * r, _ODD)


def _curve(r: Expr) -> Expr:
    """(e^r - 1 - r)/r²."""
    return p.fma(r, odd_part(r), even_part(r))


def fraction(part: Reduced) -> Expr:
    """e^r - 1, with an absolute error below 2^-55."""
    r = part.r
    return part.exact + p.fma(r * r, _curve(r), part.tail)


def added(large: Expr, part: Reduced) -> Expr:
    """A number + e^r - 1, rounded nearly once, where the number is 0 or at least ½."""
    r = part.r
    high, low = p.fast_two_sum(large, part.exact)
    return high + p.fma(r * r, _curve(r), part.tail + low)


def scaled(x: Expr, power: p.Bits) -> Expr:
    """x 2ⁿ where both are normal numbers."""
    return p.number(p.iadd(p.bits(x), power))


def power_of_two(power: p.Bits) -> Expr:
    """2ⁿ as a number."""
    return p.number(p.iadd(p.word(1023 << 52), power))


def beyond(x: Expr, bound: float) -> Expr:
    """True where |x| is above the bound, or x a nan."""
    return p.exclusive(p.absolute(x) <= bound, True)


# ---- exp and expm1 -------------------------------------------------------------------------------


def exp(x: Expr) -> Expr:
    """e to the x, of degree 11. 0.89 ulp."""
    part = reduced(x)
    usual = scaled(1 + fraction(part), part.power)
    return p.rarely(beyond(x, LARGE), "exp_extreme", x, usually=usual)


def exp_extreme(x: Expr) -> Expr:
    """exp for any x: 2ⁿ comes in two factors, the second of which rounds or overflows."""
    c = p.where(x > 710.0, 710.0, p.where(x < -750.0, -750.0, x))  # a nan stays
    return two_steps(reduced(c), c, 0)


def two_steps(part: Reduced, x: Expr, less: int) -> Expr:
    """exp(x)/2^less for |x| ≤ 800 and its reduction, rounded once."""
    half = p.floor(x * (LOG2_E[0] / 2))
    first = p.shl(p.bits(half + _MAGIC), p.word(52))
    rest = p.isub(part.power, p.iadd(first, p.word(less << 52)))
    return added(as_expr(1.0), part) * power_of_two(first) * power_of_two(rest)


def expm1(x: Expr) -> Expr:
    """e to the x, minus 1: 2ⁿ ((1 - 2⁻ⁿ) + (e^r - 1)), the large parts added exactly. 1.25 ulp."""
    part = reduced(x)
    inverse = p.number(p.isub(p.word(1023 << 52), part.power))
    out = added(1 - inverse, part)
    usual = p.copysign(scaled(out, part.power), x)
    return p.rarely(beyond(x, LARGE), "expm1_extreme", x, usually=usual)


def expm1_extreme(x: Expr) -> Expr:
    """expm1 where exp(x) may overflow, and where nothing of it is left."""
    return p.rarely(p.exclusive(x < 0, True), "exp_extreme", x, usually=as_expr(-1.0))


# ---- sigmoid -------------------------------------------------------------------------------------


_FAINT = 670.0  # beyond it, the low part of exp(-|x|) is subnormal


def faint(x: Expr) -> Expr:
    """True where exp(-|x|) needs care, or x is a nan."""
    return beyond(x, _FAINT)


def decay(x: Expr) -> p.Sum:
    """exp(-|x|) for |x| ≤ 670, with some 55 bits."""
    part = reduced(p.negative(p.absolute(x)))
    factor = power_of_two(part.power)
    high, low = p.fast_two_sum(as_expr(1.0), fraction(part))
    return p.Sum(high * factor, low * factor)


def sigmoid(x: Expr) -> Expr:
    """1/(1 + exp(-|x|)), or exp(-|x|) times that. 0.88 ulp."""
    e = decay(x)
    below = x < 0
    over = p.Sum(p.where(below, e.high, 1.0), p.where(below, e.low, 0.0))
    one, rest = p.fast_two_sum(as_expr(1.0), e.high)
    return p.rarely(
        faint(x), "sigmoid_extreme", x, usually=p.quotient(over, p.Sum(one, rest + e.low))
    )


def sigmoid_extreme(x: Expr) -> Expr:
    """1, or exp(x), or a nan."""
    return p.rarely(p.exclusive(x > 0, True), "exp_extreme", x, usually=as_expr(1.0))
