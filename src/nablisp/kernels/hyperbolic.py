"""sinh, cosh and tanh from the even and odd part of exp's series, and their inverses.

With C = (2ⁿ + 2⁻ⁿ)/2 and S = (2ⁿ - 2⁻ⁿ)/2, sinh x = C sinh r + S cosh r and cosh x = C cosh r +
S sinh r: no division, and sinh, cosh and tanh of one argument share nearly all of it. The inverses
are k ln 2 + 2 atanh s for a quotient s, in which the square roots and the factor 2ᵏ are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..expr import Expr, as_expr
from . import primitives as p
from .exponential import LARGE, beyond, even_part, odd_part, reduced, two_steps
from .logarithm import ATANH, LN2, log_of, split

# (2 atanh(s)/s - 2)/s² in s² for |s| ≤ 0.2, 2^-61.7
_WIDE = (
    0.666666666666666,
    0.4000000000005664,
    0.2857142855584133,
    0.22222224294713724,
    0.1818166599173552,
    0.15391107917125912,
    0.13173669892248016,
    0.13842547744195458,
)


class Sum(NamedTuple):
    """A number as the sum of a large and a small one."""

    high: Expr
    low: Expr


def _mixed(x: Expr) -> tuple[Sum, Sum]:
    """The sinh and cosh of x for |x| ≤ 708."""
    part = reduced(x)
    r, half = part.r, p.word(1022 << 52)
    up, down = p.number(p.iadd(half, part.power)), p.number(p.isub(half, part.power))
    c, s = up + down, up - down
    odd = p.fma(r * r * r, odd_part(r), part.tail)
    even = r * r * even_part(r)

    def mixed(large: Expr, small: Expr, first: Expr, second: Expr) -> Sum:
        high = p.fma(small, part.exact, large)
        low = p.fma(small, part.exact, large - high)
        return Sum(high, p.fma(small, first, p.fma(large, second, low)))

    return mixed(s, c, odd, even), mixed(c, s, odd, even)


def sinh(x: Expr) -> Expr:
    """Hyperbolic sine."""
    high, low = _mixed(x)[0]
    return p.rarely(
        beyond(x, LARGE), "sinh_extreme", x, usually=p.copysign(high + low, x)
    )


def sinh_extreme(x: Expr) -> Expr:
    """exp(|x|)/2 with the sign of x."""
    return p.copysign(cosh_extreme(x), x)


def cosh(x: Expr) -> Expr:
    """Hyperbolic cosine."""
    high, low = _mixed(x)[1]
    return p.rarely(beyond(x, LARGE), "cosh_extreme", x, usually=high + low)


def cosh_extreme(x: Expr) -> Expr:
    """exp(|x|)/2."""
    size = p.absolute(x)
    return two_steps(p.where(size > 712, 712, size), 1)


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent: the quotient of sums, corrected by what it leaves."""
    sine, cosine = (p.fast_two_sum(*v) for v in _mixed(x))
    usual = p.copysign(quotient(*sine, *cosine), x)
    return p.rarely(beyond(x, LARGE), "tanh_extreme", x, usually=usual)


def tanh_extreme(x: Expr) -> Expr:
    """±1, or a nan."""
    return p.where(x > 0, 1.0, p.where(x < 0, -1.0, x))


def quotient(over: Expr, over_low: Expr, under: Expr, under_low: Expr) -> Expr:
    """The quotient of sums."""
    inverse = 1 / under
    out = over * inverse
    back = p.negative(out)
    return p.fma(p.fma(back, under, over) + p.fma(back, under_low, over_low), inverse, out)


# ---- the inverses --------------------------------------------------------------------------------


def _log_of_quotient(
    k: Expr, over: Sum, under: Sum, inverse: Expr, table: tuple[float, ...] = ATANH
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
    """Inverse hyperbolic sine: log w for w = |x| + √(x² + 1), or by tanh(½ asinh x) = x/(1 + √…)."""
    size = p.absolute(x)
    square = p.fma(size, size, 1)
    root = p.sqrt(square)
    w, w_low = p.fast_two_sum(root, size)
    k, _, power = split(w)
    two = p.number(power)
    near = p.equal(k, 0)
    over = p.where(near, size, w - two)
    first, second = p.where(near, 1.0, w), p.where(near, root, two)
    under, under_low = p.fast_two_sum(first, second)
    inverse = 1 / under
    rest = p.fma(p.negative(root), root, square) + p.fma(size, size, 1 - square)
    root_low = rest * (inverse * 1.2)
    low = p.where(near, root_low, root_low + w_low)
    over_low = p.where(near, 0.0, low)
    usual = _log_of_quotient(k, Sum(over, over_low), Sum(under, under_low + low), inverse)
    return p.rarely(
        beyond(x, 2.0**500), "asinh_extreme", x, usually=p.copysign(usual, x)
    )


def asinh_extreme(x: Expr) -> Expr:
    """log |2x| with the sign of x, or x itself where it is no number."""
    size = p.absolute(x)
    k, m, _ = split(size)
    return p.where(size < math.inf, p.copysign(log_of(k + 1, m - 1), x), x)


def acosh(x: Expr) -> Expr:
    """Inverse hyperbolic cosine: log w for w = x + √(x² - 1), or by tanh(½ acosh x) = √…/(1 + x)."""
    square = p.fma(x, x, -1)
    root = p.sqrt(square)
    w, w_low = p.fast_two_sum(x, root)
    k, _, power = split(w)
    two = p.number(power)
    near = p.equal(k, 0)
    over = Sum(p.where(near, root, w - two), p.where(near, 0.0, w_low))
    first, second = p.where(near, x, w), p.where(near, 1.0, two)
    under, under_low = p.fast_two_sum(first, second)
    usual = _log_of_quotient(k, over, Sum(under, under_low + over.low), 1 / under)
    inside = p.both(x >= 1, x <= 2.0**500)
    return p.rarely(p.exclusive(inside, True), "acosh_extreme", x, usually=usual)


def acosh_extreme(x: Expr) -> Expr:
    """log 2x, or nan below 1, or inf or a nan itself."""
    k, m, _ = split(x)
    return p.where(x < 1, math.nan, p.where(x < math.inf, log_of(k + 1, m - 1), x))


def atanh(x: Expr) -> Expr:
    """Inverse hyperbolic tangent: ½ log w for w = (1 + |x|)/(1 - |x|), which need not be computed.

    2ᵏ is near w, by the logarithms of 1 ± |x| that are linear between powers of two.
    """
    size = p.absolute(x)
    step = p.isub(p.bits(1 + size), p.bits(1 - size))
    moved = p.iadd(step, p.word((1023 << 52) + (1 << 51)))
    power = p.iand(moved, p.word(~((1 << 52) - 1)))
    k = p.number(p.ior(p.lshr(moved, p.word(52)), p.word(0x433 << 52))) - (2.0**52 + 1023)
    two = p.number(power)
    more, less = 1 + two, 1 - two
    over, under = p.fma(size, more, less), p.fma(size, less, more)
    over_low = p.fma(size, more, less - over)
    under_low = p.fma(size, less, more - under)
    out = _log_of_quotient(k, Sum(over, over_low), Sum(under, under_low), 1 / under, _WIDE)
    usual = p.copysign(out * 0.5, x)
    inside = p.absolute(x) < 1
    return p.rarely(p.exclusive(inside, True), "atanh_extreme", x, usually=usual)


def atanh_extreme(x: Expr) -> Expr:
    """±inf at ±1, else nan."""
    return p.where(p.equal(p.absolute(x), 1), x * math.inf, math.nan)
