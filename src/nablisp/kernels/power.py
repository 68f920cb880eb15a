"""Powers and roots: pow by a logarithm of some 64 bits, cbrt and hypot."""

from __future__ import annotations

import math

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import LARGE, Reduced, added, reduced, scaled, two_steps
from .logarithm import LN2, TINY, split

# ---- pow -----------------------------------------------------------------------------------------

# (atanh(s)/s - 1 - s²/3)/s⁴ in s² for |s| ≤ (√2 - 1)/(√2 + 1), 2^-66.3
_PRECISE = (
    0.20000000000001128,
    0.14285714285049825,
    0.11111111259951174,
    0.09090892184742287,
    0.07693378599460499,
    0.0662841066349799,
    0.06598145613525758,
)
_THIRD = 0.3333333333333333, 1.850371707708594e-17


def precise_log(x: Expr, down: float = 0.0) -> tuple[Expr, Expr]:
    """log(x 2^-down) as a sum, for a normal x above 0; its relative error is below 2^-64.

    2 atanh s for s = (m - 1)/(m + 1) is 2s (1 + s²/3 + s⁴ Q(s²)): all but Q in sums of two numbers.
    """
    k, m, _ = split(x)
    over = m - 1
    under, under_low = p.fast_two_sum(as_expr(1.0), m)
    inverse = 1 / under
    s = over * inverse
    back = p.negative(s)
    s_low = p.fma(back, under_low, p.fma(back, under, over)) * inverse
    t, t_low = s + s, s_low + s_low
    z = s * s
    z_low = p.fma(t, s_low, p.fma(s, s, p.negative(z)))
    rest = z * p.fma(z, p.two_chains(z, _PRECISE[1:]), _PRECISE[0])
    third, third_low = p.fast_two_sum(as_expr(_THIRD[0]), rest)
    more, more_low = p.two_product(z, third)
    more_low = p.fma(z, third_low + _THIRD[1], p.fma(z_low, third + rest, more_low))
    curve, curve_low = p.two_product(t, more)
    curve_low = p.fma(t, more_low, p.fma(t_low, more, curve_low))
    high, low = p.fast_two_sum(t, curve)
    low = low + (curve_low + t_low)
    k = k - down
    first, lost = p.fast_two_sum(k * LN2[0], high)
    return p.fast_two_sum(first, p.fma(k, LN2[1], lost + low))


def _times(y: Expr, log: tuple[Expr, Expr]) -> tuple[Expr, Expr]:
    """y log x as a sum."""
    high, low = log
    out = y * high
    return out, p.fma(y, low, p.fma(y, high, p.negative(out)))


def _reduced(exponent: Expr, low: Expr) -> Reduced:
    """A sum reduced as exp reduces a number."""
    part = reduced(exponent)
    tail = part.tail + low
    return Reduced(part.power, part.exact + tail, part.exact, tail)


def power(x: Expr, y: Expr) -> Expr:
    """x to the y, never complex: exp(y log x) with the exponent in two parts. 0.75 ulp."""
    exponent, low = _times(y, precise_log(x))
    part = _reduced(exponent, low)
    usual = scaled(added(as_expr(1.0), part), part.power)
    inside = p.both(p.both(x >= TINY, x < math.inf), p.absolute(exponent) <= LARGE)
    return p.rarely(p.exclusive(inside, True), "pow_extreme", x, y, usually=usual)


def power_extreme(x: Expr, y: Expr) -> Expr:
    """The same for any numbers, by the rules of C."""
    size = p.absolute(x)
    exponent, low = _times(y, precise_log_of_any(size))
    clipped = p.where(exponent > 750.0, 750.0, p.where(exponent < -800.0, -800.0, exponent))
    low = p.where(p.equal(clipped, exponent), low, 0.0)
    out = two_steps(_reduced(clipped, low), clipped, 0)
    limit = p.where(p.exclusive(size > 1, y > 0), 0.0, math.inf)
    edge = p.either(p.equal(size, 0), p.equal(size, math.inf))
    vast = p.equal(p.absolute(y), math.inf)
    out = p.where(p.either(edge, vast), limit, out)
    whole = p.equal(p.floor(y), y)
    odd = p.both(whole, p.unequal(p.floor(y * 0.5) * 2, y))
    out = p.where(p.both(odd, p.copysign(as_expr(1.0), x) < 0), p.negative(out), out)
    complex_ = p.both(p.both(x < 0, size < math.inf), p.exclusive(whole, True))
    out = p.where(complex_, math.nan, out)
    out = p.where(p.unequal(x, x), x, p.where(p.unequal(y, y), y, out))
    one = p.either(p.equal(y, 0), p.equal(x, 1))
    one = p.either(one, p.both(p.equal(size, 1), vast))
    return p.where(one, 1.0, out)


def precise_log_of_any(size: Expr) -> tuple[Expr, Expr]:
    """The same for a subnormal number, too."""
    high, low = precise_log(size)
    small, small_low = precise_log(size * 2.0**54, 54)
    subnormal = size < TINY
    return p.where(subnormal, small, high), p.where(subnormal, small_low, low)


# ---- roots ---------------------------------------------------------------------------------------

# ((1 - r)^(-1/3) - 1)/r for |r| ≤ 0.1024, 2^-32.0
_ROOT = (
    0.3333333459049471,
    0.22222222673778405,
    0.17282970240215384,
    0.14402864431052262,
    0.12669214665351475,
    0.11228895396755434,
)
_GUESS = 5858042474974.0
"""Bits 20 to 63 of 1, times 4/3, less 0.0682: the error of the guess lies evenly around 0."""
_SMALL = 2.0**-960  # below it, what a root leaves would be subnormal


def cbrt(x: Expr) -> Expr:
    """Cube root: a guess at |x|^(-1/3) by dividing bits by 3, a polynomial, Newton. 0.51 ulp."""
    size = p.absolute(x)
    usual = _cube_root(size)
    inside = p.both(size >= _SMALL, size < math.inf)
    return p.rarely(p.exclusive(inside, True), "cbrt_extreme", x, usually=p.copysign(usual, x))


def cbrt_extreme(x: Expr) -> Expr:
    """The cube root of a small number; ±0, ±inf and a nan are their own."""
    size = p.absolute(x)
    out = p.copysign(_cube_root(size * 2.0**300) * 2.0**-100, x)
    return p.where(p.both(size > 0, size < math.inf), out, x)


def _cube_root(x: Expr) -> Expr:
    """The root of a normal number above 0: with r = 1 - x t³, x^(-1/3) is t (1 - r)^(-1/3)."""
    high = p.number(p.ior(p.lshr(p.bits(x), p.word(20)), p.word(0x433 << 52)))
    guess = p.fma(high, -1 / 3, 2.0**52 * (4 / 3) + (_GUESS + 2.0**51))
    t = p.number(p.shl(p.bits(guess), p.word(20)))
    r = p.fma(p.negative(x * t), t * t, 1)
    t = p.fma(t * r, p.two_chains(r, _ROOT), t)
    square = t * t
    out = x * square
    two, low = p.two_product(out, out)
    rest = p.fma(p.negative(out), low, p.fma(p.negative(out), two, x))
    return p.fma(rest, square * (1 / 3), out)


def hypot(x: Expr, y: Expr) -> Expr:
    """√(x² + y²), the larger square unrounded. 0.93 ulp."""
    square = _squares(x, y)
    inside = p.both(square > 2.0**-960, square < 2.0**1020)
    usual = p.sqrt(square)
    return p.rarely(p.exclusive(inside, True), "hypot_extreme", x, y, usually=usual)


def _squares(x: Expr, y: Expr) -> Expr:
    x, y = p.absolute(x), p.absolute(y)
    less = x < y
    large, small = p.where(less, y, x), p.where(less, x, y)
    return p.fma(large, large, small * small)


def hypot_extreme(x: Expr, y: Expr) -> Expr:
    """The same by way of numbers of middle size; inf even beside a nan."""
    large = p.either(p.absolute(x) > 1, p.absolute(y) > 1)
    down, up = p.where(large, 2.0**-600, 2.0**600), p.where(large, 2.0**600, 2.0**-600)
    out = p.sqrt(_squares(x * down, y * down)) * up
    infinite = p.either(p.equal(p.absolute(x), math.inf), p.equal(p.absolute(y), math.inf))
    return p.where(infinite, math.inf, out)
