"""sin, cos, tan and sinc, and the inverses asin, acos, atan and atan2.

The first three begin with the same reduction, x = n π/2 + r with |r| ≤ π/4, where r is a sum of two
numbers with full relative accuracy, however near x is to a multiple of π/2; whichever are used
together share it, and sin and cos nearly all. The inverses end with the same sum of a multiple
of π/4 and a small angle.
"""

from __future__ import annotations

from math import ldexp
from typing import Any, NamedTuple

import numpy as np

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import beyond

_MAGIC = 6755399441055744.0  # 1.5 2⁵²: what is added to it is rounded, and in its lowest bits
_INF = float("inf")
_TWO_OVER_PI = 0.6366197723675814
_HALF_PI = (1.5707963267948966, 6.12323399538461e-17, 3.5215598651832e-27)  # 53, 33, 53 bits
_HALF_PI_LOW = 6.123233995736766e-17

# (x - sin x)/x³ in x² for |x| ≤ π/4, 2^-57.9 of the sine
_SIN = (
    0.1666666666666663,
    -0.008333333333321842,
    0.00019841269829361108,
    -2.7557313539839133e-06,
    2.505073467220679e-08,
    -1.589545473218571e-10,
)

# (cos x - 1)/x² in x² for |x| ≤ π/4, 2^-63.9 of the cosine
_COS = (
    -0.5,
    0.041666666666666595,
    -0.0013888888888873342,
    2.4801587289002062e-05,
    -2.755731421702621e-07,
    2.0875705393070915e-09,
    -1.1358749019606988e-11,
)

# tan x = (x - x³ over)/(1 + x² under) in x² for |x| ≤ π/4, 2^-55.2
_TAN_OVER = (
    0.12828234919056405,
    -0.0028057933302216456,
    7.4824259786412875e-06,
)
_TAN_UNDER = (
    -0.46161568252389523,
    0.02334435417145855,
    -0.00020843011427747334,
)

# ---- reduction -----------------------------------------------------------------------------------


class Reduced(NamedTuple):
    """x = n π/2 + high - low."""

    quadrant: p.Bits
    """n in its lowest bits"""
    high: Expr
    low: Expr
    """negative, so that no sum makes 0 of -0"""
    square: Expr
    """of high - low, rounded"""


def _reduced(quadrant: p.Bits, high: Expr, low: Expr) -> Reduced:
    return Reduced(quadrant, high, low, p.fma(high, high, p.negative((high + high) * low)))


LARGE = 2.0**20


def reduced(x: Expr) -> Reduced:
    """For |x| ≤ 2²⁰ by Cody and Waite: all is exact but the product with the last part of π/2.

    x less n times the first is a multiple of 2⁻⁵³ at most 1, and n times the second has 53 bits.
    """
    magic = p.fma(x, _TWO_OVER_PI, _MAGIC)
    n = magic - _MAGIC
    first = p.fma(n, -_HALF_PI[0], x)
    high = p.fma(n, -_HALF_PI[1], first)
    low = p.fma(n, _HALF_PI[2], p.fma(n, _HALF_PI[1], high - first))
    return _reduced(p.bits(magic), high, low)


def huge(x: Expr) -> Reduced:
    """For 2²⁰ ≤ |x| < inf by Payne and Hanek; any numbers for other x.

    With x = f 2ᵉ, the table has 2ᵉ 2/π less a multiple of 2⁵⁴ in four parts; f is a multiple of
    2⁻⁵², so that multiples of 4 are lost. Products with the first three are exact.
    """
    exponent = p.iand(p.lshr(p.bits(x), p.word(52)), p.word(0x7FF))
    row = p.isub(exponent, p.word(1023 + _FIRST))
    row = p.where(p.ilt(row, p.word(0)), p.word(0), row)
    row = p.where(p.ilt(row, p.word(_ROWS)), row, p.word(0))
    at = p.shl(row, p.word(2))
    fraction = p.iand(p.bits(x), p.word(0x800F_FFFF_FFFF_FFFF))
    f = p.number(p.ior(fraction, p.word(1023 << 52)))
    a, b, c, d = (p.lookup("two_over_pi", p.iadd(at, p.word(i))) for i in range(4))
    (a, a_low), (b, b_low), (c, c_low) = (p.two_product(f, part) for part in (a, b, c))
    turns = _less(a, 4.0) + _less(a_low, 4.0)
    whole, first = p.rint(turns), _less(turns, 1.0)
    first, rest = p.two_sum(first, b)
    more, first = p.rint(first), _less(first, 1.0)
    second, rest2 = p.two_sum(rest, b_low)
    second, rest3 = p.two_sum(second, c)
    high, low = p.two_sum(first, second)
    high, low = p.fast_two_sum(high, low + (rest2 + rest3 + c_low + f * d))
    angle, angle_low = p.two_product(high, as_expr(_HALF_PI[0]))
    angle_low = p.fma(low, _HALF_PI[0], p.fma(high, _HALF_PI_LOW, angle_low))
    angle, angle_low = p.fast_two_sum(angle, angle_low)
    return _reduced(p.bits(whole + more + _MAGIC), angle, p.negative(angle_low))


def _less(x: Expr, unit: float) -> Expr:
    """What is left of x without the nearest multiple of the unit, a power of two; exact."""
    return p.fma(p.rint(x * (1 / unit)), -unit, x)


_FIRST = 20
_ROWS = 1024 - _FIRST


def two_over_pi() -> np.ndarray[Any, Any]:
    """2ᵉ 2/π modulo 2⁵⁴ for e from 20 to 1023, in four parts each.

    The first three are multiples of 2, 2⁻⁵² and 2⁻¹⁰⁵. π is Machin's, 16 atan(1/5) - 4 atan(1/239).
    """
    places = 1280
    one = 1 << places + 64

    def atan_inverse(k: int) -> int:
        total, power, i = 0, one // k, 1
        while power:
            total += power // i if i % 4 == 1 else -(power // i)
            power, i = power // (k * k), i + 2
        return total

    pi = 16 * atan_inverse(5) - 4 * atan_inverse(239)
    digits = (one << places + 1) // pi
    rows = []
    for e in range(_FIRST, 1024):
        rest = (digits << e) & ((1 << places + 54) - 1)
        parts = []
        for place in (1, -52, -105):
            cut = rest >> places + place
            rest -= cut << places + place
            parts.append(ldexp(cut, place))
        rows.append([*parts, ldexp(rest >> places - 200, -200)])
    return np.array(rows)


# ---- sin, cos, tan -------------------------------------------------------------------------------


def _sine(part: Reduced) -> Expr:
    """sin r."""
    z = part.square
    return part.high - p.fma(part.high * z, p.two_chains(z, _SIN), part.low)


def _cosine(part: Reduced) -> Expr:
    """cos r; the low part of r is in the square."""
    z = part.square
    return p.fma(z, p.fma(z, p.two_chains(z, _COS[1:]), _COS[0]), 1.0)


def _even(quadrant: p.Bits) -> Expr:
    return p.ieq(p.iand(quadrant, p.word(1)), p.word(0))


def _signed(x: Expr, quadrant: p.Bits) -> Expr:
    """x with its sign changed in quadrants 2 and 3."""
    return p.number(p.ixor(p.bits(x), p.shl(p.lshr(quadrant, p.word(1)), p.word(63))))


def _sin(part: Reduced) -> Expr:
    usual = p.where(_even(part.quadrant), _sine(part), _cosine(part))
    return _signed(usual, part.quadrant)


def _cos(part: Reduced) -> Expr:
    usual = p.where(_even(part.quadrant), _cosine(part), _sine(part))
    return _signed(usual, p.iadd(part.quadrant, p.word(1)))


def _tan(part: Reduced) -> Expr:
    """A quotient, inverted in odd quadrants; over and under carry what they round."""
    z, even = part.square, _even(part.quadrant)
    cubic = p.fma(part.high * z, p.horner(z, _TAN_OVER), part.low)
    sine = part.high - cubic
    sine_low = (part.high - sine) - cubic
    curve = p.horner(z, _TAN_UNDER)
    cosine = p.fma(z, curve, 1.0)
    cosine_low = p.fma(z, curve, 1.0 - cosine)
    over, over_low = p.where(even, sine, cosine), p.where(even, sine_low, cosine_low)
    under, under_low = p.where(even, cosine, sine), p.where(even, cosine_low, sine_low)
    inverse = 1.0 / under
    out = over * inverse
    excess = p.fma(out, under_low, p.fma(out, under, p.negative(over)) - over_low)
    out = p.fma(p.negative(excess), inverse, out)
    return p.number(p.ixor(p.bits(out), p.shl(part.quadrant, p.word(63))))


def _if_finite(x: Expr, value: Expr) -> Expr:
    return p.where(p.absolute(x) < _INF, value, x - x)


def sin(x: Expr) -> Expr:
    """Sine: polynomials of degree 13 and 14 for sine and cosine, by quadrant. 0.85 ulp."""
    return p.rarely(beyond(x, LARGE), "sin_huge", x, 0.0, usually=_sin(reduced(x)))


def cos(x: Expr) -> Expr:
    """Cosine, of what makes the sine. 0.87 ulp."""
    return p.rarely(beyond(x, LARGE), "sin_huge", x, 1.0, usually=_cos(reduced(x)))


def tan(x: Expr) -> Expr:
    """Tangent: x N(x²)/D(x²) of degree 7 and 6, one division in every quadrant. 1.2 ulp."""
    return p.rarely(beyond(x, LARGE), "tan_huge", x, usually=_tan(reduced(x)))


def sin_huge(x: Expr, quadrants: Expr) -> Expr:
    """sin from 2²⁰ on, or cos, which is a quadrant ahead."""
    part = huge(x)
    ahead = p.bits(quadrants + _MAGIC)
    return _if_finite(x, _sin(part._replace(quadrant=p.iadd(part.quadrant, ahead))))


def tan_huge(x: Expr) -> Expr:
    """tan from 2²⁰ on."""
    return _if_finite(x, _tan(huge(x)))


# ---- sinc ----------------------------------------------------------------------------------------

# (sin(πx)/(πx) - 1)/x² in x² for |x| ≤ 1/2, 2^-61.3 of the quotient
_SINC = (
    -1.6449340668482264,
    0.8117424252833462,
    -0.19075182412167532,
    0.026147847807942517,
    -0.0023460809132869165,
    0.0001484279165441616,
    -6.972267201010454e-06,
    2.451831471236611e-07,
)


def sinc(x: Expr) -> Expr:
    """sin(πx)/(πx), 1 at 0 and 0 at other integers. 1.9 ulp.

    With |x| = n + r it is (-1)ⁿ r sinc(r)/|x|, where r is exact; sinc r is of degree 16.
    """
    size = p.absolute(x)
    n = p.rint(size)
    r = size - n
    z = r * r
    odd = p.fma(p.rint(size * 0.5), -2.0, n)  # 0 or ±1
    r = r * p.fma(odd * odd, -2.0, 1.0)
    curve = p.fma(z, p.two_chains(z, _SINC[1:]), _SINC[0])
    return p.where(size <= 0.5, p.fma(z, curve, 1.0), p.fma(r * z, curve, r) / size)


# ---- asin, acos ----------------------------------------------------------------------------------

# (asin x - x)/x³ in x² for |x| ≤ 1/2, 2^-55.9 of the inverse sine
_ASIN = (
    0.16666666666665408,
    0.07500000000337155,
    0.044642856828218905,
    0.030381959141066117,
    0.022371757961521584,
    0.017359705979943678,
    0.013885224516275201,
    0.012169277435035514,
    0.006527713663610201,
    0.019528926384966828,
    -0.0162252149875012,
    0.031912883712491666,
)


class _Root(NamedTuple):
    """asin s = s + s curve, where s is |x|, or the sine of half the angle from 1."""

    outer: Expr
    """true where |x| > 1/2"""
    s: Expr
    curve: Expr


def _root(x: Expr) -> _Root:
    size = p.absolute(x)
    outer = size > 0.5
    z = p.where(outer, p.fma(size, -0.5, 0.5), x * x)
    s = p.where(outer, p.sqrt(z), size)
    return _Root(outer, s, z * p.two_chains(z, _ASIN))


def _turned(high: Expr, low: Expr, s: Expr, curve: Expr) -> Expr:
    """high + low - s - s curve for |high| ≥ |s|, or 0 for high."""
    out = high - s
    return out + (((high - out) - s) + p.fma(p.negative(s), curve, low))


def asin(x: Expr) -> Expr:
    """Inverse sine, nan beyond 1: of degree 25 to ½, then π/2 less twice that of a root. 1.3 ulp.

    asin x = π/2 - 2 asin sqrt((1 - x)/2), as in FreeBSD's e_asin.c.
    """
    outer, s, curve = _root(x)
    s = p.where(outer, s + s, p.negative(s))
    high, low = (p.where(outer, part, 0.0) for part in (_HALF_PI[0], _HALF_PI_LOW))
    return p.copysign(_turned(high, low, s, curve), x)


def acos(x: Expr) -> Expr:
    """Inverse cosine: π/2 less asin x, or twice asin sqrt((1 - |x|)/2) from 0 or π. 1.3 ulp."""
    outer, s, curve = _root(x)
    below = x < 0.0
    s = p.where(outer, s + s, s)
    s = p.where(p.exclusive(outer, below), p.negative(s), s)
    high = p.where(outer, p.where(below, 2 * _HALF_PI[0], 0.0), _HALF_PI[0])
    return _turned(high, high * (_HALF_PI_LOW / _HALF_PI[0]), s, curve)


# ---- atan, atan2 ---------------------------------------------------------------------------------

# (atan x - x)/x³ in x² for |x| ≤ 1/2, 2^-57.8 of the inverse tangent
_ATAN = (
    -0.3333333333333298,
    0.19999999999903104,
    -0.14285714276385536,
    0.11111110659630274,
    -0.0909089624474948,
    0.07692073914575906,
    -0.06663810650636073,
    0.058582992056268234,
    -0.05122007271914821,
    0.0418650885406899,
    -0.027435026857302227,
    0.010116903895093137,
)


_LOW = _HALF_PI_LOW / _HALF_PI[0]


def _angle(less: Expr, more: Expr, near: Expr, base: Expr, down: Expr) -> Expr:
    """base + atan(less/more) or, where down, base - atan(less/more), for 0 ≤ less ≤ more.

    Where near, for a quotient of ½ or more, the angle is π/4 less that with the tangent
    (more - less)/(more + less), and the base has the π/4 already. That difference is exact; the
    quotient is corrected by what it and the sum have rounded. The base is rounded; 3π/4 and its
    kin have the same share of themselves below it as π/2.
    """
    over = less - p.where(near, more, 0.0)
    added = p.where(near, less, 0.0)
    under = more + added
    under_low = added - (under - more)
    inverse = 1.0 / under
    t = over * inverse
    minus = p.negative(t)
    rest = p.fma(minus, under_low, p.fma(minus, under, over))
    inverse, t = (p.where(down, p.negative(part), part) for part in (inverse, t))
    z = t * t
    out = base + t
    low = p.fma(rest, inverse, base * _LOW) + ((base - out) + t)
    return out + p.fma(z * t, p.two_chains(z, _ATAN), low)


def _is_near(less: Expr, more: Expr) -> Expr:
    return less + less > more


def atan(x: Expr) -> Expr:
    """Inverse tangent: of degree 25 to ½; of 1/x above 1, taken from π/2. 0.74 ulp."""
    size = p.absolute(x)
    size = p.where(size > 2.0**100, 2.0**100, size)
    down = size > 1.0
    less, more = p.where(down, 1.0, size), p.where(size < 1.0, 1.0, size)
    near = _is_near(less, more)
    base = p.where(near, _HALF_PI[0] / 2, p.where(down, _HALF_PI[0], 0.0))
    return p.copysign(_angle(less, more, near, base, down), x)


def _direction(y: Expr, x: Expr, left: Expr) -> Expr:
    """The angle of (x, y) for y ≥ 0, from the sizes of both; left is true for negative x."""
    steep = y > x
    less, more = p.where(steep, x, y), p.where(steep, y, x)
    near = _is_near(less, more)
    half, quarter = _HALF_PI[0], _HALF_PI[0] / 2
    axis = p.where(steep, half, p.where(left, 2 * half, 0.0))
    base = p.where(near, p.where(left, 3 * quarter, quarter), axis)
    return _angle(less, more, near, base, p.exclusive(steep, left))


_SAFE = 2.0**900


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y), as atan; one division. 0.94 ulp, 1.4 where subnormal."""
    up, along = p.absolute(y), p.absolute(x)
    above = p.where(up > along, up, along) >= 1 / _SAFE
    usual = p.both(above, up <= _SAFE, along <= _SAFE)
    out = p.copysign(_direction(up, along, x < 0.0), y)
    return p.rarely(p.exclusive(usual, True), "atan2_extreme", y, x, usually=out)


def atan2_extreme(y: Expr, x: Expr) -> Expr:
    """atan2 of very large or small arguments, which are scaled, of zeros, infinities and nans."""
    up, along = p.absolute(y), p.absolute(x)
    size = p.where(up > along, up, along)
    scale = p.where(size > 1.0, 2.0**-200, 2.0**200)
    up = p.where(p.equal(size, _INF), p.where(p.equal(up, _INF), 1.0, 0.0), up * scale)
    along = p.where(p.equal(size, _INF), p.where(p.equal(along, _INF), 1.0, 0.0), along * scale)
    along = p.where(p.equal(size, 0.0), 1.0, along)
    out = p.copysign(_direction(up, along, p.copysign(1.0, x) < 0.0), y)
    nan = p.either(p.unequal(x, x), p.unequal(y, y))
    return p.where(nan, x + y, out)
