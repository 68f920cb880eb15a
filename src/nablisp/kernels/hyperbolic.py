"""sinh, cosh and tanh from the even and odd part of exp's series, and their inverses.

With C = (2ⁿ + 2⁻ⁿ)/2 and S = (2ⁿ - 2⁻ⁿ)/2, sinh x = C sinh r + S cosh r and cosh x = C cosh r +
S sinh r: no division, and sinh, cosh and tanh of one argument share nearly all of it. The inverses
are k ln 2 + 2 atanh s for a quotient s, in which the square roots and the factor 2ᵏ are.
"""

from __future__ import annotations

import math

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import LARGE, beyond, even_part, odd_part, reduced, two_steps
from .logarithm import ATANH, EXPONENT, LN2, exponent, log_of, split

# (2 atanh(s)/s - 2)/s² in s² for |s| ≤ 0.2003, 2^-61.6
_WIDE = (
    0.666666666666666,
    0.40000000000056807,
    0.28571428555781686,
    0.22222224302710372,
    0.18181665465473254,
    0.15391126146474124,
    0.13173350953254298,
    0.1384476952061137,
)


def _mixed(x: Expr) -> tuple[p.Sum, p.Sum]:
    """The sinh and cosh of |x| for |x| ≤ 708."""
    part = reduced(p.absolute(x))
    r, half = part.r, p.word(1022 << 52)
    up, down = p.number(p.iadd(half, part.power)), p.number(p.isub(half, part.power))
    odd = p.fma(r * r * r, odd_part(r), part.tail)
    even = r * r * even_part(r)
    c, s = p.fast_two_sum(up, down), p.fast_two_sum(up, p.negative(down))

    def mixed(large: p.Sum, small: Expr) -> p.Sum:
        high = p.fma(small, part.exact, large.high)
        low = p.fma(small, part.exact, large.high - high) + large.low
        return p.Sum(high, p.fma(small, odd, p.fma(large.high, even, low)))

    return mixed(s, c.high), mixed(c, s.high)


def sinh(x: Expr) -> Expr:
    """Hyperbolic sine. 0.79 ulp."""
    high, low = _mixed(x)[0]
    return p.rarely(beyond(x, LARGE), "sinh_extreme", x, usually=p.copysign(high + low, x))


def sinh_extreme(x: Expr) -> Expr:
    """exp(|x|)/2 with the sign of x."""
    return p.copysign(cosh_extreme(x), x)


def cosh(x: Expr) -> Expr:
    """Hyperbolic cosine. 0.80 ulp."""
    high, low = _mixed(x)[1]
    return p.rarely(beyond(x, LARGE), "cosh_extreme", x, usually=high + low)


def cosh_extreme(x: Expr) -> Expr:
    """exp(|x|)/2."""
    size = p.absolute(x)
    size = p.where(size > 712, 712, size)
    return two_steps(reduced(size), size, 1)


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent: the quotient of the two as sums. 1.00 ulp."""
    sine, cosine = (p.fast_two_sum(*v) for v in _mixed(x))
    usual = p.copysign(p.quotient(sine, cosine), x)
    return p.rarely(beyond(x, LARGE), "tanh_extreme", x, usually=usual)


def tanh_extreme(x: Expr) -> Expr:
    """±1, or a nan."""
    return p.where(x > 0, 1.0, p.where(x < 0, -1.0, x))


# ---- the inverses --------------------------------------------------------------------------------


def _log_of_quotient(
    k: Expr, over: p.Sum, under: p.Sum, inverse: Expr, table: tuple[float, ...] = ATANH
) -> Expr:
    """k ln 2 + 2 atanh(over/under)."""
    s = over.high * inverse
    back = p.negative(s)
    rest = p.fma(back, under.high, over.high) + p.fma(back, under.low, over.low)
    z = s * s
    high, low = p.fast_two_sum(k * LN2[0], s + s)
    tail = p.fma(k, LN2[1], p.fma(rest, inverse + inverse, low))
    return high + p.fma(s * z, p.two_chains(z, table), tail)


def asinh(x: Expr) -> Expr:
    """Inverse hyperbolic sine. 0.95 ulp.

    It is log w for w = |x| + √(x² + 1); its half has the tanh (w - 1)/(w + 1) = x/(1 + √(x² + 1)).
    """
    size = p.absolute(x)
    square = p.fma(size, size, 1)
    root = p.sqrt(square)
    w, w_low = p.fast_two_sum(root, size)
    k, _, power = split(w)
    two = p.number(power)
    near = p.equal(k, 0)
    under, under_low = p.fast_two_sum(p.where(near, root, w), p.where(near, 1.0, two))
    rest = p.fma(p.negative(root), root, square) + p.fma(size, size, 1 - square)
    inverse = 1 / under
    root_low = rest * (inverse * p.where(near, 1.0, 1.6))  # 0.5/root, within a third
    low = p.where(near, 0.0, root_low + w_low)
    over = p.Sum(p.where(near, size, w - two), low)
    under_low = under_low + p.where(near, root_low, low)
    usual = _log_of_quotient(k, over, p.Sum(under, under_low), inverse)
    return p.rarely(beyond(x, 2.0**500), "asinh_extreme", x, usually=p.copysign(usual, x))


def asinh_extreme(x: Expr) -> Expr:
    """log |2x| with the sign of x, or x itself where it is no number."""
    size = p.absolute(x)
    k, m, _ = split(size)
    return p.where(size < math.inf, p.copysign(log_of(k + 1, m - 1), x), x)


def acosh(x: Expr) -> Expr:
    """Inverse hyperbolic cosine. 1.13 ulp.

    It is log w for w = x + √(x² - 1); its half has the tanh (w - 1)/(w + 1) = √(x² - 1)/(1 + x).
    """
    square = p.fma(x, x, -1)
    root = p.sqrt(square)
    w, w_low = p.fast_two_sum(x, root)
    k, _, power = split(w)
    two = p.number(power)
    near = p.equal(k, 0)
    under, under_low = p.fast_two_sum(p.where(near, x, w), p.where(near, 1.0, two))
    both = 1 / (root * under)  # for two divisions, one
    inverse = both * root
    root_low = p.fma(p.negative(root), root, square) * (both * (under * 0.5))
    low = p.where(near, root_low, root_low + w_low)
    over = p.Sum(p.where(near, root, w - two), low)
    under_low = under_low + p.where(near, 0.0, low)
    usual = _log_of_quotient(k, over, p.Sum(under, under_low), inverse)
    inside = p.both(x > 1, x <= 2.0**500)
    return p.rarely(p.exclusive(inside, True), "acosh_extreme", x, usually=usual)


def acosh_extreme(x: Expr) -> Expr:
    """log 2x, or 0 at 1, nan below, or inf or a nan itself."""
    k, m, _ = split(x)
    out = p.where(x < math.inf, log_of(k + 1, m - 1), x)
    return p.where(x <= 1, p.where(x < 1, math.nan, 0.0), out)


def atanh(x: Expr) -> Expr:
    """Inverse hyperbolic tangent. 0.61 ulp.

    It is ½ log w for w = (1 + |x|)/(1 - |x|), which need not be computed: 2ᵏ is near it by
    logarithms of 1 ± |x| that are linear between powers of two, as their bits are.
    """
    size = p.absolute(x)
    first, first_low = p.fast_two_sum(as_expr(1.0), size)
    second, second_low = p.fast_two_sum(as_expr(1.0), p.negative(size))
    step = p.isub(p.bits(first), p.bits(second))
    moved = p.iadd(step, p.word((1023 << 52) + (1 << 51)))
    k = exponent(moved)
    two = p.number(p.iand(moved, p.word(EXPONENT)))
    second, second_low = second * two, second_low * two
    under, under_low = p.fast_two_sum(first, second)
    over = p.Sum(first - second, first_low - second_low)  # exact
    under_low = under_low + (first_low + second_low)
    out = _log_of_quotient(k, over, p.Sum(under, under_low), 1 / under, _WIDE)
    usual = p.copysign(out * 0.5, x)
    inside = p.absolute(x) < 1
    return p.rarely(p.exclusive(inside, True), "atanh_extreme", x, usually=usual)


def atanh_extreme(x: Expr) -> Expr:
    """±inf at ±1, else nan."""
    return p.where(p.equal(p.absolute(x), 1), x * math.inf, math.nan)
