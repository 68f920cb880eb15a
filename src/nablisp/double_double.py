"""Arithmetic with twice the digits: pairs of arrays (high, low) whose sum is a number of 106 bits.

The sums and products are error-free transformations (Dekker 1971, Knuth TAOCP 2, 4.2.2), combined
as in Hida, Li and Bailey's QD library (2001). exp, sine and cosine come from tables and short
series; logarithms and the inverse functions by one Newton step from the nearest double. Where a
high part is not finite the low part is 0. Relative errors are some 1e-31, absolute ones beside
a zero of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

Array = Any  # a float64 array, or a float


class Pair(NamedTuple):
    """The unevaluated sum of a double and a correction below half its last place."""

    high: Array
    low: Array


_SPLIT = 134217729.0  # 2^27 + 1


def pair(value: Array) -> Pair:
    """A double, exactly."""
    return Pair(np.asarray(value, dtype=np.float64), 0.0)


def two_sum(a: Array, b: Array) -> Pair:
    """a + b and its rounding error, exactly."""
    s = a + b
    t = s - a
    return Pair(s, (a - (s - t)) + (b - t))


def _quick(a: Array, b: Array) -> Pair:
    """The same where |a| >= |b|; a sum that is not finite has no error."""
    s = a + b
    low = b - (s - a)
    return Pair(s, np.where(np.isfinite(s), low, 0.0))


def two_product(a: Array, b: Array) -> Pair:
    """a b and its rounding error, exactly, while neither is beyond 1e300."""
    p = a * b
    t = _SPLIT * a
    ah = t - (t - a)
    al = a - ah
    t = _SPLIT * b
    bh = t - (t - b)
    bl = b - bh
    return Pair(p, al * bl - (((p - ah * bh) - al * bh) - ah * bl))


def add(a: Pair, b: Pair) -> Pair:
    """a + b."""
    s, e = two_sum(a.high, b.high)
    e = np.where(np.isfinite(s), e, 0.0)
    t, f = two_sum(a.low, b.low)
    s, e = _quick(s, e + t)
    return _quick(s, e + f)


def negative(a: Pair) -> Pair:
    """-a."""
    return Pair(-a.high, -a.low)


def subtract(a: Pair, b: Pair) -> Pair:
    """a - b."""
    return add(a, negative(b))


def multiply(a: Pair, b: Pair) -> Pair:
    """a b."""
    p, e = two_product(a.high, b.high)
    return _quick(p, e + (a.high * b.low + a.low * b.high))


def scale(a: Pair, b: Array) -> Pair:
    """a times a double."""
    p, e = two_product(a.high, b)
    return _quick(p, e + a.low * b)


def divide(a: Pair, b: Pair) -> Pair:
    """a / b."""
    q = a.high / b.high
    rest = subtract(a, scale(b, q))
    r = rest.high / b.high
    rest = subtract(rest, scale(b, r))
    s, e = _quick(q, np.where(np.isfinite(q), r, 0.0))
    return _quick(s, e + np.where(np.isfinite(q), rest.high / b.high, 0.0))


def sqrt(a: Pair) -> Pair:
    """The square root: one Newton step (Karp and Markstein 1997)."""
    root = np.sqrt(a.high)
    p, e = two_product(root, root)
    rest = subtract(a, Pair(p, e)).high
    safe = np.isfinite(root) & (root > 0)
    return _quick(root, np.where(safe, rest / np.where(safe, 2 * root, 1.0), 0.0))


def power(a: Pair, exponent: int) -> Pair:
    """A whole power, by squaring."""
    out, square, left = pair(1.0), a, abs(exponent)
    while left:
        if left & 1:
            out = multiply(out, square)
        left >>= 1
        if left:
            square = multiply(square, square)
    return divide(pair(1.0), out) if exponent < 0 else out


def total(a: Pair) -> Pair:
    """The sum of the elements, by halves."""
    high, low = np.ravel(a.high), np.broadcast_to(a.low, np.shape(a.high)).ravel()
    while len(high) > 1:
        if len(high) % 2:
            high, low = np.append(high, 0.0), np.append(low, 0.0)
        high, low = add(Pair(high[::2], low[::2]), Pair(high[1::2], low[1::2]))
    return Pair(float(high[0]), float(low[0])) if len(high) else Pair(0.0, 0.0)


# ---- constants and tables ------------------------------------------------------------------------

_BITS = 160  # of the fixed-point numbers that make the tables


def _fixed(value: int) -> tuple[float, float]:
    """A fixed-point number as a pair."""
    high = value / (1 << _BITS)
    over, under = high.as_integer_ratio()
    return high, (value * under - (over << _BITS)) / (under << _BITS)


def _series(x: int, first: int, step: int, sign: int) -> int:
    """Σ sign^k x^n/n! for n = first, first + step, …, in fixed point."""
    out, term, n = 0, 1 << _BITS, 0
    while term:
        if n >= first and (n - first) % step == 0:
            out += term * sign ** ((n - first) // step)
        n += 1
        term = (term * x >> _BITS) // n
    return out


_PI = 3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33
_LOG2 = 0.6931471805599453, 2.3190468138462996e-17, 5.707708438416212e-34
_FINE = 128
"""Entries of a table for each unit: remainders stay below 1/256."""


@cache
def _exponentials() -> tuple[Array, Array]:
    """exp(j/128) for j from -45 to 45."""
    unit = (1 << _BITS) // _FINE
    rows = []
    for j in range(-45, 46):
        value = _series(abs(j) * unit, 0, 1, 1)
        rows.append(_fixed(value if j >= 0 else (1 << 2 * _BITS) // value))
    table = np.array(rows)
    return table[:, 0], table[:, 1]


@cache
def _sines() -> tuple[Array, Array, Array, Array]:
    """sin(j/128) and cos(j/128) for j up to 101: beyond π/4."""
    unit = (1 << _BITS) // _FINE
    rows = [
        (*_fixed(_series(j * unit, 1, 2, -1)), *_fixed(_series(j * unit, 0, 2, -1)))
        for j in range(102)
    ]
    table = np.array(rows)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


# ---- functions -----------------------------------------------------------------------------------


_SIXTH = Pair(1 / 6, 9.25185853854297e-18)
_OVER_24 = Pair(1 / 24, 2.3129646346357427e-18)
_OVER_120 = Pair(1 / 120, 1.1564823173178714e-19)


def _small_expm1(r: Pair) -> Pair:
    """exp(r) - 1 for |r| < 1/256, by its series; the terms from the sixth on are doubles."""
    x = r.high
    rest = x * (1 / 720 + x * (1 / 5040 + x * (1 / 40320 + x * (1 / 362880 + x / 3628800))))
    out = add(_OVER_120, pair(rest))
    for coefficient in (_OVER_24, _SIXTH, Pair(0.5, 0.0), Pair(1.0, 0.0)):
        out = add(coefficient, multiply(r, out))
    return multiply(r, out)


def _exp_parts(a: Pair) -> tuple[Array, Array, Pair]:
    """exp(a) as 2^k T[j] (1 + e): k, the index of T, and e."""
    x = np.clip(a.high, -800.0, 800.0)
    x = np.where(np.isnan(x), 0.0, x)
    k = np.rint(x / _LOG2[0])
    r = subtract(Pair(x, a.low), add(two_product(k, _LOG2[0]), two_product(k, _LOG2[1])))
    r = add(r, pair(-k * _LOG2[2]))
    j = np.clip(np.rint(np.where(np.isnan(r.high), 0.0, r.high) * _FINE), -45, 45)
    r = add(r, pair(-j / _FINE))
    return k.astype(int), j.astype(int) + 45, _small_expm1(r)


def exp(a: Pair) -> Pair:
    """e to the a."""
    k, j, small = _exp_parts(a)
    high, low = _exponentials()
    table = Pair(high[j], low[j])
    out = add(table, multiply(table, small))
    return _finished(np.exp(a.high), Pair(np.ldexp(out.high, k), np.ldexp(out.low, k)))


def expm1(a: Pair) -> Pair:
    """e to the a, minus 1: relatively exact near 0."""
    k, j, small = _exp_parts(a)
    high, low = _exponentials()
    table = Pair(np.ldexp(high[j], k), np.ldexp(low[j], k))
    near = (k == 0) & (j == 45)
    whole = add(add(table, pair(-1.0)), multiply(table, small))
    out = Pair(np.where(near, small.high, whole.high), np.where(near, small.low, whole.low))
    return _finished(np.expm1(a.high), out)


def _finished(rough: Array, out: Pair) -> Pair:
    """The pair, where the double says that it is an ordinary number; else the double."""
    fine = np.isfinite(rough) & (np.abs(rough) > 1e-290)
    return Pair(np.where(fine, out.high, rough), np.where(fine, out.low, 0.0))


def _corrected(rough: Array, correction: Callable[[Pair], Pair]) -> Pair:
    """A double and its correction, which is asked for at ordinary points only."""
    fine = np.isfinite(rough)
    start = pair(np.where(fine, rough, 0.0))
    step = correction(start)
    fine = fine & np.isfinite(step.high)
    out = add(start, Pair(np.where(fine, step.high, 0.0), np.where(fine, step.low, 0.0)))
    return Pair(np.where(fine, out.high, rough), np.where(fine, out.low, 0.0))


def log(a: Pair) -> Pair:
    """The natural logarithm."""

    def correction(start: Pair) -> Pair:
        e = subtract(multiply(a, exp(negative(start))), pair(1.0))
        return subtract(e, scale(multiply(e, e), 0.5))

    return _corrected(np.log(a.high), correction)


def log1p(a: Pair) -> Pair:
    """log(1 + a), relatively exact near 0."""

    def correction(start: Pair) -> Pair:
        e = expm1(start)
        e = divide(subtract(a, e), add(e, pair(1.0)))
        return subtract(e, scale(multiply(e, e), 0.5))

    return _corrected(np.log1p(a.high), correction)


def sin_cos(a: Pair) -> tuple[Pair, Pair]:
    """Sine and cosine; beyond 1e9 those of the double."""
    near = np.abs(a.high) < 1e9
    x = np.where(near, a.high, 0.0)
    q = np.rint(x / (_PI[0] / 2))
    half = q * 0.5
    r = subtract(
        Pair(x, np.where(near, a.low, 0.0)),
        add(two_product(half, _PI[0]), two_product(half, _PI[1])),
    )
    r = add(r, pair(-half * _PI[2]))
    sign = np.where(r.high < 0, -1.0, 1.0)
    r = Pair(r.high * sign, r.low * sign)
    j = np.clip(np.rint(np.where(np.isnan(r.high), 0.0, r.high) * _FINE), 0, 101).astype(int)
    r = add(r, pair(-j / _FINE))
    sh, sl, ch, cl = (column[j] for column in _sines())
    v = multiply(r, r)
    y = v.high
    sine = add(_OVER_120, pair(y * (-1 / 5040 + y * (1 / 362880 - y / 39916800))))
    sine = subtract(multiply(v, sine), _SIXTH)
    sine = add(r, multiply(multiply(r, v), sine))
    cosine = add(_OVER_24, pair(y * (-1 / 720 + y * (1 / 40320 - y / 3628800))))
    cosine = multiply(v, subtract(multiply(v, cosine), Pair(0.5, 0.0)))  # cos r - 1
    s, c = Pair(sh, sl), Pair(ch, cl)
    sin_r = add(s, add(multiply(c, sine), multiply(s, cosine)))
    cos_r = add(c, subtract(multiply(c, cosine), multiply(s, sine)))
    turn = np.mod(q, 4).astype(int)
    swap = turn % 2 == 1
    sin_sign = np.where(turn >= 2, -1.0, 1.0) * np.where(swap, 1.0, sign)
    cos_sign = np.where((turn == 1) | (turn == 2), -1.0, 1.0) * np.where(swap, sign, 1.0)
    sin_out, cos_out = (
        Pair(np.where(swap, b, a) * f, np.where(swap, d, c) * f)
        for (a, c), (b, d), f in ((sin_r, cos_r, sin_sign), (cos_r, sin_r, cos_sign))
    )
    sine, cosine = (
        Pair(np.where(near, out.high, rough(a.high)), np.where(near, out.low, 0.0))
        for out, rough in ((sin_out, np.sin), (cos_out, np.cos))
    )
    return sine, cosine


def tan(a: Pair) -> Pair:
    """The tangent."""
    return divide(*sin_cos(a))


def atan(a: Pair) -> Pair:
    """The inverse tangent."""

    def correction(start: Pair) -> Pair:
        s, c = sin_cos(start)
        return divide(subtract(multiply(a, c), s), add(multiply(a, s), c))

    big = np.abs(a.high) > 1e150
    out = _corrected(np.where(big, 0.0, np.arctan(a.high)), correction)
    return Pair(np.where(big, np.arctan(a.high), out.high), np.where(big, 0.0, out.low))


def asin(a: Pair) -> Pair:
    """The inverse sine."""

    def correction(start: Pair) -> Pair:
        s, c = sin_cos(start)
        step = divide(subtract(a, s), c)
        far = np.abs(c.high) > 1e-6
        return Pair(np.where(far, step.high, 0.0), np.where(far, step.low, 0.0))

    return _corrected(np.arcsin(a.high), correction)


def acos(a: Pair) -> Pair:
    """The inverse cosine."""
    return subtract(Pair(_PI[0] / 2, _PI[1] / 2), asin(a))


def sinh(a: Pair) -> Pair:
    """The hyperbolic sine: with u = expm1 a, (u + u/(u + 1))/2."""
    sign = np.where(a.high < 0, -1.0, 1.0)
    u = expm1(scale(a, sign))
    out = scale(add(u, divide(u, add(u, pair(1.0)))), 0.5 * sign)
    return _finished(np.sinh(a.high), out)


def cosh(a: Pair) -> Pair:
    """The hyperbolic cosine."""
    e = exp(a)
    return _finished(np.cosh(a.high), scale(add(e, divide(pair(1.0), e)), 0.5))


def tanh(a: Pair) -> Pair:
    """The hyperbolic tangent: with u = expm1 2a, u/(u + 2)."""
    u = expm1(scale(Pair(np.clip(a.high, -300, 300), a.low), 2.0))
    return _finished(np.tanh(a.high), divide(u, add(u, pair(2.0))))
